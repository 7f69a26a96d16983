"""What is told, to whom, how often; with a real webhook and a real mail server."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.storage.tags import WILL_RETRY_TAG
from dagster._core.utils import make_new_run_id
from dagster._time import get_current_datetime

from taxi_assets.instance.launch import origin_of
from taxi_assets_tests.automation.world import World
from taxi_assets_tests.servers.alert_receivers import Receiver, mail_server, webhook

NOW = "2023-04-03T10:00"


@pytest.fixture
def slack() -> Iterator[Receiver]:
    """Run a webhook."""
    with webhook() as receiver:
        yield receiver


@pytest.fixture
def notified(make_world: Callable[..., World], slack: Receiver) -> World:
    """A world whose alerts go to the webhook, after the sensor's first tick."""
    world = make_world(alert_webhook=slack.url, ui_url="https://dagster.example.com/")
    world.tick("alerts", NOW)
    return world


def fail(world: World, month: str = "2023-01") -> dg.DagsterRun:
    """Run a month whose file is a web page."""
    world.site.files[world.path("yellow", month)] = b"<!DOCTYPE html><html><body>Sign in</body></html>"
    run = world.land("yellow", month)
    assert run.status == dg.DagsterRunStatus.FAILURE
    return run


def test_a_failed_month_is_told_of_once_with_dataset_month_step_reason_and_a_link(
    notified: World, slack: Receiver
) -> None:
    run = fail(notified)
    assert notified.tick("alerts", NOW).skipped == "1 alerts"
    assert notified.tick("alerts", NOW).skipped == "0 alerts"
    (text,) = slack.texts
    first, *_, last = text.splitlines()
    assert first.startswith("yellow 2023-01 failed in raw_file: ")
    assert "an HTML page" in first
    assert last == f"https://dagster.example.com/runs/{run.run_id}"


def test_a_run_that_succeeds_is_told_to_no_one(notified: World, slack: Receiver) -> None:
    notified.publish("yellow", "2023-01")
    notified.land("yellow", "2023-01")
    assert notified.tick("alerts", NOW).skipped == "0 alerts"
    assert slack.texts == []


def test_a_month_that_lands_after_it_failed_has_recovered_once(notified: World, slack: Receiver) -> None:
    fail(notified)
    notified.tick("alerts", NOW)
    notified.publish("yellow", "2023-01")
    notified.land("yellow", "2023-01")
    notified.tick("alerts", NOW)
    notified.tick("alerts", NOW)
    assert slack.texts[1:] == ["yellow 2023-01 has recovered: raw_file has landed"]


def test_a_failed_blocking_check_is_told_of_by_its_name(make_world: Callable[..., World], slack: Receiver) -> None:
    world = make_world(alert_webhook=slack.url, rejected_share_limit=0.0)
    world.tick("alerts", NOW)
    world.publish("yellow", "2023-01")
    path = world.path("yellow", "2023-01")
    world.site.files[path] = _with_a_bad_row(world.site.files[path])
    world.land("yellow", "2023-01")
    world.tick("alerts", NOW)
    (text,) = slack.texts
    assert text.startswith("yellow 2023-01 failed in cleaned_parquet: check ledger: 21 source rows")


def test_many_months_that_fail_in_a_run_make_one_short_alert(notified: World, slack: Receiver) -> None:
    for month in range(1, 9):
        notified.site.files[notified.path("yellow", f"2023-{month:02}")] = b"<!DOCTYPE html><html></html>"
    notified.land("yellow", "2023-01", "2023-08")
    notified.tick("alerts", NOW)
    (text,) = slack.texts
    assert text.count("failed in raw_file") == 5
    assert "... and 3 more" in text


def test_an_alert_that_is_refused_is_tried_again_and_arrives_once(notified: World, slack: Receiver) -> None:
    fail(notified)
    slack.refusals = 2
    assert notified.tick("alerts", NOW).skipped == "1 alerts; 1 wait: the webhook answers 503"
    assert notified.tick("alerts", NOW).skipped == "0 alerts; 1 wait: the webhook answers 503"
    assert notified.tick("alerts", NOW).skipped == "0 alerts"
    notified.tick("alerts", NOW)
    assert len(slack.texts) == 1


def test_mail_and_webhook_each_get_an_alert_once_even_if_one_of_them_is_down(
    make_world: Callable[..., World], slack: Receiver
) -> None:
    with mail_server() as mail:
        world = make_world(alert_webhook=slack.url, alert_email="taxi@example.com", smtp_url=mail.url)
        world.tick("alerts", NOW)
        fail(world)
        mail.refusals = 1
        assert "1 wait: the e-mail" in world.tick("alerts", NOW).skipped
        assert (len(slack.texts), len(mail.texts)) == (1, 0)
        world.tick("alerts", NOW)
        assert (len(slack.texts), len(mail.texts)) == (1, 1)
        assert mail.subjects[0].strip().startswith("yellow 2023-01 failed in raw_file")
        assert mail.texts[0].splitlines() == slack.texts[0].splitlines()


