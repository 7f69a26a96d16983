"""What is done after a power cut: runs that Dagster believes to be running, and are not, are ended.

Dagster's monitoring asks containers and pods whether they live, but not a process on this machine. So `taxi-assets dev`
calls this before it starts. Ended as failed by a crash, the runs are what `run_retries` in dagster.yaml is for: the
daemon requests what they left undone again. A worker that outlived its parents is left to finish.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.storage.dagster_run import ACTIVE_RUN_STATUSES
from dagster._core.storage.tags import WILL_RETRY_TAG

from taxi_assets.instance import history

_SLACK = 5.0
"""Seconds that clocks of processes and events may differ by."""


@dataclass(frozen=True)
class Recovered:
    """A run that was dead.

    Attributes:
        run_id: The run.
        about: Its months, or its job.
        again: Whether the daemon runs it again: not if it was being cancelled, has been tried again often enough, or
            was started by `dg launch`, whose runs do not say where their code is.
    """

    run_id: str
    describe_run: str
    again: bool


def end_dead_runs(
    instance: dg.DagsterInstance,
    statuses: Sequence[dg.DagsterRunStatus] = ACTIVE_RUN_STATUSES,
    tags: Mapping[str, str] | None = None,
) -> list[Recovered]:
    """End runs that are recorded as begun and have no living process on this machine; free their pools' slots.

    Nothing is done where runs are launched into containers or pods, unless tags name those of this machine.

    Args:
        instance: Where the runs are recorded.
        statuses: Runs to look at. While a daemon runs, only those that are STARTED: the others may have no process yet.
        tags: Tags of the runs to look at, where runs of other machines are recorded too.
    """
    if not tags and not isinstance(instance.run_launcher, DefaultRunLauncher):
        return []
    recovered = []
    for run in instance.get_runs(dg.RunsFilter(statuses=list(statuses), tags=tags)):
        if _lives(instance, run.run_id):
            continue
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, "The run was being cancelled when its process died.")
        else:
            instance.report_run_failed(run, "The run's process is gone: a crash, a kill or a power cut.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        ended = instance.get_run_by_id(run.run_id)
        again = ended is not None and will_run_again(ended)
        recovered.append(Recovered(run.run_id, history.describe_run(run), again))
    return recovered


def will_run_again(run: dg.DagsterRun) -> bool:
    """Whether the daemon runs a failed run again by itself."""
    return run.tags.get(WILL_RETRY_TAG) == "true" and run.remote_job_origin is not None


def _lives(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether the process that last reported an event of a run is still there, and is not another with its number."""
    for entry in reversed(instance.all_logs(run_id)):
        event = entry.dagster_event
        # other events of a run are written by the daemon or the code server
        if event and event.pid and (event.step_key or event.event_type == dg.DagsterEventType.RUN_START):
            return _is_process(event.pid, entry.timestamp)
    return False


def _is_process(pid: int, seen: float) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False  # gone, or of another user and so not ours
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        up = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return True  # the system does not say more
    if state[0] == "Z":  # killed, and its parent, killed too, has not taken note of it
        return False
    started = time.time() - up + int(state[19]) / os.sysconf("SC_CLK_TCK")
    return started < seen + _SLACK
