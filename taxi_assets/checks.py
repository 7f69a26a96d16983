"""The checks of each asset; what they check is in `taxi_assets.transform.quality`.

See https://docs.dagster.io/guides/test/asset-checks.

A blocking check that fails stops its month: what is downstream of the asset does not run. Each check reads what is in
the stores at that moment, so that a person can execute it at any time.

Annotations are evaluated (no `from __future__ import annotations`); see `taxi_assets.assets.monthly`.
"""

import warnings
from typing import Any, TypeVar

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import PermanentError
from taxi_assets.failures import reported_failures
from taxi_assets.months import Month
from taxi_assets.names import BIGQUERY_TABLE, CLEANED_PARQUET, GCS_OBJECT, POSTGRES_TABLE, RAW_FILE, asset_key
from taxi_assets.partitions import partitions_of
from taxi_assets.records import CleanedFile, LakeObject, RawFile
from taxi_assets.resources import LakeResource, PostgresResource, StagingResource, WarehouseResource
from taxi_assets.storage.base import Staging
from taxi_assets.transform import quality

LEDGER = "No row was lost: what came in is what went out, was dropped by a rule, or was rejected."
MONTHS_COMPARED = 12
T = TypeVar("T")


def checks_of(dataset: Dataset, retries: dg.RetryPolicy, *, postgres: bool = False) -> list[dg.AssetChecksDefinition]:
    """Return the checks of a dataset's assets."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", dg.PreviewWarning
        )  # partitioned checks are a preview in 1.13; pinned, and tested
        checks = [*_checks_of_files(dataset, retries), *_checks_of_stores(dataset, retries)]
        return [*checks, _check_of_postgres(dataset, retries)] if postgres else checks


def _checks_of_files(dataset: Dataset, retries: dg.RetryPolicy) -> list[dg.AssetChecksDefinition]:
    @dg.asset_check(**_common(dataset, RAW_FILE, retries, "The file has rows."))
    def not_empty(context: dg.AssetCheckExecutionContext, staging: StagingResource) -> dg.AssetCheckResult:
        return _result(quality.check_not_empty(_raw(context, dataset, staging.create())))

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

        area = staging.create()
        cleaned = _cleaned(context, dataset, area)
        rows = pq.read_metadata(area.path(cleaned.file)).num_rows
        rejects_at = area.location(cleaned.rejects_file)
        return _result(quality.check_ledger(cleaned, rows, staging.rejected_share_limit, rejects_at))

    @dg.asset_check(
        **_common(
            dataset,
            CLEANED_PARQUET,
            retries,
            "The file has the contract's columns and types. Warns of source columns that are unknown or absent.",
        )
    )
    def schema(context: dg.AssetCheckExecutionContext, staging: StagingResource) -> dg.AssetCheckResult:
        area = staging.create()
        cleaned = _cleaned(context, dataset, area)
        return _result(quality.check_schema(dataset, cleaned, area.path(cleaned.file)))

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
        area = staging.create()
        cleaned = _cleaned(context, dataset, area)
        return _result(quality.check_rejected(cleaned, area.location(cleaned.rejects_file)))

    @dg.asset_check(
        **_common(
            dataset,
            CLEANED_PARQUET,
            retries,
            "Strange rows (dated outside the month, negative fares, zero passengers, ...) are no more frequent than in "
            "the months before. Warns only.",
            blocking=False,
        )
    )
    def anomalies(context: dg.AssetCheckExecutionContext, staging: StagingResource) -> dg.AssetCheckResult:
        area = staging.create()
        cleaned = _cleaned(context, dataset, area)
        earlier = [
            found
            for back in range(1, MONTHS_COMPARED + 1)
            if (found := area.find(CleanedFile, "cleaned", dataset.name, cleaned.month.plus(-back)))
        ]
        return _result(quality.check_anomalies(cleaned, earlier))

    return [not_empty, ledger, schema, rejected, anomalies]


def _checks_of_stores(dataset: Dataset, retries: dg.RetryPolicy) -> list[dg.AssetChecksDefinition]:
    @dg.asset_check(name="ledger", **_common(dataset, GCS_OBJECT, retries, LEDGER))
    def object_ledger(
        context: dg.AssetCheckExecutionContext, staging: StagingResource, lake: LakeResource
    ) -> dg.AssetCheckResult:
        cleaned, stored = _cleaned(context, dataset, staging.create()), _stored(context, dataset, lake)
        return _result(quality.check_object(stored, cleaned))

    @dg.asset_check(name="ledger", **_common(dataset, BIGQUERY_TABLE, retries, LEDGER))
    def table_ledger(
        context: dg.AssetCheckExecutionContext, lake: LakeResource, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        stored = _stored(context, dataset, lake)
        with _failures(dataset, BIGQUERY_TABLE, stored.month):
            loaded = warehouse.create().find_month(dataset.name, stored.month, stored)
            return _result(quality.check_table(_present(loaded, dataset, stored.month, "warehouse"), stored))

    return [object_ledger, table_ledger]


def _check_of_postgres(dataset: Dataset, retries: dg.RetryPolicy) -> dg.AssetChecksDefinition:
    @dg.asset_check(name="ledger", **_common(dataset, POSTGRES_TABLE, retries, LEDGER))
    def postgres_ledger(
        context: dg.AssetCheckExecutionContext, staging: StagingResource, postgres: PostgresResource
    ) -> dg.AssetCheckResult:
        cleaned = _cleaned(context, dataset, staging.create())
        with _failures(dataset, POSTGRES_TABLE, cleaned.month):
            loaded = postgres.create().find_month(dataset.name, cleaned.month)
            return _result(quality.check_postgres(_present(loaded, dataset, cleaned.month, "Postgres"), cleaned))

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


def _raw(context: dg.AssetCheckExecutionContext, dataset: Dataset, staging: Staging) -> RawFile:
    month = Month.parse(context.partition_key)
    with _failures(dataset, RAW_FILE, month):
        return staging.get(RawFile, "raw", dataset.name, month)


def _cleaned(context: dg.AssetCheckExecutionContext, dataset: Dataset, staging: Staging) -> CleanedFile:
    month = Month.parse(context.partition_key)
    with _failures(dataset, CLEANED_PARQUET, month):
        return staging.get(CleanedFile, "cleaned", dataset.name, month)


def _stored(context: dg.AssetCheckExecutionContext, dataset: Dataset, lake: LakeResource) -> LakeObject:
    month = Month.parse(context.partition_key)
    with _failures(dataset, GCS_OBJECT, month):
        return _present(lake.create().find(dataset.name, month), dataset, month, "lake")


def _present(found: T | None, dataset: Dataset, month: Month, store: str) -> T:
    if found is None:
        raise PermanentError(f"{dataset.name} {month} is not in the {store}")
    return found


def _failures(dataset: Dataset, asset: str, month: Month) -> Any:
    return reported_failures(asset_key(dataset.name, asset), month)


def _result(result: quality.CheckResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=result.passed,
        severity=dg.AssetCheckSeverity.ERROR if result.blocking else dg.AssetCheckSeverity.WARN,
        description=result.text if result.passed else f"{result.text}. What to do: {result.remedy}",
        metadata=dict(result.numbers),
    )
