"""What Dagster's instance knows of months: what landed, what is under way, what failed for good.

Only reading belongs here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from taxi_assets.months import Month, months_between
from taxi_assets.records import RawFile

Key = tuple[str, Month]
"""A dataset's name and a month."""

TABLE = "bigquery_table"
"""The table that every profile has."""
_AT_A_TIME = 1000


def key_of(dataset: str, asset: str) -> dg.AssetKey:
    """Return the key of a dataset's asset."""
    return dg.AssetKey([dataset, asset])


def landed(instance: dg.DagsterInstance, dataset: str, tables: Iterable[str] = (TABLE,)) -> set[Month]:
    """Return the months that are in every one of the tables."""
    found = [instance.get_materialized_partitions(key_of(dataset, table)) for table in tables]
    return {Month.parse(key) for key in set.intersection(*(set(keys) for keys in found))}


def latest(
    instance: dg.DagsterInstance, dataset: str, asset: str, months: Iterable[Month]
) -> dict[Month, dg.EventLogRecord]:
    """Return the last materialization of an asset for each of the months, where there is one."""
    found: dict[Month, dg.EventLogRecord] = {}
    for month, record in _records(instance.fetch_materializations, key_of(dataset, asset), months):
        found.setdefault(month, record)
    return found


def raw_files(instance: dg.DagsterInstance, dataset: str, months: Iterable[Month]) -> dict[Month, RawFile]:
    """Return what is needed of the raw files that landed to ask the source whether it has others."""
    files = {}
    for month, record in latest(instance, dataset, "raw_file", months).items():
        said = metadata_of(record)
        if "etag" in said:  # a materialization that a person reported by hand has no validators
            files[month] = RawFile(
                dataset=dataset,
                month=month,
                file="",
                bytes=int(said["bytes"]),
                sha256=str(said["sha256"]),
                format="",
                compression="",
                source_rows=int(said.get("dagster/partition_row_count", 0)),
                source_url=str(said["source_url"]),
                etag=str(said["etag"]),
                last_modified=str(said["last_modified"]),
            )
    return files


def failed_for_good(
    instance: dg.DagsterInstance, dataset: str, assets: Iterable[str], months: Iterable[Month]
) -> dict[Month, str]:
    """Return the months whose last note says that they failed in a way that trying again does not mend, and why."""
    last: dict[Month, tuple[int, str, str]] = {}
    for asset in assets:
        for month, record in _records(instance.fetch_observations, key_of(dataset, asset), months):
            said = metadata_of(record)
            if "kind" in said:
                note = (record.storage_id, str(said["kind"]), str(said["error"]))
                last[month] = max(last.get(month, note), note)
    return {month: error for month, (_, kind, error) in last.items() if kind == "permanent"}


def metadata_of(record: dg.EventLogRecord) -> dict[str, Any]:
    """Return the plain values of a materialization's or an observation's metadata."""
    event = record.asset_materialization or record.asset_observation
    return {name: value.value for name, value in event.metadata.items()} if event else {}


def under_way(instance: dg.DagsterInstance) -> tuple[int, set[Key]]:
    """Return how many runs have not ended, and their months."""
    runs = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    return len(runs), {key for run in runs for key in months_of_run(run)}


def months_of_run(run: dg.DagsterRun) -> list[Key]:
    """Return the months that a run is about, as its tags have them."""
    first = run.tags.get(ASSET_PARTITION_RANGE_START_TAG) or run.tags.get(PARTITION_NAME_TAG)
    last = run.tags.get(ASSET_PARTITION_RANGE_END_TAG) or first
    if not first or not last:
        return []
    months = list(months_between(Month.parse(first), Month.parse(last)))
    return [(name, month) for name in _datasets_of(run) for month in months]


def describe_run(run: dg.DagsterRun) -> str:
    """Return what a run is about, for a person: its months, or its job."""
    months = months_of_run(run)
    if not months:
        return run.job_name
    (name, first), (_, last) = months[0], months[-1]
    return f"{name} {first}" if first == last else f"{name} {first} to {last}"


def _datasets_of(run: dg.DagsterRun) -> list[str]:
    """Return the datasets that a run is about: by its assets, or by the name of its job."""
    if run.asset_selection:
        return sorted({key.path[0] for key in run.asset_selection})
    return [run.job_name.partition("_")[0]]


def _records(
    fetch: Callable[..., Any], key: dg.AssetKey, months: Iterable[Month]
) -> Iterator[tuple[Month, dg.EventLogRecord]]:
    """Yield an asset's events of months, the newest first."""
    keys = [f"{month}-01" for month in months]
    batch, cursor = None, None
    while keys and (batch is None or batch.has_more):
        batch = fetch(dg.AssetRecordsFilter(asset_key=key, asset_partitions=keys), limit=_AT_A_TIME, cursor=cursor)
        cursor = batch.cursor
        for record in batch.records:
            if record.partition_key:
                yield Month.parse(record.partition_key), record
