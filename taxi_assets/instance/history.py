"""What Dagster's instance knows about months: which landed, which are in progress, which failed and why.

Only reading belongs here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from taxi_assets.months import Month
from taxi_assets.names import BIGQUERY_TABLE, CLEANED_PARQUET, MONTHLY_REPORT, RAW_FILE, asset_key
from taxi_assets.partitions import partition_key
from taxi_assets.records import RawFile

MonthKey = tuple[str, Month]
"""A dataset's name and a month."""

OPEN_STATUSES = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
PARTITION_TAG, RUN_KEY_TAG = "dagster/partition", "dagster/run_key"
_PAGE = 1000
_CHECK_FAILED = "DagsterAssetCheckFailedError"
"""Fails the step of a blocking check; the check's own description says more."""
_FAILURE_TYPES = {
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.ENGINE_EVENT,
}


@dataclass(frozen=True)
class Failure:
    """What failed in a run.

    Attributes:
        asset: Name of the asset, without its dataset; empty if the run's process died.
        reason: The error, as a person should read it.
        permanent: Whether trying again gives the same answer, unless a store or this machine is set right.
        is_check: Whether a blocking check failed.
    """

    asset: str
    reason: str
    permanent: bool
    is_check: bool = False

    @property
    def is_of_the_file(self) -> bool:
        """Whether only another file at the source helps; what a store refuses, someone may allow any day."""
        return self.permanent and (self.is_check or self.asset in (RAW_FILE, CLEANED_PARQUET))


def landed(instance: dg.DagsterInstance, dataset: str, tables: Iterable[str] = (BIGQUERY_TABLE,)) -> set[Month]:
    """Return the months that are in every one of the tables."""
    found = [instance.get_materialized_partitions(asset_key(dataset, table)) for table in tables]
    return {Month.parse(key) for key in set.intersection(*(set(keys) for keys in found))}


def latest(
    instance: dg.DagsterInstance, dataset: str, asset: str, months: Iterable[Month]
) -> dict[Month, dg.EventLogRecord]:
    """Return the last materialization of an asset for each of the months that has one."""
    fetch: Callable[..., Any] = instance.fetch_materializations
    found: dict[Month, dg.EventLogRecord] = {}
    which = dg.AssetRecordsFilter(
        asset_key=asset_key(dataset, asset), asset_partitions=[partition_key(m) for m in months]
    )
    page, cursor = None, None
    while which.asset_partitions and (page is None or page.has_more):
        page = fetch(which, limit=_PAGE, cursor=cursor)
        cursor = page.cursor
        for record in page.records:  # the newest first
            if record.partition_key:
                found.setdefault(Month.parse(record.partition_key), record)
    return found


def outdated_reports(instance: dg.DagsterInstance, dataset: str, months: Iterable[Month]) -> set[Month]:
    """Return the months whose report was made from other rows than the warehouse has now."""
    reports = latest(instance, dataset, MONTHLY_REPORT, months)
    used = {month: metadata_of(record).get("table_sha256") for month, record in reports.items()}
    tables = latest(instance, dataset, BIGQUERY_TABLE, reports)
    has = {month: metadata_of(record).get("sha256") for month, record in tables.items()}
    return {month for month in used if used[month] and has.get(month) and used[month] != has[month]}


def raw_files(instance: dg.DagsterInstance, dataset: str, months: Iterable[Month]) -> dict[Month, tuple[RawFile, int]]:
    """Return what the source has to know of the raw files that landed, and the storage ids of their events."""
    files = {}
    for month, record in latest(instance, dataset, RAW_FILE, months).items():
        metadata = metadata_of(record)
        if "etag" in metadata:  # a materialization that a person reported by hand has none
            file = RawFile(
                dataset=dataset,
                month=month,
                file="",
                bytes=int(metadata["bytes"]),
                sha256=str(metadata["sha256"]),
                format="",
                compression="",
                source_rows=int(metadata.get("dagster/partition_row_count", 0)),
                source_url=str(metadata["source_url"]),
                etag=str(metadata["etag"]),
                last_modified=str(metadata["last_modified"]),
            )
            files[month] = (file, record.storage_id)
    return files


def open_runs(instance: dg.DagsterInstance) -> tuple[int, set[MonthKey]]:
    """Return how many runs have not ended, and their months."""
    runs = instance.get_runs(dg.RunsFilter(statuses=OPEN_STATUSES))
    return len(runs), {key for run in runs for key in months_of_run(run)}


def requested(instance: dg.DagsterInstance, run_keys: Iterable[str]) -> set[str]:
    """Return those of the run keys that a run was requested for, whether by a sensor or by a schedule."""
    keys = list(run_keys)
    runs = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: keys})) if keys else []
    return {run.tags[RUN_KEY_TAG] for run in runs}


