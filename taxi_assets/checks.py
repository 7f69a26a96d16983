"""The checks of each asset; what they check is in `taxi_assets.transform.quality`.

See https://docs.dagster.io/guides/test/asset-checks.

A blocking check that fails stops its month: what is downstream of the asset does not run. Each check reads what is in
the stores at that moment, so that a person can execute it at any time.

Annotations are evaluated (no `from __future__ import annotations`); see `taxi_assets.assets.monthly`.
"""

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import dagster as dg

from taxi_assets.contracts.model import Dataset, Role
from taxi_assets.errors import PermanentError
from taxi_assets.failures import reported_failures
from taxi_assets.months import Month
from taxi_assets.names import BIGQUERY_TABLE, CLEANED_PARQUET, GCS_OBJECT, POSTGRES_TABLE, RAW_FILE, asset_key
from taxi_assets.partitions import partitions_of
from taxi_assets.records import CleanedFile, LakeObject, RawFile
from taxi_assets.resources import LakeResource, PostgresResource, StagingResource, WarehouseResource
from taxi_assets.storage.base import Lake, Staging
from taxi_assets.transform import quality
from taxi_assets.transform.quality import CheckResult

LEDGER = "No row was lost: what came in is what went out, was dropped by a rule, or was rejected."
MONTHS_COMPARED = 12
T = TypeVar("T")


