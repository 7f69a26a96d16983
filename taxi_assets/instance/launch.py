"""Runs of the graph in this process, on the configured instance, as if the UI had launched them.

The parts of Dagster that have no public name stand here: with the origin of the code location on the run, the UI can
show it, filter by it and execute it again.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from taxi_assets.months import Month

LOCATION = "taxi_assets"
HOST_TAG = "taxi_assets/host"
"""Tag of a run that is in this process: the machine, where its process can be looked for."""

_ASSET_JOB = "__ASSET_JOB"


def run_months(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    keys: Iterable[dg.AssetKey],
    first: Month,
    last: Month,
    *,
    quiet: bool = True,
) -> dg.DagsterRun:
    """Materialize assets for a range of months in one run, in this process.

    Args:
        definitions: The definitions.
        instance: Where the run is recorded.
        keys: The assets.
        first: First month of the range.
        last: Last month of the range.
        quiet: Leave Dagster's log out of the terminal; the UI has it all the same.

    Returns:
        The finished run.
    """
    selection = frozenset(keys)
    job = definitions.resolve_job_def(_ASSET_JOB).get_subset(asset_selection=selection)
    tags = (
        {PARTITION_NAME_TAG: f"{first}-01"}
        if first == last
        else {ASSET_PARTITION_RANGE_START_TAG: f"{first}-01", ASSET_PARTITION_RANGE_END_TAG: f"{last}-01"}
    )
    run = instance.create_run_for_job(
        job_def=job,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}} if quiet else {},
        tags=tags | {HOST_TAG: socket.gethostname()},
        asset_selection=selection,
        remote_job_origin=origin_of(_ASSET_JOB),
    )
    execute_run(InMemoryJob(job), run, instance)
    finished = instance.get_run_by_id(run.run_id)
    assert finished is not None  # noqa: S101 - it was just written
    return finished


def origin_of(job: str) -> RemoteJobOrigin:
    """Return where webserver and daemon find a job: in this project, loaded in this folder."""
    module = LoadableTargetOrigin(module_name="taxi_assets.definitions", working_directory=str(Path.cwd()))
    location = ManagedGrpcPythonEnvCodeLocationOrigin(module, LOCATION)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job)


@dataclass(frozen=True)
class Outcome:
    """What became of one month in a run.

    Attributes:
        status: `landed`, `unchanged`, `not_published` or `failed`.
        error: Why it did not land, empty if it did.
        seconds: Time that the assets spent on it.
    """

    status: str
    error: str = ""
    seconds: float = 0.0


def outcomes_of(
    instance: dg.DagsterInstance, run: dg.DagsterRun, months: Iterable[Month], steps: int
) -> dict[Month, Outcome]:
    """Return what became of each month of a finished run, by the events that the assets left.

    Args:
        instance: Where the events are.
        run: The run.
        months: Its months.
        stations: How many assets a month passes when it lands.
    """
    records = instance.get_records_for_run(
        run.run_id, of_type={dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION}
    ).records
    notes: dict[Month, Outcome] = {}
    passed: dict[Month, list[Mapping[str, Any]]] = {}
    for record in records:
        if not record.partition_key:
            continue
        month = Month.parse(record.partition_key)
        if record.asset_materialization:
            passed.setdefault(month, []).append(record.asset_materialization.metadata)
        elif record.asset_observation and "status" in record.asset_observation.metadata:
            left = record.asset_observation.metadata
            notes.setdefault(month, Outcome(str(left["status"].value), str(left["error"].value)))
    outcomes = {}
    for month in months:
        made = passed.get(month, [])
        seconds = sum(float(metadata["seconds"].value) for metadata in made)
        if month in notes:
            outcomes[month] = replace(notes[month], seconds=seconds)
        elif len(made) < steps:
            outcomes[month] = Outcome("failed", failure_reason(instance, run), seconds)
        else:
            changed = any(metadata["changed"].value for metadata in made)
            outcomes[month] = Outcome("landed" if changed else "unchanged", "", seconds)
    return outcomes


def failure_reason(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Return the innermost error of a run that ended for another reason than its months."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ENGINE_EVENT, dg.DagsterEventType.RUN_FAILURE}
    for record in instance.get_records_for_run(run.run_id, of_type=kinds).records:
        event = record.event_log_entry.dagster_event
        error = getattr(event.event_specific_data, "error", None) if event else None
        while error and error.cause:
            error = error.cause
        if error:
            return f"{error.message.strip()}\nwhere: run {run.run_id}; its log in the UI has the whole trace"
    return f"run {run.run_id} ended as {run.status.value}; its log in the UI says why"
