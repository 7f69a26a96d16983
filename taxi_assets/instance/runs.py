"""Runs of the graph in this process, one after the other, recorded where the UI finds them."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from taxi_assets import progress
from taxi_assets.errors import TaxiError
from taxi_assets.instance import history, pools
from taxi_assets.instance.sqlite import kept_open
from taxi_assets.jobs import run_tags
from taxi_assets.months import Month
from taxi_assets.names import CHAIN, POSTGRES_TABLE, TAXI_ZONES
from taxi_assets.partitions import partition_key

if TYPE_CHECKING:
    from collections.abc import Sequence

ASSET_JOB = "__ASSET_JOB"
"""Dagster's job of all assets, of which the UI runs a selection."""

HOST_TAG = "taxi_assets/host"
PID_TAG = "taxi_assets/pid"
"""Tags of a run in this process: the machine on which its process can be looked for, and the process."""

_STOP_SECONDS = 1.0
"""Seconds that recording a stopped run may take: stopping must be immediate."""
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Outcome:
    """What became of one month in a run.

    Attributes:
        status: `landed`, `unchanged`, `not_published` or `failed`.
        error: Why it did not land, empty if it did.
        seconds: How long the run took.
        made: Names of the assets that are as this run made or found them, though a later step may have failed.
    """

    status: str
    error: str = ""
    seconds: float = 0.0
    made: frozenset[str] = frozenset({*CHAIN, POSTGRES_TABLE})


def run_month(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    dataset: str,
    month: Month,
    *,
    selection: Sequence[dg.AssetKey] | None = None,
    replacement: dict[str, bool] | None = None,
    quiet: bool = True,
) -> tuple[Outcome, dg.ExecuteInProcessResult]:
    """Run a job for one month.

    Args:
        definitions: The definitions.
        instance: Where the run is recorded.
        job: Name of the job.
        dataset: Name of the dataset.
        month: The month.
        selection: Only these of the job's assets.
        replacement: Fields of the resource `replacement`.
        quiet: Leave Dagster's log out of the terminal; the UI has it all the same.
    """
    start, key, tags = time.monotonic(), partition_key(month), run_tags(dataset, month)
    result = _execute(definitions, instance, job, selection, key, tags, replacement=replacement, quiet=quiet)
    return _outcome(result, time.monotonic() - start), result


def run_zones(definitions: dg.Definitions, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Materialize the taxi zones."""
    return _execute(definitions, instance, ASSET_JOB, [dg.AssetKey(TAXI_ZONES)], None, {}, quiet=True)


def _execute(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    selection: Sequence[dg.AssetKey] | None,
    key: str | None,
    tags: dict[str, str],
    *,
    replacement: dict[str, bool] | None = None,
    quiet: bool,
) -> dg.ExecuteInProcessResult:
    run_id = str(uuid.uuid4())
    resolved = definitions.resolve_job_def(job)
    config: dict[str, Any] = dict(_QUIET) if quiet else {}
    if replacement:
        config["resources"] = {"replacement": {"config": replacement}}
    if quiet:  # or a month that is not published warns of each check that had nothing to check
        logging.getLogger("dagster._core").setLevel(logging.ERROR)  # that of "dagster", each run sets anew

    def execute() -> dg.ExecuteInProcessResult:
        return resolved.execute_in_process(
            instance=instance,
            run_id=run_id,
            partition_key=key,
            asset_selection=selection,
            tags={**tags, HOST_TAG: socket.gethostname(), PID_TAG: str(os.getpid())},
            run_config=config,
            raise_on_error=False,
        )

    with kept_open(instance, run_id):
        told: set[str] = set()
        result: dg.ExecuteInProcessResult = _interruptible(
            execute, lambda: _cancel(instance, run_id), lambda: _look_at_pools(instance, run_id, told)
        )
    return result


def _look_at_pools(instance: dg.DagsterInstance, run_id: str, told: set[str]) -> None:
    """Say what the run waits for, and see that it does not wait in vain."""
    with contextlib.suppress(Exception):  # the run itself says what is wrong with Dagster's storage
        pools.requeue_lost_steps(instance)
    with contextlib.suppress(Exception):
        pools.notify_of_pools(instance, run_id, told)


def _interruptible(work: Callable[[], Any], cancel: Callable[[], None], look: Callable[[], None]) -> Any:
    """Do the work in a thread, so that a signal ends it at once; look at it every two seconds.

    In the main thread, Dagster would handle the signal itself, and with a `RetryPolicy` it retries an interrupted step
    (dagster 1.13, `op_execution_error_boundary`).
    """
    done: dict[str, Any] = {}

    def run() -> None:
        # A terminal sends Ctrl-C to every process. Those that Dagster starts to copy a step's output inherit this, and
        # would print tracebacks (`watch_orphans.py`, dagster 1.13); they end when this process does.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            done["result"] = work()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            done["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(progress.WAIT_SECONDS)
            if thread.is_alive():
                look()
    except BaseException:
        recorder = threading.Thread(target=cancel, daemon=True)
        recorder.start()
        recorder.join(_STOP_SECONDS)
        raise
    if "error" in done:
        raise done["error"]
    return done["result"]


def _cancel(instance: dg.DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run and not run.is_finished:
        instance.report_run_canceled(run, "The command was stopped.")
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def _outcome(result: dg.ExecuteInProcessResult, seconds: float) -> Outcome:
    """Return what the run's events say."""
    made = [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]
    if not result.success:
        names = frozenset(each.asset_key.path[-1] for each in made)
        return Outcome("failed", reason_of(result), seconds, names)
    for event in result.get_asset_observation_events():
        said = event.asset_observation_data.asset_observation.metadata
        if "status" in said:
            parts = {name: str(value.value) for name, value in said.items()}
            error = TaxiError(parts["error"], location=parts.get("location", ""), remedy=parts.get("remedy", ""))
            return Outcome(parts["status"], str(error), seconds, made=frozenset())
    changed = any(metadata["changed"].value for each in made if "changed" in (metadata := each.metadata))
    return Outcome("landed" if changed else "unchanged", "", seconds)


def reason_of(result: dg.ExecuteInProcessResult) -> str:
    """Return why a run failed, as its events say."""
    return next((failure.reason for failure in history.failures_in(result.all_events)), "its log in the UI says why")
