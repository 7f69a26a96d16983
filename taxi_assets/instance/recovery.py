"""Ends runs that Dagster records as running although their process died, as after a power cut.

Dagster's run monitoring checks containers and pods, but not the processes of `DefaultRunLauncher`: such a run would
stay STARTED for a day and keep its pool slots. `taxi-assets dev` and `run` call `end_dead_runs` before they start; the
daemon then retries the runs (`run_retries` in dagster.yaml). Delete this module when `DefaultRunLauncher` supports
`check_run_worker_health` (dagster 1.13 does not).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
import psutil

from taxi_assets.instance import history
from taxi_assets.instance.runs import PID_TAG

_BEGUN = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
_WORKERS = ("dagster", "taxi_assets", "taxi-assets", "multiprocessing")
"""One of these is in the command line of every process that executes runs."""


@dataclass(frozen=True)
class Recovered:
    """A dead run that was ended.

    Attributes:
        run_id: The run.
        subject: Its months, or its job.
        again: Whether the daemon retries it: not if it was being canceled, has no retries left, or was started by
            `taxi-assets run` or `dg launch`, whose runs do not record where their code is.
    """

    run_id: str
    subject: str
    again: bool


def end_dead_runs(
    instance: dg.DagsterInstance,
    statuses: Sequence[dg.DagsterRunStatus] = _BEGUN,
    tags: Mapping[str, str] | None = None,
) -> list[Recovered]:
    """End runs that have begun and have no living process on this machine; free their pool slots.

    Does nothing where containers or pods execute the runs, unless tags select those of this machine.

    Args:
        instance: Where the runs are recorded.
        statuses: Runs to check. While a daemon works, only STARTED: the others may not have a process yet. Those of
            `taxi-assets run` are checked even before they start: Ctrl-C may leave one.
        tags: Tags of the runs to check, where runs of other machines are recorded too.
    """
    if not tags and not isinstance(instance.run_launcher, dg.DefaultRunLauncher):
        return []
    recovered = []
    for run in instance.get_runs(dg.RunsFilter(statuses=[*statuses, dg.DagsterRunStatus.NOT_STARTED], tags=tags)):
        ours = 0 if run.remote_job_origin else int(run.tags.get(PID_TAG, 0))  # re-executing a run copies its tags
        if run.status == dg.DagsterRunStatus.NOT_STARTED and not ours:
            continue  # the daemon's, which will start it
        if _is_alive(ours or _worker_of(instance, run.run_id)):
            continue
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, "The run was being canceled when its process died.")
        else:
            instance.report_run_failed(run, "The run's process is gone: a crash, a kill or a power cut.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        ended = instance.get_run_by_id(run.run_id)
        again = ended is not None and history.will_retry(ended)
        recovered.append(Recovered(run.run_id, history.describe_run(run), again))
    return recovered


def _worker_of(instance: dg.DagsterInstance, run_id: str) -> int:
    """Return the process that last reported a step or the start of a run; 0 if none did."""
    for entry in reversed(instance.all_logs(run_id)):
        event = entry.dagster_event
        # the daemon and the code server report the other events
        if event and event.pid and (event.step_key or event.event_type == dg.DagsterEventType.RUN_START):
            return int(event.pid)
    return 0


def _is_alive(pid: int) -> bool:
    """Return whether a process executes runs, and is not another one that got the number of a dead one.

    No clock is compared: times in the event log are of the clock as it was set then, and a clock may be set forward.
    This process has not begun a run yet, so a run of its number is a predecessor's, as in a container that restarts.
    """
    if pid in (0, os.getpid()):
        return False
    try:
        process = psutil.Process(pid)
        words = " ".join(process.cmdline())
        return process.status() != psutil.STATUS_ZOMBIE and any(word in words for word in _WORKERS)
    except psutil.AccessDenied:
        return True  # another user's, of which the system says no more
    except psutil.NoSuchProcess:
        return False
