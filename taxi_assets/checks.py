"""The checks of each asset; what they check is in `taxi_assets.transform.quality`.

See https://docs.dagster.io/guides/test/asset-checks.

A blocking check that fails stops its month: what is downstream of the asset does not run. Each check reads what is in
the stores at that moment, so that a person can execute it at any time.

Annotations are evaluated (no `from __future__ import annotations`); see `taxi_assets.assets.monthly`.
"""

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import dagster as dg
import pyarrow.parquet as pq

from taxi_assets.contracts.model import Dataset, Role
from taxi_assets.errors import PermanentError
from taxi_assets.failures import reported_failures
from taxi_assets.months import Month
from taxi_assets.names import BIGQUERY_TABLE, CLEANED_PARQUET, GCS_OBJECT, POSTGRES_TABLE, RAW_FILE, asset_key
from taxi_assets.partitions import partitions_of
from taxi_assets.records import CleanedFile, LakeObject, RawFile
from taxi_assets.replacement import USUAL_SHARES
from taxi_assets.transform import quality
from taxi_assets.transform.anomalies import earlier_months
from taxi_assets.transform.quality import CheckResult

LEDGER = "No row was lost: what came in is what went out, was dropped by a rule, or was rejected."
T = TypeVar("T")

Check = Callable[[Dataset, Month, Any], CheckResult]
"""Checks a month of a dataset, by the resources of its run."""


def checks_of(dataset: Dataset, retries: dg.RetryPolicy, *, postgres: bool = False) -> list[dg.AssetChecksDefinition]:
    """Return the checks of a dataset's assets."""
    few_rows, many_rows = USUAL_SHARES
    some = (
        f"The file has rows. Warns if it has under {few_rows:.0%} or over {many_rows:.0%} of what the month had, "
        "or ends within a line."
    )
    few = f"{LEDGER} And few enough rows were rejected (TAXI_REJECTED_SHARE_LIMIT)."
    columns = "The file has the contract's columns and types. Warns of source columns that are unknown or absent."
    readable = "Every row could be read. Warns only: the ledger's limit decides whether the month goes on."
    strange = f"Strange rows ({', '.join(_strange(dataset))}, ...)"
    usual = f"{strange} are no more frequent than in the months before. Warns only."
    made = functools.partial(_asset_check, dataset, retries)
    with warnings.catch_warnings():
        # partitioned checks are a preview in 1.13; pinned, and tested
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            made(RAW_FILE, "not_empty", some, _not_empty, "staging"),
            made(CLEANED_PARQUET, "ledger", few, _ledger, "staging"),
            made(CLEANED_PARQUET, "schema", columns, _schema, "staging"),
            made(CLEANED_PARQUET, "rejected", readable, _rejected, "staging", blocking=False),
            made(CLEANED_PARQUET, "anomalies", usual, _anomalies, "staging", blocking=False),
            made(GCS_OBJECT, "ledger", LEDGER, _object_ledger, "staging", "lake"),
            made(BIGQUERY_TABLE, "ledger", LEDGER, _table_ledger, "lake", "warehouse"),
            *([made(POSTGRES_TABLE, "ledger", LEDGER, _postgres_ledger, "staging", "postgres")] if postgres else []),
        ]


def _asset_check(
    dataset: Dataset,
    retries: dg.RetryPolicy,
    asset: str,
    name: str,
    description: str,
    check: Check,
    *resources: str,
    blocking: bool = True,
) -> dg.AssetChecksDefinition:
    key = asset_key(dataset.name, asset)

    @dg.asset_check(
        asset=key,
        name=name,
        description=description,
        blocking=blocking,
        partitions_def=partitions_of(dataset),
        retry_policy=retries,
        required_resource_keys=set(resources),
    )
    def checked(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        month = Month.parse(context.partition_key)
        with reported_failures(key, month):
            result = check(dataset, month, context.resources)
        return dg.AssetCheckResult(
            passed=result.passed,
            severity=dg.AssetCheckSeverity.ERROR if result.blocking else dg.AssetCheckSeverity.WARN,
            description=result.text if result.passed else f"{result.text}. What to do: {result.remedy}",
            metadata=dict(result.numbers),
        )

    return checked


def _not_empty(dataset: Dataset, month: Month, resources: Any) -> CheckResult:
    return quality.check_not_empty(resources.staging.create().get(RawFile, "raw", dataset.name, month))


def _ledger(dataset: Dataset, month: Month, resources: Any) -> CheckResult:
    cleaned, area = _cleaned(dataset, month, resources), resources.staging.create()
    rows = pq.read_metadata(area.path(cleaned.file)).num_rows
    limit = resources.staging.rejected_share_limit
    return quality.check_ledger(cleaned, rows, limit, area.location(cleaned.rejects_file))


def _schema(dataset: Dataset, month: Month, resources: Any) -> CheckResult:
    cleaned = _cleaned(dataset, month, resources)
    return quality.check_schema(dataset, cleaned, resources.staging.create().path(cleaned.file))


def _rejected(dataset: Dataset, month: Month, resources: Any) -> CheckResult:
    cleaned = _cleaned(dataset, month, resources)
    return quality.check_rejected(cleaned, resources.staging.create().location(cleaned.rejects_file))


def _anomalies(dataset: Dataset, month: Month, resources: Any) -> CheckResult:
    earlier = earlier_months(resources.staging.create(), dataset.name, month)
    return quality.check_anomalies(_cleaned(dataset, month, resources), earlier)


def _object_ledger(dataset: Dataset, month: Month, resources: Any) -> CheckResult:
    return quality.check_object(_stored(dataset, month, resources), _cleaned(dataset, month, resources))


def _table_ledger(dataset: Dataset, month: Month, resources: Any) -> CheckResult:
    stored = _stored(dataset, month, resources)
    loaded = resources.warehouse.create().find_month(dataset.name, month, stored)
    return quality.check_table(_present(loaded, dataset, month, "warehouse"), stored)


def _postgres_ledger(dataset: Dataset, month: Month, resources: Any) -> CheckResult:
    loaded = resources.postgres.create().find_month(dataset.name, month)
    cleaned = _cleaned(dataset, month, resources)
    return quality.check_postgres(_present(loaded, dataset, month, "Postgres"), cleaned)


def _cleaned(dataset: Dataset, month: Month, resources: Any) -> CleanedFile:
    cleaned: CleanedFile = resources.staging.create().get(CleanedFile, "cleaned", dataset.name, month)
    return cleaned


def _stored(dataset: Dataset, month: Month, resources: Any) -> LakeObject:
    stored: LakeObject | None = resources.lake.create().find(dataset.name, month)
    return _present(stored, dataset, month, "lake")


def _present(found: T | None, dataset: Dataset, month: Month, store: str) -> T:
    if found is None:
        raise PermanentError(f"{dataset.name} {month} is not in the {store}")
    return found


def _strange(dataset: Dataset) -> list[str]:
    by_role: dict[Role, str] = {
        "amount": "negative fares",
        "passengers": "zero passengers",
        "pickup_zone": "unknown zones",
    }
    return ["dated outside the month", *(text for role, text in by_role.items() if dataset.one(role))]
