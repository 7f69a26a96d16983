"""What each class of failure leads to: skipped, failed at once, or tried again with growing waits."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
import pytest

from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.retries import retrying
from taxi_assets_tests.automation.world import World
from taxi_assets_tests.servers.http_source import Answer, broken, status

SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize(
    ("answer", "kind", "ends", "requests"),
    [
        (status(404), "not_published", SUCCESS, 1),
        (status(403), "permanent", FAILURE, 1),  # of a month that is three years old
        (status(200, b"<!DOCTYPE html><html></html>"), "permanent", FAILURE, 1),
        (status(429), "transient", FAILURE, 3),
        (status(503), "transient", FAILURE, 3),
        (broken(b"x" * 1000, 100), "transient", FAILURE, 3),
    ],
    ids=["404", "403", "html", "429", "503", "broken"],
)
def test_a_months_failure_is_sorted_and_tried_again_only_where_that_may_help(
    make_world: Callable[..., World], answer: Answer, kind: str, ends: dg.DagsterRunStatus, requests: int
) -> None:
    world = make_world(attempts=3, first_wait=0.0)
    world.site.standing[world.path("yellow", "2023-01")] = answer
    run = world.land("yellow", "2023-01")
    assert run.status == ends
    assert len(world.site.asked[world.path("yellow", "2023-01")]) == requests
    (note,) = world.instance.fetch_observations(dg.AssetKey(["yellow", "raw_file"]), limit=9).records
    assert note.asset_observation
    assert note.asset_observation.metadata["kind"].value == kind


def test_a_source_that_is_busy_only_once_delays_a_month_and_fails_nothing(make_world: Callable[..., World]) -> None:
    world = make_world(attempts=3, first_wait=0.0)
    world.publish("yellow", "2023-01")
    world.site.orders[world.path("yellow", "2023-01")] = [status(503), status(429)]
    assert world.land("yellow", "2023-01").status == SUCCESS
    assert world.loaded("yellow") == ["2023-01"]


def test_waits_double_and_jitter_and_obey_the_other_side_within_reason() -> None:
    def waits(retry_after: float) -> list[float]:
        found: list[float] = []
        retries = retrying(6, 1.0)
        retries.sleep = found.append

        def busy() -> None:
            error = TransientError("busy")
            error.retry_after = retry_after
            raise error

        with pytest.raises(TransientError):
            retrying(busy)
        return found

    for wait, least in zip(waits(0), (1, 2, 4, 8, 16), strict=True):
        assert least <= wait <= least + 1
    assert waits(0) != waits(0)
    assert waits(30)[0] == 30
    assert waits(86400)[0] == 120


def test_what_will_not_change_is_tried_once() -> None:
    calls: list[int] = []

    def gone() -> None:
        calls.append(1)
        raise PermanentError("gone")

    with pytest.raises(PermanentError):
        retrying(6, 1.0)(gone)
    assert len(calls) == 1
