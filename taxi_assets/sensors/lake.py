"""The lake sensor: loads a month into the warehouse when someone else has put or replaced its object.

The checksum of the last materialization tells our own objects from others. The cursor holds the version of each object
that has been read, so that none is read twice. `taxi_assets.automation` loads what a run of ours left in the lake.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import TaxiError, TransientError
from taxi_assets.failures import parts_of
from taxi_assets.instance import history
from taxi_assets.jobs import GCS_TO_BIGQUERY, request_month
from taxi_assets.months import Month
from taxi_assets.names import BIGQUERY_TABLE, GCS_OBJECT, asset_key
from taxi_assets.partitions import partition_key
from taxi_assets.sensors.polling import MAX_OPEN_RUNS
from taxi_assets.storage.base import Lake

INTERVAL_SECONDS = 120
BUDGET_SECONDS = 25.0
"""No object is read later than this in a tick; Dagster ends a tick after 60 s."""


@dataclass
class _Tick:
    """What one tick has found: the versions read so far, what to request, and what to note on objects."""

    seen: dict[str, str]
    requests: list[dg.RunRequest] = field(default_factory=list)
    notes: list[dg.AssetObservation] = field(default_factory=list)


def lake_sensor(datasets: Mapping[str, Dataset], jobs: Sequence[Any], status: Any) -> dg.SensorDefinition:
    """Return the sensor."""

    @dg.sensor(
        name="lake",
        description="Loads a month into the warehouse when someone else has put or replaced its object in the lake.",
        jobs=jobs,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
        required_resource_keys={"lake"},
    )
    def lake(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        tick = _Tick(json.loads(context.cursor or "{}"))
        try:
            _look(context.instance, context.resources.lake.create(), datasets, tick)
        except TransientError as error:
            if not tick.requests:
                return dg.SensorResult(skip_reason=f"the lake does not answer: {error.message}", cursor=context.cursor)
        notes = "; ".join(
            f"{note.asset_key.path[0]} {str(note.partition)[:7]}: {note.description}" for note in tick.notes
        )
        return dg.SensorResult(
            run_requests=tick.requests or None,
            asset_events=tick.notes,
            skip_reason=None if tick.requests else notes or "no one else has put an object",
            cursor=json.dumps(tick.seen),
        )

    return lake


def _look(instance: dg.DagsterInstance, lake: Lake, datasets: Mapping[str, Dataset], tick: _Tick) -> None:
    """Read the objects that are new; request a run for each that someone else put."""
    until = time.monotonic() + BUDGET_SECONDS
    found = {name: lake.versions(name) for name in datasets}
    # after the objects: a run of ours that put one of them is open still, or has recorded its checksum
    runs, in_progress = history.open_runs(instance)
    for name, dataset in datasets.items():
        versions = {
            month: version
            for month, version in found[name].items()
            if month >= dataset.first_month
            and tick.seen.get(f"{name} {month}") != version
            and (name, month) not in in_progress
        }
        ours = _checksums(instance, name, list(versions))
        for month in sorted(versions, reverse=True):
            if time.monotonic() > until or len(tick.requests) + runs >= MAX_OPEN_RUNS:
                return  # the next tick goes on
            note = _read(lake, name, month, ours.get(month))
            tick.seen[f"{name} {month}"] = versions[month]
            tick.notes += [note] if note else []
            if note and "sha256" in note.metadata:
                run_key = f"lake/{name}/{month}/{versions[month]}"
                tick.requests.append(request_month(name, month, GCS_TO_BIGQUERY, run_key=run_key))


def _read(lake: Lake, dataset: str, month: Month, ours: str | None) -> dg.AssetObservation | None:
    """Return a note on an object that someone else put, or that cannot be read; None if it is ours, or gone."""
    metadata: dict[str, Any]
    try:
        found = lake.find(dataset, month)
        if found is None or found.sha256 == ours:
            return None
        text, metadata = "put by someone else", {"rows": found.rows, "sha256": found.sha256}
    except TransientError:
        raise
    except Exception as error:  # noqa: BLE001 - one odd object must not stop the sensor for all others
        parts = parts_of(error) if isinstance(error, TaxiError) else {"error": str(error)}
        text, metadata = parts["error"], {"status": "failed", **parts}
    key = asset_key(dataset, GCS_OBJECT)
    return dg.AssetObservation(key, description=text, partition=partition_key(month), metadata=metadata)


def _checksums(instance: dg.DagsterInstance, dataset: str, months: list[Month]) -> dict[Month, str]:
    """Return the checksums of the objects that a run of ours put, or loaded, last."""
    last: dict[Month, tuple[int, str]] = {}
    for asset in (GCS_OBJECT, BIGQUERY_TABLE):
        for month, record in history.latest(instance, dataset, asset, months).items():
            checksum = str(history.metadata_of(record).get("sha256", ""))
            last[month] = max(last.get(month, (0, "")), (record.storage_id, checksum))
    return {month: checksum for month, (_, checksum) in last.items()}