def checks_of(dataset: Dataset, retries: dg.RetryPolicy, *, postgres: bool = False) -> list[dg.AssetChecksDefinition]:
    """Return the checks of a dataset's assets."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", dg.PreviewWarning
        )  # partitioned checks are a preview in 1.13; pinned, and tested
        files = [*_checks_of_files(dataset, retries), *_warnings_of_files(dataset, retries)]
        checks = [*files, *_checks_of_stores(dataset, retries)]
        return [*checks, _check_of_postgres(dataset, retries)] if postgres else checks


def _checks_of_files(dataset: Dataset, retries: dg.RetryPolicy) -> list[dg.AssetChecksDefinition]:
    @dg.asset_check(**_common(dataset, RAW_FILE, retries, "The file has rows."))
    def not_empty(context: dg.AssetCheckExecutionContext, staging: StagingResource) -> dg.AssetCheckResult:
        def check(month: Month) -> CheckResult:
            return quality.check_not_empty(staging.create().get(RawFile, "raw", dataset.name, month))

        return _evaluate(context, dataset, RAW_FILE, check)

    @dg.asset_check(
        **_common(
            dataset,
            CLEANED_PARQUET,
            retries,
            f"{LEDGER} And few enough rows were rejected (TAXI_REJECTED_SHARE_LIMIT).",
        )
    )
    def ledger(context: dg.AssetCheckExecutionContext, staging: StagingResource) -> dg.AssetCheckResult:
        import pyarrow.parquet as pq

        def check(month: Month) -> CheckResult:
            area = staging.create()
            cleaned = _cleaned(dataset, month, area)
            rows = pq.read_metadata(area.path(cleaned.file)).num_rows
            rejects_at = area.location(cleaned.rejects_file)
            return quality.check_ledger(cleaned, rows, staging.rejected_share_limit, rejects_at)

        return _evaluate(context, dataset, CLEANED_PARQUET, check)

    @dg.asset_check(
        **_common(
            dataset,
            CLEANED_PARQUET,
            retries,
            "The file has the contract's columns and types. Warns of source columns that are unknown or absent.",
        )
    )
    def schema(context: dg.AssetCheckExecutionContext, staging: StagingResource) -> dg.AssetCheckResult:
        def check(month: Month) -> CheckResult:
            area = staging.create()
            cleaned = _cleaned(dataset, month, area)
            return quality.check_schema(dataset, cleaned, area.path(cleaned.file))

        return _evaluate(context, dataset, CLEANED_PARQUET, check)

    return [not_empty, ledger, schema]


def _warnings_of_files(dataset: Dataset, retries: dg.RetryPolicy) -> list[dg.AssetChecksDefinition]:
    @dg.asset_check(
        **_common(
            dataset,
            CLEANED_PARQUET,
            retries,
            "Every row could be read. Warns only: the ledger's limit decides whether the month goes on.",
            blocking=False,
        )
    )
    def rejected(context: dg.AssetCheckExecutionContext, staging: StagingResource) -> dg.AssetCheckResult:
        def check(month: Month) -> CheckResult:
            area = staging.create()
            cleaned = _cleaned(dataset, month, area)
            return quality.check_rejected(cleaned, area.location(cleaned.rejects_file))

        return _evaluate(context, dataset, CLEANED_PARQUET, check)

    @dg.asset_check(
        **_common(
            dataset,
            CLEANED_PARQUET,
            retries,
            f"Strange rows ({', '.join(_strange(dataset))}, ...) are no more frequent than in the months "
            "before. Warns only.",
            blocking=False,
        )
    )
    def anomalies(context: dg.AssetCheckExecutionContext, staging: StagingResource) -> dg.AssetCheckResult:
        def check(month: Month) -> CheckResult:
            area = staging.create()
            months = [month.plus(-back) for back in range(1, MONTHS_COMPARED + 1)]
            found = [area.find(CleanedFile, "cleaned", dataset.name, earlier) for earlier in months]
            return quality.check_anomalies(_cleaned(dataset, month, area), [each for each in found if each])

        return _evaluate(context, dataset, CLEANED_PARQUET, check)

    return [rejected, anomalies]


def _checks_of_stores(dataset: Dataset, retries: dg.RetryPolicy) -> list[dg.AssetChecksDefinition]:
    @dg.asset_check(name="ledger", **_common(dataset, GCS_OBJECT, retries, LEDGER))
    def object_ledger(
        context: dg.AssetCheckExecutionContext, staging: StagingResource, lake: LakeResource
    ) -> dg.AssetCheckResult:
        def check(month: Month) -> CheckResult:
            return quality.check_object(
                _stored(dataset, month, lake.create()), _cleaned(dataset, month, staging.create())
            )

        return _evaluate(context, dataset, GCS_OBJECT, check)

    @dg.asset_check(name="ledger", **_common(dataset, BIGQUERY_TABLE, retries, LEDGER))
    def table_ledger(
        context: dg.AssetCheckExecutionContext, lake: LakeResource, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        def check(month: Month) -> CheckResult:
            stored = _stored(dataset, month, lake.create())
            loaded = warehouse.create().find_month(dataset.name, month, stored)
            return quality.check_table(_present(loaded, dataset, month, "warehouse"), stored)

        return _evaluate(context, dataset, BIGQUERY_TABLE, check)

    return [object_ledger, table_ledger]


def _check_of_postgres(dataset: Dataset, retries: dg.RetryPolicy) -> dg.AssetChecksDefinition:
    @dg.asset_check(name="ledger", **_common(dataset, POSTGRES_TABLE, retries, LEDGER))
    def postgres_ledger(
        context: dg.AssetCheckExecutionContext, staging: StagingResource, postgres: PostgresResource
    ) -> dg.AssetCheckResult:
        def check(month: Month) -> CheckResult:
            loaded = postgres.create().find_month(dataset.name, month)
            cleaned = _cleaned(dataset, month, staging.create())
            return quality.check_postgres(_present(loaded, dataset, month, "Postgres"), cleaned)

        return _evaluate(context, dataset, POSTGRES_TABLE, check)

    return postgres_ledger


def _common(
    dataset: Dataset, asset: str, retries: dg.RetryPolicy, description: str, *, blocking: bool = True
) -> dict[str, Any]:
    return {
        "asset": asset_key(dataset.name, asset),
        "description": description,
        "blocking": blocking,
        "partitions_def": partitions_of(dataset),
        "retry_policy": retries,
    }


def _strange(dataset: Dataset) -> list[str]:
    by_role: dict[Role, str] = {
        "amount": "negative fares",
        "passengers": "zero passengers",
        "pickup_zone": "unknown zones",
    }
    return ["dated outside the month", *(text for role, text in by_role.items() if dataset.one(role))]


def _evaluate(
    context: dg.AssetCheckExecutionContext, dataset: Dataset, asset: str, check: Callable[[Month], CheckResult]
) -> dg.AssetCheckResult:
    """Check the month of the run; what keeps it from being checked fails as in an asset."""
    month = Month.parse(context.partition_key)
    with reported_failures(asset_key(dataset.name, asset), month):
        result = check(month)
    return dg.AssetCheckResult(
        passed=result.passed,
        severity=dg.AssetCheckSeverity.ERROR if result.blocking else dg.AssetCheckSeverity.WARN,
        description=result.text if result.passed else f"{result.text}. What to do: {result.remedy}",
        metadata=dict(result.numbers),
    )


def _cleaned(dataset: Dataset, month: Month, staging: Staging) -> CleanedFile:
    return staging.get(CleanedFile, "cleaned", dataset.name, month)


def _stored(dataset: Dataset, month: Month, lake: Lake) -> LakeObject:
    return _present(lake.find(dataset.name, month), dataset, month, "lake")


def _present(found: T | None, dataset: Dataset, month: Month, store: str) -> T:
    if found is None:
        raise PermanentError(f"{dataset.name} {month} is not in the {store}")
    return found
