"""What each class of failure leads to: skipped, failed at once, or tried again with growing waits."""

from __future__ import annotations

import time
from collections.abc import Callable

import dagster as dg
import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.failures import reported_failures, retry_policy
from taxi_assets.months import Month
from taxi_assets.partitions import last_month
from taxi_assets.source.http import BlockedError
from taxi_assets_tests.automation.world import World
from taxi_assets_tests.servers.http_source import Answer, absent, broken, status

SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize(
    ("answer", "kind", "ends", "requests"),
    [
        (status(404), "permanent", FAILURE, 1),  # a month of three years ago that is gone
        (absent(), "permanent", FAILURE, 1),
        (status(200, b"this is not a trip file\n"), "permanent", FAILURE, 1),
        (status(403), "transient", FAILURE, 3),  # a block page
        (status(200, b"<!DOCTYPE html><html></html>"), "transient", FAILURE, 3),
        (status(429), "transient", FAILURE, 3),
        (status(503), "transient", FAILURE, 3),
        (broken(b"x" * 1000, 100), "transient", FAILURE, 3),
    ],
    ids=["404", "absent", "no trips", "403", "html", "429", "503", "broken"],
)
def test_a_months_failure_is_sorted_and_tried_again_only_where_that_may_help(
    make_world: Callable[..., World],
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    kind: str,
    ends: dg.DagsterRunStatus,
    requests: int,
) -> None:
    monkeypatch.setattr(BlockedError, "waits", (0.0,))
    world = make_world(attempts=3, first_wait=0.0)
    world.site.standing[world.path("yellow", "2023-01")] = answer
    run = world.land("yellow", "2023-01")
    assert run.status == ends
    assert len(world.site.asked[world.path("yellow", "2023-01")]) == requests
    events = world.instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    (failure,) = [event.event_log_entry.dagster_event for event in events]
    assert failure
    data = failure.step_failure_data.user_failure_data
    assert data
    assert data.metadata["kind"].value == kind
    assert data.metadata["then"].value == "materialize yellow/raw_file for 2023-01 again"
    assert "what to do: " in str(data.description)
    (note,) = world.instance.fetch_observations(dg.AssetKey(["yellow", "raw_file"]), limit=9).records
    assert note.asset_observation
    assert note.asset_observation.partition == "2023-01-01"
    parts = {name: str(value.value) for name, value in note.asset_observation.metadata.items()}
    assert data.description == f"{parts['error']}\nwhere: {parts['location']}\nwhat to do: {parts['remedy']}"


def test_a_recent_month_that_the_source_lacks_is_skipped_with_a_note(make_world: Callable[..., World]) -> None:
    world = make_world(attempts=3, first_wait=0.0)
    month = str(last_month(DATASETS["yellow"]))
    run = world.land("yellow", month)
    assert run.status == SUCCESS
    (note,) = world.instance.fetch_observations(dg.AssetKey(["yellow", "raw_file"]), limit=9).records
    assert note.asset_observation
    assert note.asset_observation.metadata["status"].value == "not_published"
    assert f"yellow {month} is not published" in str(note.asset_observation.metadata["error"].value)
    assert world.loaded("yellow") == []


def test_a_source_that_is_busy_only_once_delays_a_month_and_fails_nothing(make_world: Callable[..., World]) -> None:
    world = make_world(attempts=3, first_wait=0.0)
    world.publish("yellow", "2023-01")
    world.site.orders[world.path("yellow", "2023-01")] = [status(503), status(429)]
    assert world.land("yellow", "2023-01").status == SUCCESS
    assert world.loaded("yellow") == ["2023-01"]


def test_a_server_that_says_how_long_to_wait_is_obeyed_within_reason(make_world: Callable[..., World]) -> None:
    world = make_world(attempts=2, first_wait=0.0)
    world.publish("yellow", "2023-01")
    world.site.orders[world.path("yellow", "2023-01")] = [status(429, **{"Retry-After": "2"})]
    start = time.monotonic()
    assert world.land("yellow", "2023-01").status == SUCCESS
    assert 2 <= time.monotonic() - start < 20


def failure_of(error: TransientError, retry_number: int = 0) -> Exception:
    policy = retry_policy(5, 1.0)
    with (
        pytest.raises((dg.Failure, dg.RetryRequested)) as raised,
        reported_failures(dg.AssetKey("a"), None, retries=policy, retry_number=retry_number),
    ):
        raise error
    return raised.value


def test_a_server_that_asks_for_a_longer_wait_than_a_run_has_is_left_to_the_next_run() -> None:
    error = TransientError("busy")
    error.retry_after = 86_400
    failure = failure_of(error)
    assert isinstance(failure, dg.Failure)
    assert not failure.allow_retries
    assert failure.metadata["kind"].value == "transient"


def test_a_month_that_a_server_has_put_off_says_so_on_its_assets_page(make_world: Callable[..., World]) -> None:
    world = make_world(attempts=3, first_wait=0.0)
    path = world.path("yellow", "2023-01")
    world.site.standing[path] = status(429, **{"Retry-After": "3600"})
    assert world.land("yellow", "2023-01").status == FAILURE
    assert len(world.site.asked[path]) == 1
    (note,) = world.instance.fetch_observations(dg.AssetKey(["yellow", "raw_file"]), limit=9).records
    assert note.asset_observation
    assert note.asset_observation.metadata["status"].value == "failed"


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(28, "No space left on device")])
def test_a_month_that_the_machine_failed_for_good_says_so_on_its_assets_page(error: OSError) -> None:
    notes: list[dg.AssetObservation] = []
    key, month, policy = dg.AssetKey(["yellow", "raw_file"]), Month(2021, 1), retry_policy(2, 0.0)
    with pytest.raises(dg.Failure), reported_failures(key, month, retries=policy, retry_number=1, observe=notes.append):
        raise error
    (note,) = notes
    assert (note.partition, note.metadata["status"].value) == ("2021-01-01", "failed")


def test_a_server_that_asks_for_little_does_not_shorten_the_wait() -> None:
    error = TransientError("busy")
    error.retry_after = 0.001
    waits = [failure_of(error, 3) for _ in range(20)]
    assert all(isinstance(wait, dg.RetryRequested) and wait.max_retries == 4 for wait in waits)
    assert max(wait.seconds_to_wait or 0 for wait in waits if isinstance(wait, dg.RetryRequested)) > 4


def test_after_the_last_retry_the_step_fails_with_the_reason() -> None:
    error = TransientError("busy")
    error.retry_after = 1
    failure = failure_of(error, 4)
    assert isinstance(failure, dg.Failure)
    assert failure.description == "busy"


def test_waits_double_with_jitter() -> None:
    policy = retry_policy(6, 1.0)
    for attempt, wait in enumerate((1, 2, 4, 8, 16), 1):
        assert 0 <= policy.calculate_delay(attempt) <= 2 * wait
    assert len({policy.calculate_delay(3) for _ in range(9)}) > 1


def test_what_will_not_change_is_tried_once() -> None:
    with pytest.raises(dg.Failure) as failed, reported_failures(dg.AssetKey(["yellow", "raw_file"]), Month(2021, 1)):
        raise PermanentError("gone", location="there", remedy="look elsewhere")
    assert not failed.value.allow_retries
    assert failed.value.description == "gone\nwhere: there\nwhat to do: look elsewhere"
