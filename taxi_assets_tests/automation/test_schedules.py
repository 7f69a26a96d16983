"""The schedules: what they request at given times, with TLC's lag, and that no tick asks for what must fail."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest

from taxi_assets import schedules
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets_tests.automation.world import World, statuses
from taxi_assets_tests.servers.http_source import status


@pytest.mark.parametrize(
    ("now", "month"),
    [
        ("2023-04-03T05:00", "2023-01"),  # January ended 62 days ago
        ("2023-03-03T05:00", "2022-12"),  # 62 days, over a year's end
        ("2023-05-03T05:00", "2023-02"),  # 64 days
        ("2024-05-03T05:00", "2024-02"),  # 64 days, in a leap year
    ],
)
def test_the_schedule_requests_the_month_that_is_due(make_world: Callable[..., World], now: str, month: str) -> None:
    world = make_world(automation_since=Month(2022, 12))
    world.publish("yellow", month)
    assert world.schedule("yellow_missing_months", now).months == [f"yellow {month}"]


def test_the_schedule_requests_nothing_while_tlc_is_late_and_says_so(world: World) -> None:
    tick = world.schedule("yellow_missing_months", "2023-04-03T05:00")
    assert tick.requests == []
    assert "2 not published" in tick.skipped
    assert "yellow 2023-01: the source answers 404" in tick.skipped


def test_the_schedule_requests_a_month_that_has_landed_no_more(world: World) -> None:
    world.publish("yellow", "2023-01")
    assert statuses(world.run(world.schedule("yellow_missing_months", "2023-03-20T05:30"))) == ["SUCCESS"]
    assert world.loaded("yellow") == ["2023-01"]
    tick = world.schedule("yellow_missing_months", "2023-03-21T05:30")
    assert tick.requests == []
    assert "nothing of yellow is missing" in tick.skipped


def test_the_schedule_requests_what_the_warehouse_of_the_settings_does_not_have_whatever_the_history_says(
    make_world: Callable[..., World],
) -> None:
    world = make_world(automation_since=Month(2023, 1))
    world.publish("yellow", "2023-01,2023-02")
    world.land("yellow", "2023-01")
    assert world.schedule("yellow_missing_months", "2023-04-20T05:30").months == ["yellow 2023-02"]
    elsewhere = make_world(automation_since=Month(2023, 1), warehouse_schema="another_schema")
    tick = elsewhere.schedule("yellow_missing_months", "2023-04-20T05:30")
    assert tick.months == ["yellow 2023-01", "yellow 2023-02"]
    assert statuses(elsewhere.run(tick)) == ["SUCCESS", "SUCCESS"]
    assert elsewhere.schedule("yellow_missing_months", "2023-04-21T05:30").requests == []
    world.settings.duckdb_path.write_bytes(b"no database" * 1000)  # then the history alone decides
    world.publish("yellow", "2023-03")
    assert elsewhere.schedule("yellow_missing_months", "2023-07-21T05:30").months == ["yellow 2023-03"]


def test_a_dataset_that_has_not_begun_is_skipped(make_world: Callable[..., World]) -> None:
    world = make_world(("fhvhv",))
    assert world.schedule("fhvhv_missing_months", "2018-04-03T05:00").requests == []


def test_the_schedule_ticks_daily_and_when_the_setting_says_that_a_month_is_due(
    make_world: Callable[..., World],
) -> None:
    world = make_world(monthly_cron="15 7 12 * *")
    repository = world.definitions.get_repository_def()
    assert repository.get_schedule_def("green_missing_months").cron_schedule == ["15 7 12 * *", "35 5 * * *"]


def test_the_schedule_requests_a_run_for_every_month_that_is_published_but_missing(world: World) -> None:
    world.publish("yellow", "2023-01,2023-02,2023-03,2023-05,2023-06")
    world.land("yellow", "2023-02")
    tick = world.schedule("yellow_missing_months", "2023-09-20T05:30")
    assert tick.months == [f"yellow 2023-{month:02}" for month in (1, 3, 5, 6)]
    assert len(tick.requests) == 4
    world.queue(tick)
    again = world.schedule("yellow_missing_months", "2023-09-20T05:31")
    assert again.requests == []
    assert "not published" in again.skipped


def test_the_schedule_of_one_dataset_leaves_the_others_alone(world: World) -> None:
    world.publish("yellow", "2023-01")
    world.publish("green", "2023-01")
    assert world.schedule("green_missing_months", "2023-03-20T05:35").months == ["green 2023-01"]


def test_a_month_that_failed_for_good_is_requested_by_no_schedule_but_one_that_met_a_busy_source_is(
    world: World,
) -> None:
    world.site.files[world.path("yellow", "2023-01")] = b"a,b\n" * 20000  # a CSV of something else
    world.site.standing[world.path("yellow", "2023-02")] = status(503)
    assert statuses(world.land_all("yellow", "2023-01", "2023-02")) == ["FAILURE", "FAILURE"]
    del world.site.standing[world.path("yellow", "2023-02")]
    world.publish("yellow", "2023-02")
    assert world.schedule("yellow_missing_months", "2023-05-20T05:30").months == ["yellow 2023-02"]
    tick = world.schedule("yellow_missing_months", "2023-03-20T05:30")
    assert tick.requests == []
    assert "yellow 2023-01 failed for good" in tick.skipped
    world.land("yellow", "2023-02")
    tick = world.schedule("yellow_missing_months", "2023-06-20T05:30")
    assert "2 not published" in tick.skipped
    assert "yellow 2023-01 failed for good: " in tick.skipped


def test_a_month_that_a_store_or_the_machine_refused_is_requested_every_day(world: World) -> None:
    world.publish("yellow", "2023-01")
    refusals = {
        "staging.local.StagingArea.commit": PermissionError(13, "Permission denied"),
        "lake.folder.FolderLake.put": PermanentError("the permission is denied: storage.objects.create"),
    }
    for day, (method, refusal) in enumerate(refusals.items(), 20):
        with patch(f"taxi_assets.storage.{method}", side_effect=refusal):
            assert statuses([world.land("yellow", "2023-01")]) == ["FAILURE"]
        assert world.schedule("yellow_missing_months", f"2023-03-{day}T05:30").months == ["yellow 2023-01"]


def test_one_month_that_the_source_cannot_give_does_not_keep_the_others_waiting(
    make_world: Callable[..., World],
) -> None:
    world = make_world(automation_since=Month(2022, 11))
    world.publish("yellow", "2022-11,2022-12")
    world.site.standing[world.path("yellow", "2023-01")] = status(503)
    assert world.schedule("yellow_missing_months", "2023-03-20T05:30").months == ["yellow 2022-11", "yellow 2022-12"]


def test_a_month_whose_file_is_here_but_which_is_not_in_the_table_is_requested(world: World) -> None:
    world.publish("yellow", "2023-01")
    world.land("yellow", "2023-01", steps=("raw_file", "cleaned_parquet"))
    assert world.schedule("yellow_missing_months", "2023-03-20T05:30").months == ["yellow 2023-01"]


@pytest.mark.parametrize("code", [403, 404, 429, 503])
def test_no_schedule_requests_what_the_source_does_not_give(world: World, code: int) -> None:
    world.site.standing[world.path("yellow", "2023-01")] = status(code)
    assert world.schedule("yellow_missing_months", "2023-03-20T05:30").requests == []


@pytest.mark.parametrize(
    ("settings", "running"),
    [
        ({}, False),
        ({"automation": "running"}, True),
        ({"profile": "gcp", "gcp_project": "my-project-1", "gcs_bucket": "bucket"}, True),
        ({"profile": "gcp", "gcp_project": "my-project-1", "gcs_bucket": "bucket", "automation": "stopped"}, False),
    ],
    ids=["local", "local, by setting", "deployed", "deployed, by setting"],
)
def test_schedules_and_sensors_are_visible_and_stand_still_in_the_local_profile_but_run_in_the_deployed_one(
    make_world: Callable[..., World], settings: dict[str, str], running: bool
) -> None:
    repository = make_world(**settings).definitions.get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "downstream",
        "failure_alerts",
        "lake",
        "pools",
        "publication",
        "recovery_alerts",
        "retries",
        "watchdog",
    }
    assert {schedule.name for schedule in repository.schedule_defs} == {
        f"{name}_missing_months" for name in ("yellow", "green")
    }
    found = {each.name: each.default_status.value for each in [*repository.sensor_defs, *repository.schedule_defs]}
    assert found.pop("pools") == "RUNNING"  # it requests no run
    assert set(found.values()) == {"RUNNING" if running else "STOPPED"}


def test_a_learner_finds_the_tutorials_jobs(world: World) -> None:
    repository = world.definitions.get_repository_def()
    chain = ["raw_file", "cleaned_parquet", "gcs_object", "bigquery_table"]
    for job, assets in (
        ("yellow_web_to_gcs", chain[:3]),
        ("yellow_gcs_to_bigquery", chain[3:]),
        ("yellow_everything", chain),
    ):
        selected = repository.get_job(job).asset_layer.selected_asset_keys
        assert selected == {dg.AssetKey(["yellow", name]) for name in assets}


def test_a_warehouse_that_does_not_answer_soon_does_not_hold_up_a_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    class Slow:
        def loaded_checksums(self, table: str) -> dict[Month, str]:
            answered.wait()
            return {Month(2023, 1): table}

    slow: Any = Slow()
    monkeypatch.setattr(schedules, "_WAREHOUSE_SECONDS", 0.1)
    assert schedules._in_warehouse(slow, "yellow_trips") is None
    answered.set()
    assert schedules._in_warehouse(slow, "yellow_trips") == {Month(2023, 1)}
