"""The publication sensor: what it requests as TLC publishes, is late, publishes anew, or does not answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import dagster as dg
import pytest

from taxi_assets.months import Month, months_between
from taxi_assets.sensors import polling
from taxi_assets_tests.automation.world import World, at, month_bytes, statuses
from taxi_assets_tests.servers.http_source import Answer, absent, drip, stall, status

HTML = b"<!DOCTYPE html><html><body>" + b"Please sign in. " * 5000 + b"</body></html>"


def test_a_month_published_between_two_ticks_is_loaded_once(world: World) -> None:
    first = world.tick("publication", "2023-03-20T10:00")
    assert first.months == []
    assert "2 not published" in first.skipped
    assert "yellow 2023-01: the source answers 404" in first.skipped
    world.publish("yellow", "2023-01")
    second = world.tick("publication", "2023-03-20T11:00")
    assert second.months == ["yellow 2023-01"]
    assert statuses(world.run(second)) == ["SUCCESS"]
    assert world.loaded("yellow") == ["2023-01"]
    third = world.tick("publication", "2023-03-20T12:00")
    assert third.months == []
    assert "1 unchanged" in third.skipped


def test_a_month_that_a_run_is_about_already_is_not_requested_again(world: World) -> None:
    world.publish("yellow", "2023-01")
    world.queue(world.tick("publication", "2023-03-20T10:00"))
    world.cursors.clear()
    assert world.tick("publication", "2023-03-20T11:00").months == []


def test_a_month_that_landed_before_the_sensor_ever_ran_is_known(world: World) -> None:
    world.publish("yellow", "2023-01")
    world.land("yellow", "2023-01")
    assert world.tick("publication", "2023-03-20T10:00").months == []


def test_a_month_that_is_published_anew_is_loaded_again_and_the_rows_are_the_new_ones(world: World) -> None:
    world.publish("yellow", "2023-01", rows=20)
    world.run(world.tick("publication", "2023-03-20T10:00"))
    world.publish("yellow", "2023-01", rows=30)
    again = world.tick("publication", "2023-03-20T11:00")
    assert again.months == ["yellow 2023-01"]
    world.run(again)
    world.publish("yellow", "2023-01", rows=20)  # and back
    back = world.tick("publication", "2023-03-20T12:00")
    assert back.months == ["yellow 2023-01"]
    world.run(back)
    assert world.tick("publication", "2023-03-20T13:00").months == []


def test_when_tlc_is_late_each_tick_says_so_and_the_month_is_loaded_when_it_comes(world: World) -> None:
    world.publish("green", "2023-01")
    world.land("green", "2023-01")
    for day in ("2023-03-20", "2023-04-01", "2023-04-30"):
        assert "yellow 2023-01: the source answers 404" in world.tick("publication", f"{day}T10:00").skipped
    world.publish("yellow", "2023-01")
    assert world.tick("publication", "2023-05-01T10:00").months == ["yellow 2023-01"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (absent(), "not published"),
        (status(403), "2 down"),
        (status(404), "not published"),
        (status(429, Retry_After="60"), "2 down"),
        (status(503), "2 down"),
        (status(200, HTML), "an HTML page"),
    ],
    ids=["denied", "403", "404", "429", "503", "html"],
)
def test_no_run_is_requested_for_a_month_that_cannot_be_had(world: World, answer: Answer, says: str) -> None:
    for name in world.names:
        world.site.standing[world.path(name, "2023-01")] = answer
    tick = world.tick("publication", "2023-03-20T10:00")
    assert tick.requests == []
    assert says in tick.skipped


def test_a_source_that_is_down_is_asked_twice_in_a_tick(make_world: Callable[..., World]) -> None:
    world = make_world()
    for month in range(1, 13):
        world.site.standing[world.path("yellow", f"2023-{month:02}")] = status(503)
        world.site.standing[world.path("green", f"2023-{month:02}")] = status(503)
    tick = world.tick("publication", "2024-02-20T10:00")
    assert tick.requests == []
    assert world.site.requests == 2
    assert "was not asked for" in tick.skipped
    world.publish("yellow", "2023-12")
    world.site.standing.clear()
    assert "yellow 2023-12" in world.tick("publication", "2024-02-20T11:00").months


def test_a_month_that_failed_for_good_is_not_requested_again_until_its_file_changes(world: World) -> None:
    world.site.files[world.path("yellow", "2023-01")] = b"a,b\n" * 20000  # a CSV of something else
    tick = world.tick("publication", "2023-03-20T10:00")
    assert statuses(world.run(tick)) == ["FAILURE"]
    assert world.tick("publication", "2023-03-20T11:00").requests == []
    world.publish("yellow", "2023-01")
    assert statuses(world.run(world.tick("publication", "2023-03-20T12:00"))) == ["SUCCESS"]


def test_seventeen_years_of_four_datasets_come_in_portions_and_do_not_flood_the_queue(
    make_world: Callable[..., World],
) -> None:
    world = make_world(("yellow", "green", "fhv", "fhvhv"))
    world.instance = dg.DagsterInstance.ephemeral()  # on disk, six hundred runs take minutes
    first = {"yellow": "2009-01", "green": "2013-08", "fhv": "2015-01", "fhvhv": "2019-02"}
    everything = [
        f"{name} {month}"
        for name, month_of_first in first.items()
        for month in months_between(Month.parse(month_of_first), Month(2026, 9))
    ]
    for key in everything:
        world.site.files[world.path(*key.split())] = b"pickup_datetime,zone\n2020-01-01,1\n"
    requested: list[str] = []
    most = 0
    for hour in range(40):
        tick = world.tick("publication", str(at("2026-11-20T10:00") + timedelta(hours=hour)))
        requested += tick.months
        world.queue(tick)
        waiting = world.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
        most = max(most, len(waiting))
        if tick.requests == [] and len(waiting) >= 100:
            assert "100 runs have not ended" in tick.skipped
            for run in waiting:
                world.instance.report_run_failed(run)
        if len(requested) >= len(everything):
            break
    assert sorted(requested) == sorted(everything)
    assert most == 100


def test_a_slow_source_does_not_hold_a_tick_beyond_its_time(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "POLL_BUDGET_SECONDS", 1.0)
    world = make_world()
    for month in months_between(Month(2022, 1), Month(2023, 12)):
        for name in world.names:
            content = month_bytes(name, month, 5)
            world.site.standing[world.path(name, str(month))] = stall(0.3, content, len(content), before=True)
    tick = world.tick("publication", "2024-02-20T10:00")
    asked = world.site.requests
    assert 1 <= asked <= 5
    assert len(tick.months) == asked
    world.queue(tick)
    assert set(tick.months).isdisjoint(world.tick("publication", "2024-02-20T11:00").months)


def test_a_source_that_accepts_and_says_nothing_is_given_up_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "PROBE_TIMEOUT_SECONDS", 0.3)
    for name in world.names:
        world.site.standing[world.path(name, "2023-01")] = stall(2, before=True)
    tick = world.tick("publication", "2023-03-20T10:00")
    assert tick.requests == []
    assert "2 down" in tick.skipped
    assert world.site.requests == 2  # a second month shows whether it is the first or the source


def test_a_file_that_drips_costs_a_tick_its_budget_and_the_others_are_asked_for(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "PROBE_BUDGET_SECONDS", 1.0)
    world = make_world()
    world.publish("yellow", "2023-11,2020-01")
    world.publish("green", "2023-12")
    content = world.site.files[world.path("green", "2023-12")]
    world.site.standing[world.path("yellow", "2023-12")] = drip(content, 0.05)
    requested: list[str] = []
    for hour in range(10, 17):
        tick = world.tick("publication", f"2024-02-20T{hour}:00")
        world.queue(tick)
        requested += tick.months
    assert sorted(requested) == ["green 2023-12", "yellow 2020-01", "yellow 2023-11"]


def test_the_sensor_says_what_it_will_fetch_before_it_is_switched_on(world: World) -> None:
    description = world.definitions.get_repository_def().get_sensor_def("publication").description or ""
    for text in ("everything since 2023-01", "0.7 TB", "TAXI_AUTOMATION_SINCE"):
        assert text in description