def permanent_failures(instance: dg.DagsterInstance, dataset: str, months: Iterable[Month]) -> dict[Month, str]:
    """Return the months whose last run failed because of their file, which trying again does not mend, and why."""
    found = {}
    for month, run in _last_runs(instance, dataset, months).items():
        failed = failures_of(instance, run) if run.status == dg.DagsterRunStatus.FAILURE else []
        if any(failure.is_of_the_file for failure in failed):
            found[month] = failed[0].reason
    return found


def last_failed(instance: dg.DagsterInstance, dataset: str, months: Iterable[Month]) -> set[Month]:
    """Return the months whose last run failed or was canceled; the UI shows them as failed, whatever has landed."""
    failed = _last_runs(instance, dataset, months, _FAILED)  # most often there are none, and one query is enough
    last = _last_runs(instance, dataset, failed)
    return {month for month, run in last.items() if run.status in _FAILED}


def _last_runs(
    instance: dg.DagsterInstance, dataset: str, months: Iterable[Month], statuses: Sequence[dg.DagsterRunStatus] = ()
) -> dict[Month, dg.DagsterRun]:
    """Return the last run of each month that has one; with `statuses`, the last that ended so."""
    keys = [partition_key(month) for month in months]
    runs = instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: keys}, statuses=statuses)) if keys else []
    last: dict[Month, dg.DagsterRun] = {}
    for run in runs:  # the newest first
        for name, month in months_of_run(run):
            if name == dataset:
                last.setdefault(month, run)
    return last


def failures_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[Failure]:
    """Return what failed in a run that failed: blocking checks, then steps; or else why the run ended."""
    records = instance.get_records_for_run(run.run_id, of_type=_FAILURE_TYPES).records
    return failures_in(event for record in records if (event := record.event_log_entry.dagster_event))


def failures_in(events: Iterable[dg.DagsterEvent]) -> list[Failure]:
    """Return what the events of a run that failed say; see `failures_of`."""
    checks, steps, ends = [], [], []
    for event in events:
        if event.event_type not in _FAILURE_TYPES:
            continue
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
                reason = f"check {check.check_name}: {check.description or 'failed'}"
                checks.append(Failure(check.asset_key.path[-1], reason, permanent=True, is_check=True))
            continue
        error = _innermost(getattr(event.event_specific_data, "error", None))
        if event.event_type == dg.DagsterEventType.STEP_FAILURE:
            raised = event.step_failure_data.user_failure_data
            if raised or (error and error.cls_name != _CHECK_FAILED):
                reason = (raised and raised.description) or _message(error)
                kind = raised.metadata.get("kind") if raised else None
                permanent = bool(raised) and (kind is None or kind.value == "permanent")
                steps.append(Failure((event.step_key or "").rpartition("__")[2], reason, permanent))
        elif error:
            ends.append(Failure("", _message(error), permanent=False))
        elif event.event_type == dg.DagsterEventType.RUN_FAILURE:
            ends.append(Failure("", event.message or "its log says why", permanent=False))
    return [*checks, *steps] or ends[:1]


def assets_made(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[str]:
    """Return the names of the assets that a run has materialized, without their dataset."""
    records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
    return {record.asset_key.path[-1] for record in records if record.asset_key}


def metadata_of(record: dg.EventLogRecord) -> dict[str, Any]:
    """Return the plain values of a materialization's metadata."""
    event = record.asset_materialization
    return {name: value.value for name, value in event.metadata.items()} if event else {}


def months_of_run(run: dg.DagsterRun) -> list[MonthKey]:
    """Return the months that a run is about: its partition, for each dataset of its assets."""
    key = run.tags.get(PARTITION_TAG)
    return [(name, Month.parse(key)) for name in _datasets_of(run)] if key else []


def describe_run(run: dg.DagsterRun) -> str:
    """Return what a run is about, for a person: its month, its assets, or its job."""
    assets = sorted(key.to_user_string() for key in run.asset_selection or ())
    return ", ".join(f"{name} {month}" for name, month in months_of_run(run)) or ", ".join(assets) or run.job_name


def was_followed(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return whether a later run is about the same month."""
    same = instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: run.tags[PARTITION_TAG]}))
    newest = next((each for each in same if months_of_run(each) == months_of_run(run)), run)
    return newest.run_id != run.run_id


def will_retry(run: dg.DagsterRun) -> bool:
    """Whether the daemon runs a failed run again by itself; it cannot if the run does not say where its code is."""
    return run.tags.get("dagster/will_retry") == "true" and run.remote_job_origin is not None


def _datasets_of(run: dg.DagsterRun) -> list[str]:
    """Return the datasets that a run is about: by its assets, or by the name of its job."""
    if run.asset_selection:
        return sorted({key.path[0] for key in run.asset_selection})
    return [run.job_name.partition("_")[0]]


def _innermost(error: Any) -> Any:
    while error and error.cause:
        error = error.cause
    return error


def _message(error: Any) -> str:
    """Return an error's message without the class that Python puts before it."""
    first, colon, rest = str(error.message).strip().partition(": ")
    return rest if colon and first.rpartition(".")[2] == error.cls_name else str(error.message).strip()
