"""Runs that the daemon should have retried, and did not, are requested again; all others are left alone."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from unittest.mock import patch

import dagster as dg
from dagster_postgres.utils import DagsterPostgresException

from taxi_assets_tests.automation.world import World, statuses

LATER = timedelta(minutes=3)


def in_a_while(after: timedelta = LATER) -> str:
    return (datetime.now(timezone.utc) + after).replace(tzinfo=None).isoformat()


def crashed(world: World, month: str = "2023-01") -> dg.DagsterRun:
    """Leave a run of a month as a crash does once the monitoring has ended it."""
    job = world.definitions.resolve_job_def("yellow_everything")
    run = world.instance.create_run_for_job(
        job_def=job, tags={"dagster/partition": f"{month}-01"}, status=dg.DagsterRunStatus.STARTED
    )
    world.instance.report_run_failed(run, "The run's process is gone.")
    return world.find(run.run_id)


def test_a_crashed_run_whose_retry_was_never_launched_is_requested_again(world: World) -> None:
    world.publish("yellow", "2023-01")
    run = crashed(world)
    assert run.tags["dagster/will_retry"] == "true"
    assert world.tick("retries", in_a_while(timedelta(seconds=30))).requests == []  # the daemon's turn
    tick = world.tick("retries", in_a_while())
    assert tick.months == ["yellow 2023-01"]
    assert [key.path[-1] for key in tick.requests[0].asset_selection or []] == [
        "bigquery_table", "cleaned_parquet", "gcs_object", "raw_file",
    ]  # fmt: skip
    world.land("yellow", "2023-01")
    assert world.tick("retries", in_a_while()).requests == []


def test_a_crashed_run_that_the_daemon_has_retried_is_left_alone(world: World) -> None:
    run = crashed(world)
    world.instance.add_run_tags(run.run_id, {"dagster/auto_retry_run_id": "another"})
    assert world.tick("retries", in_a_while()).requests == []


def test_a_crash_of_yesterday_is_left_to_people(world: World) -> None:
    crashed(world)
    assert world.tick("retries", in_a_while(timedelta(days=2))).requests == []


def test_a_run_that_failed_because_dagsters_database_was_away_is_requested_again(world: World) -> None:
    world.publish("yellow", "2023-01")
    store, lost = type(world.instance.event_log_storage).store_event, []

    def away(storage: object, event: dg.EventLogEntry) -> None:
        if event.dagster_event and event.dagster_event.event_type_value == "ASSET_MATERIALIZATION" and not lost:
            lost.append(event)
            raise DagsterPostgresException("too many retries for DB connection")
        store(storage, event)  # type: ignore[arg-type]

    with patch.object(type(world.instance.event_log_storage), "store_event", away):
        run = world.land("yellow", "2023-01")
    assert statuses([run]) == ["FAILURE"]
    assert run.tags.get("dagster/will_retry") != "true"
    assert world.tick("retries", in_a_while()).months == ["yellow 2023-01"]


def test_a_run_for_which_dagsters_database_is_away_again_is_requested_once_only(world: World) -> None:
    world.publish("yellow", "2023-01")
    store = type(world.instance.event_log_storage).store_event

    def away(storage: object, event: dg.EventLogEntry) -> None:
        if event.dagster_event and event.dagster_event.event_type_value == "ASSET_MATERIALIZATION":
            raise DagsterPostgresException("too many retries for DB connection")
        store(storage, event)  # type: ignore[arg-type]

    with patch.object(type(world.instance.event_log_storage), "store_event", away):
        world.land("yellow", "2023-01")
        tick = world.tick("retries", in_a_while())
        assert tick.months == ["yellow 2023-01"]
        assert statuses(world.run(tick)) == ["FAILURE"]
        assert world.tick("retries", in_a_while()).requests == []


def test_a_month_that_failed_by_itself_is_left_alone(world: World) -> None:
    world.site.files[world.path("yellow", "2023-01")] = b"<html>sorry</html>"
    assert statuses([world.land("yellow", "2023-01")]) == ["FAILURE"]
    assert world.tick("retries", in_a_while()).requests == []
