"""The lake sensor: loads a month into the warehouse when someone else has put or replaced its object.

Objects that our own runs put are told by the checksum of their last materialization. The cursor holds the version of
each object that has been looked at. An object of ours whose run did not load it is followed by its table by itself: see
`conditions`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.instance import history
from taxi_assets.jobs import GCS_TO_BIGQUERY, request
from taxi_assets.months import Month
from taxi_assets.partitions import ranges
from taxi_assets.sensors.polling import MAX_OPEN_RUNS

INTERVAL = 120
SECONDS = 25.0
"""No object is read after so many seconds of a tick; Dagster ends a tick after 60 s."""


def lake_sensor(datasets: Mapping[str, Dataset], jobs: Sequence[Any], status: Any) -> dg.SensorDefinition:
    """Return the sensor."""

    @dg.sensor(
        name="lake",
        description="Loads a month into the warehouse when someone else has put or replaced its object in the lake.",
        jobs=jobs,
        minimum_interval_seconds=INTERVAL,
        default_status=status,
        required_resource_keys={"lake"},
    )
    def lake(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        seen: dict[str, str] = json.loads(context.cursor or "{}")
        runs, under_way = history.under_way(context.instance)
        store, until = context.resources.lake, time.monotonic() + SECONDS
        requests: list[dg.RunRequest] = []
        notes: list[dg.AssetObservation] = []
        try:
            for name, dataset in datasets.items():
                fresh = {
                    month: version
                    for month, version in store.create().versions(name).items()
                    if month >= dataset.first_month
                    and seen.get(f"{name} {month}") != version
                    and (name, month) not in under_way
                }
                foreign = []
                for month, note in _look(context.instance, store, name, sorted(fresh, reverse=True)):
                    seen[f"{name} {month}"] = fresh[month]
                    notes += [note] if note else []
                    foreign += [month] if note and "rows" in note.metadata else []
                    if time.monotonic() > until:
                        break
                for months in ranges(foreign):
                    if len(requests) + runs < MAX_OPEN_RUNS:
                        requests.append(request(name, months, GCS_TO_BIGQUERY))
                    else:
                        for month in months:  # looked at again at the next tick
                            del seen[f"{name} {month}"]
        except TransientError as error:
            return dg.SensorResult(skip_reason=f"the lake does not answer: {error.message}")
        said = "; ".join(f"{note.asset_key.path[0]} {str(note.partition)[:7]}: {note.description}" for note in notes)
        return dg.SensorResult(
            run_requests=requests or None,
            asset_events=notes,
            skip_reason=None if requests else said or "nothing was put by others",
            cursor=json.dumps(seen),
        )

    return lake


def _look(
    instance: dg.DagsterInstance, store: Any, dataset: str, months: list[Month]
) -> Iterator[tuple[Month, dg.AssetObservation | None]]:
    """Read objects; yield a note for each that someone else put, and for each that is damaged; None for ours."""
    known = _last_checksums(instance, dataset, months)
    key = history.key_of(dataset, "gcs_object")
    for month in months:
        metadata: dict[str, Any]
        try:
            found = store.create().find(dataset, month)
            if found.sha256 == known.get(month):
                yield month, None
                continue
            text, metadata = "put by someone else", {"rows": found.rows, "sha256": found.sha256}
        except PermanentError as error:
            text, metadata = error.message, {"status": "failed", "kind": error.kind, "error": str(error)}
        yield month, dg.AssetObservation(key, description=text, partition=f"{month}-01", metadata=metadata)


def _last_checksums(instance: dg.DagsterInstance, dataset: str, months: list[Month]) -> dict[Month, str]:
    """Return the checksums of the objects that were put, or loaded, last by a run of ours."""
    last: dict[Month, tuple[int, str]] = {}
    for asset in ("gcs_object", history.TABLE):
        for month, record in history.latest(instance, dataset, asset, months).items():
            checksum = str(history.metadata_of(record).get("sha256", ""))
            last[month] = max(last.get(month, (0, "")), (record.storage_id, checksum))
    return {month: checksum for month, (_, checksum) in last.items()}
