"""The retry sensor: requests runs again that `run_retries` should have repeated and did not.

It fills two gaps of dagster 1.13:

- The daemon that retries crashed runs drops a retry for good if it cannot reach the code location at that moment.
- Dagster's storage gives up after 6 s without its database. The step that was reporting an event then fails, though
  nothing is wrong with its month, and counts as a failed step, which `run_retries` leaves alone.

Delete it when the daemon repeats retries that it could not launch, and when a lost event no longer fails a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from taxi_assets.instance import history
from taxi_assets.jobs import request_month
from taxi_assets.names import MONTHLY_REPORT, asset_key
from taxi_assets.sensors import polling

INTERVAL_SECONDS = 60
MIN_AGE, MAX_AGE = timedelta(minutes=2), timedelta(days=1)
"""Time since a run failed: the daemon retries within a minute, and after a day a person has seen the failure."""

_RUN_KEY = "retry/"
_STORAGE_ERRORS = {"DagsterPostgresException", "OperationalError"}
"""Classes of the errors of Dagster's storage; those of our own stores arrive as `dagster.Failure`."""


def retry_sensor(jobs: Sequence[Any], status: Any) -> dg.SensorDefinition:
    """Return the sensor; the jobs are those that load everything, one for each dataset."""

    @dg.sensor(
        name="retries",
        description="Requests runs again that crashed or lost Dagster's database, and that the daemon did not retry.",
        jobs=jobs,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=status,
    )
    def retries(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        requests = list(_requests(context.instance, polling.utc_now()))
        return dg.SensorResult(run_requests=requests, skip_reason=None if requests else "no retry was missed")

    return retries


def _requests(instance: dg.DagsterInstance, now: datetime) -> Iterator[dg.RunRequest]:
    failed = [dg.DagsterRunStatus.FAILURE]
    between = dg.RunsFilter(statuses=failed, updated_after=now - MAX_AGE, updated_before=now - MIN_AGE)
    for run in instance.get_runs(between):  # not `get_run_records`: see `_stuck` of the watchdog
        months = history.months_of_run(run)
        if len(months) != 1 or not _missed(instance, run) or history.was_followed(instance, run):
            continue
        ((dataset, month),) = months
        planned = instance.get_records_for_run(
            run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
        ).records
        names = {each.asset_key.path[-1] for each in planned if each.asset_key} - {MONTHLY_REPORT}
        if names:
            request = request_month(dataset, month, run_key=f"{_RUN_KEY}{run.run_id}")
            keys = [asset_key(dataset, name) for name in sorted(names)]
            yield request._replace(asset_selection=keys, run_config=run.run_config)


def _missed(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return whether a retry was decided on and not launched, or Dagster's storage failed the run."""
    if run.tags.get("dagster/will_retry") == "true":
        return "dagster/auto_retry_run_id" not in run.tags
    if run.tags.get(history.RUN_KEY_TAG, "").startswith(_RUN_KEY):
        return False  # once is enough: the database has been away for minutes
    records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    events = [event for record in records if (event := record.event_log_entry.dagster_event)]
    return any(_is_storage_error(event.step_failure_data) for event in events)


def _is_storage_error(failure: Any) -> bool:
    error = None if failure.user_failure_data else failure.error
    while error and error.cls_name not in _STORAGE_ERRORS:
        error = error.cause
    return error is not None