def test_no_alert_log_or_cursor_holds_a_secret(
    make_world: Callable[..., World],
    slack: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture,
) -> None:
    address = "http://reader:PASS-WORD@127.0.0.1:9/{dataset}_{year}-{month:02}.csv.gz?key=QUERY-TOKEN"
    monkeypatch.setenv(
        "TAXI_CSV_URL", address
    )  # a resource's configuration names the variable of an address with secrets
    world = make_world(alert_webhook=slack.url, csv_url=address, attempts=1)
    world.tick("alerts", NOW)
    world.land("yellow", "2023-01")
    slack.refusals = 1
    said = [world.tick("alerts", NOW).skipped, world.tick("alerts", NOW).skipped]
    assert len(slack.texts) == 1
    everything = "".join([*said, *slack.texts, caplog.text, *capfd.readouterr(), str(world.cursors["alerts"])])
    assert "yellow 2023-01 failed in raw_file" in everything
    for secret in ("PASS-WORD", "QUERY-TOKEN", "SECRET-TOKEN"):
        assert secret not in everything


def test_without_a_channel_alerts_go_to_the_log(world: World, capfd: pytest.CaptureFixture) -> None:
    world.tick("alerts", NOW)
    fail(world)
    assert world.tick("alerts", NOW).skipped == "1 alerts"
    assert "yellow 2023-01 failed in raw_file" in capfd.readouterr().err


def test_a_crash_is_told_of_only_when_it_is_not_run_again(notified: World, slack: Receiver) -> None:
    for again in ("true", "false"):
        run = notified.instance.add_run(
            dg.DagsterRun(
                job_name="yellow_everything",
                run_id=make_new_run_id(),
                tags={"dagster/partition": "2023-01-01"},
                status=dg.DagsterRunStatus.STARTED,
                remote_job_origin=origin_of("yellow_everything"),
            )
        )
        notified.instance.report_run_failed(run, "The run's process is gone.")
        notified.instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: again})
        notified.tick("alerts", NOW)
        assert len(slack.texts) == (0 if again == "true" else 1)
    assert slack.texts[0].startswith("yellow 2023-01 failed: run ")


def test_a_run_that_does_not_end_and_one_that_does_not_begin_are_told_of_once(notified: World, slack: Receiver) -> None:
    later = str((get_current_datetime() + timedelta(hours=7)).replace(tzinfo=None))
    for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.QUEUED):
        run = notified.instance.add_run(
            dg.DagsterRun(
                job_name="yellow_everything",
                run_id=make_new_run_id(),
                tags={"dagster/partition": "2023-01-01"},
                status=status,
                remote_job_origin=origin_of("yellow_everything"),
            )
        )
        notified.tick("alerts", NOW)
        assert slack.texts == []
        notified.tick("alerts", later)
        notified.tick("alerts", later)
        state = "waits" if status == dg.DagsterRunStatus.QUEUED else "is started"
        assert [text.splitlines()[0] for text in slack.texts] == [
            f"yellow 2023-01 is stuck: its run {state} since 7.0 hours"
        ]
        slack.texts.clear()
        notified.instance.delete_run(run.run_id)


def test_the_latest_month_that_should_have_landed_is_told_of_and_again_when_it_has(
    notified: World, slack: Receiver
) -> None:
    notified.publish("yellow", "2023-01,2023-02")
    notified.land("yellow", "2023-01")
    notified.tick("alerts", "2023-04-20T10:00")
    assert slack.texts == []  # February ended 51 days ago
    notified.tick("alerts", "2023-05-20T10:00")  # 81 days
    notified.tick("alerts", "2023-05-21T10:00")
    assert slack.texts == [
        "yellow 2023-02 has not landed 75 days after its end; the last is 2023-01. the source has it"
    ]
    notified.land("yellow", "2023-02")
    notified.tick("alerts", "2023-05-22T10:00")
    notified.tick("alerts", "2023-05-22T11:00")
    assert slack.texts[1:] == ["yellow 2023-02 has recovered: it has landed"]


def test_a_month_that_tlc_does_not_have_is_told_of_as_late_with_the_sources_words(
    notified: World, slack: Receiver
) -> None:
    notified.publish("yellow", "2023-01")
    notified.land("yellow", "2023-01")
    notified.tick("alerts", "2023-05-20T10:00")
    assert slack.texts[0].startswith("yellow 2023-02 has not landed 75 days after its end")
    assert "the source answers 404" in slack.texts[0]


def _with_a_bad_row(month: bytes) -> bytes:
    lines = gzip.decompress(month).splitlines(keepends=True)
    return gzip.compress(b"".join([*lines, b"1,not a date\n"]))
