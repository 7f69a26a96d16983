"""What alerts say, to whom, and how often; with a real webhook and a real mail server."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.sensor_definition import SensorType
from dagster._core.remote_origin import RemoteInstigatorOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.storage.tags import WILL_RETRY_TAG
from dagster._core.utils import make_new_run_id
from dagster._utils.error import SerializableErrorInfo

from taxi_assets.contracts import DATASETS
from taxi_assets.partitions import last_month
from taxi_assets_tests.automation.origins import origin_of
from taxi_assets_tests.automation.world import World, at
from taxi_assets_tests.servers.alert_receivers import Receiver, mail_server, webhook

NOW = "2023-04-03T10:00"
QUIET = "nothing is stuck, failing or late"
WEBHOOK_REFUSES = "not delivered, will be sent again: the webhook answers 503"


@pytest.fixture
def slack() -> Iterator[Receiver]:
    """Run a webhook."""
    with webhook() as receiver:
        yield receiver


@pytest.fixture
def alerting(make_world: Callable[..., World], slack: Receiver) -> World:
    """A world whose alerts go to the webhook, after the first ticks of its sensors."""
    world = make_world(alert_webhook=slack.url, ui_url="https://dagster.example.com/")
    ticks(world)
    return world


def ticks(world: World, now: str = NOW) -> str:
    """Evaluate the sensors that send alerts; return what they say."""
    said = [world.tick(sensor, now).skipped for sensor in ("failure_alerts", "recovery_alerts", "watchdog")]
    return "\n".join(text for text in said if text and "empty result" not in text)


def fail(world: World, month: str = "2023-01") -> dg.DagsterRun:
    """Run a month whose file is a PDF."""
    world.site.files[world.path("yellow", month)] = b"%PDF-1.7 a letter"
    run = world.land("yellow", month)
    assert run.status == dg.DagsterRunStatus.FAILURE
    return run


def begin(world: World, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED) -> dg.DagsterRun:
    """Put a run of a month on the instance, without a process."""
    return world.instance.add_run(
        dg.DagsterRun(
            job_name="yellow_everything",
            run_id=make_new_run_id(),
            tags={"dagster/partition": "2023-01-01"},
            status=status,
            remote_job_origin=origin_of("yellow_everything"),
        )
    )


def test_an_alert_names_dataset_month_asset_and_reason_links_to_the_run_and_is_sent_once(
    alerting: World, slack: Receiver
) -> None:
    run = fail(alerting)
    said = ticks(alerting)
    ticks(alerting)
    (text,) = slack.texts
    first, *_, last = text.splitlines()
    assert first.startswith("yellow 2023-01 failed in raw_file: ")
    assert "a PDF document" in first
    assert last == f"https://dagster.example.com/runs/{run.run_id}"
    assert text in said  # the tick shows it in the UI


def test_a_run_that_succeeds_sends_no_alert(alerting: World, slack: Receiver) -> None:
    alerting.publish("yellow", "2023-01")
    alerting.land("yellow", "2023-01")
    assert ticks(alerting) == QUIET
    assert slack.texts == []


def test_a_month_that_lands_after_it_failed_has_recovered_once(alerting: World, slack: Receiver) -> None:
    fail(alerting)
    fail(alerting)
    ticks(alerting)
    alerting.publish("yellow", "2023-01")
    run = alerting.land("yellow", "2023-01")
    ticks(alerting)
    ticks(alerting)
    assert slack.texts[1:] == [f"yellow 2023-01 has recovered\nhttps://dagster.example.com/runs/{run.run_id}"]
    alerting.land("yellow", "2023-01")
    ticks(alerting)
    assert len(slack.texts) == 2


def test_months_that_recover_between_two_ticks_make_one_short_alert(alerting: World, slack: Receiver) -> None:
    months = [f"2023-{month:02}" for month in range(1, 9)]
    for month in months:
        fail(alerting, month)
    ticks(alerting)
    alerting.publish("yellow", ",".join(months))
    alerting.land_all("yellow", months[0], months[-1])
    for _ in months:
        ticks(alerting)
    (_, text) = slack.texts
    assert text.splitlines()[0] == "8 months have recovered"
    assert text.count("has recovered\n") == text.count("dagster.example.com/runs/") == 5
    assert text.endswith("... and 3 more: https://dagster.example.com/runs?q%5B0%5D=status%3ASUCCESS")


def test_a_month_that_landed_twice_since_it_failed_has_recovered_once(alerting: World, slack: Receiver) -> None:
    fail(alerting)
    ticks(alerting)
    alerting.publish("yellow", "2023-01")
    run = alerting.land("yellow", "2023-01")
    alerting.land("yellow", "2023-01")
    ticks(alerting)
    ticks(alerting)
    assert slack.texts[1:] == [f"yellow 2023-01 has recovered\nhttps://dagster.example.com/runs/{run.run_id}"]


def test_a_month_that_landed_before_it_failed_has_not_recovered(alerting: World, slack: Receiver) -> None:
    alerting.publish("yellow", "2023-01")
    alerting.land("yellow", "2023-01")
    fail(alerting)
    ticks(alerting)
    ticks(alerting)
    assert [text.partition(":")[0] for text in slack.texts] == ["yellow 2023-01 failed in raw_file"]


def test_a_month_has_not_recovered_while_what_failed_has_not_landed(alerting: World, slack: Receiver) -> None:
    recent = str(last_month(DATASETS["yellow"]))
    fail(alerting, recent)
    ticks(alerting)
    del alerting.site.files[alerting.path("yellow", recent)]
    assert alerting.land("yellow", recent).status == dg.DagsterRunStatus.SUCCESS  # not published: skipped
    alerting.publish("yellow", "2023-03")
    alerting.land("yellow", "2023-03")
    ticks(alerting)
    ticks(alerting)
    assert len(slack.texts) == 1


def test_a_re_execution_that_fails_is_an_alert_of_its_own(alerting: World, slack: Receiver) -> None:
    run = fail(alerting)
    ticks(alerting)
    tags = alerting.find(run.run_id).tags  # Dagster copies them
    alerting.definitions.resolve_job_def("yellow_everything").execute_in_process(
        instance=alerting.instance, partition_key="2023-01-01", tags=tags, raise_on_error=False
    )
    ticks(alerting)
    assert len(slack.texts) == 2


def test_a_failed_blocking_check_is_named_with_its_reason(make_world: Callable[..., World], slack: Receiver) -> None:
    world = make_world(alert_webhook=slack.url, rejected_share_limit=0.0)
    ticks(world)
    world.publish("yellow", "2023-01")
    path = world.path("yellow", "2023-01")
    world.site.files[path] = _with_a_bad_row(world.site.files[path])
    world.land("yellow", "2023-01")
    ticks(world)
    (text,) = slack.texts
    assert text.startswith("yellow 2023-01 failed in cleaned_parquet: check ledger: 21 source rows")


def test_runs_that_fail_between_two_ticks_make_one_short_alert(alerting: World, slack: Receiver) -> None:
    runs = [fail(alerting, f"2023-{month:02}") for month in range(1, 9)]
    for _ in runs:
        ticks(alerting)
    (text,) = slack.texts
    assert text.splitlines()[0] == "8 runs failed"
    assert text.count("failed in raw_file") == 5
    assert text.count("dagster.example.com/runs/") == 5
    assert "... and 3 more" in text
    fail(alerting, "2023-09")
    ticks(alerting)
    assert slack.texts[1].startswith("yellow 2023-09 failed in raw_file")


def test_an_alert_that_is_refused_is_sent_again_and_arrives_once(alerting: World, slack: Receiver) -> None:
    fail(alerting)
    slack.refusals = 2
    said = ticks(alerting)
    assert said.count(WEBHOOK_REFUSES) == 2  # by the failure sensor, then by the watchdog
    assert "yellow 2023-01 failed in raw_file" in ticks(alerting) + slack.texts[0]
    ticks(alerting)
    assert len(slack.texts) == 1


def test_runs_whose_alerts_were_refused_are_told_together_later(alerting: World, slack: Receiver) -> None:
    slack.refusals = 99
    for month in ("2023-01", "2023-02"):
        fail(alerting, month)
        ticks(alerting)
    alerting.publish("yellow", "2023-01")
    alerting.land("yellow", "2023-01")
    ticks(alerting)
    slack.refusals = 0
    ticks(alerting)
    ticks(alerting)
    (text,) = slack.texts
    assert text.startswith("2 runs failed\nyellow 2023-01 failed in raw_file: ")
    assert "yellow 2023-02 failed in raw_file: " in text
    assert "yellow 2023-01 has recovered" in text.splitlines()[-2]


def test_mail_and_webhook_each_get_an_alert_once_even_if_one_of_them_is_down(
    make_world: Callable[..., World], slack: Receiver
) -> None:
    with mail_server() as mail:
        world = make_world(alert_webhook=slack.url, alert_email="taxi@example.com", smtp_url=mail.url)
        ticks(world)
        fail(world)
        mail.refusals = 2
        assert "not delivered, will be sent again: the e-mail" in ticks(world)
        assert (len(slack.texts), len(mail.texts)) == (1, 0)
        ticks(world)
        ticks(world)
        assert (len(slack.texts), len(mail.texts)) == (1, 1)
        assert mail.subjects[0].strip().startswith("yellow 2023-01 failed in raw_file")
        assert mail.texts[0].splitlines() == slack.texts[0].splitlines()


def test_no_alert_log_cursor_or_tag_holds_a_secret(
    make_world: Callable[..., World],
    slack: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture,
) -> None:
    address = "http://reader:PASS-WORD@127.0.0.1:9/{dataset}_{year}-{month:02}.csv.gz?key=QUERY-TOKEN"
    # the configuration of a resource names the variable of an address with secrets
    monkeypatch.setenv("TAXI_CSV_URL", address)
    world = make_world(alert_webhook=slack.url, csv_url=address, attempts=1)
    ticks(world)
    run = world.land("yellow", "2023-01")
    slack.refusals = 1
    said = [ticks(world), ticks(world)]
    assert len(slack.texts) == 1
    kept = [world.find(run.run_id).tags, world.cursors]
    everything = "".join(map(str, [*said, *slack.texts, caplog.text, *capfd.readouterr(), *kept]))
    assert "yellow 2023-01 failed in raw_file" in everything
    for secret in ("PASS-WORD", "QUERY-TOKEN", "SECRET-TOKEN"):
        assert secret not in everything


def test_without_a_channel_alerts_go_to_the_log(world: World, capfd: pytest.CaptureFixture) -> None:
    ticks(world)
    fail(world)
    ticks(world)
    assert "yellow 2023-01 failed in raw_file" in capfd.readouterr().err
    assert ticks(world) == QUIET


def test_a_crash_is_an_alert_only_if_the_run_is_not_retried(alerting: World, slack: Receiver) -> None:
    for again in ("true", "false"):
        run = begin(alerting)
        alerting.instance.report_run_failed(run, "The run's process is gone.")
        alerting.instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: again})
        ticks(alerting)
        assert len(slack.texts) == (0 if again == "true" else 1)
    assert slack.texts[0].startswith("yellow 2023-01 failed: The run's process is gone.")


@pytest.mark.parametrize("dropped", [False, True], ids=["its sensor failed", "its retry was dropped"])
def test_a_failed_run_that_no_alert_has_told_of_is_told_once(dropped: bool, alerting: World, slack: Receiver) -> None:
    run = begin(alerting)
    alerting.instance.report_run_failed(run, "The run's process is gone.")
    alerting.instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "true" if dropped else "false"})
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    alerting.tick("watchdog", str(now + timedelta(minutes=5)))
    assert slack.texts == []  # it may still be told, or retried
    for minutes in (15, 16):
        ticks(alerting, str(now + timedelta(minutes=minutes)))
    assert [text.splitlines()[0] for text in slack.texts] == ["yellow 2023-01 failed: The run's process is gone."]


def test_a_failed_run_that_was_not_reported_is_no_alert_once_its_month_has_landed(
    alerting: World, slack: Receiver
) -> None:
    run = begin(alerting)
    alerting.instance.report_run_failed(run, "The run's process is gone.")
    alerting.publish("yellow", "2023-01")
    alerting.land("yellow", "2023-01")
    alerting.tick("watchdog", str(datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(minutes=15)))
    assert "failed" not in "".join(slack.texts)


def test_a_run_that_does_not_end_and_one_that_does_not_begin_are_an_alert_once(
    alerting: World, slack: Receiver
) -> None:
    later = str((datetime.now(timezone.utc) + timedelta(hours=7)).replace(tzinfo=None))
    for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.QUEUED):
        run = begin(alerting, status)
        ticks(alerting)
        assert slack.texts == []
        ticks(alerting, later)
        ticks(alerting, later)
        state = "waiting" if status == dg.DagsterRunStatus.QUEUED else "started"
        assert [text.splitlines()[0] for text in slack.texts] == [
            f"yellow 2023-01 is stuck: its run has been {state} for 7.0 hours"
        ]
        slack.texts.clear()
        alerting.instance.delete_run(run.run_id)


@pytest.mark.parametrize("after", ["", "2023-03"], ids=["nothing after it", "a month after it"])
def test_a_month_that_should_have_landed_is_an_alert_and_another_when_it_has_whatever_lands_after_it(
    after: str, alerting: World, slack: Receiver
) -> None:
    alerting.publish("yellow", "2023-01,2023-02,2023-03,2023-04")
    landed = ["2023-01", after] if after else ["2023-01"]
    for month in landed:
        alerting.land("yellow", month)
    ticks(alerting, "2023-04-20T10:00")
    assert slack.texts == []  # February ended 51 days ago
    ticks(alerting, "2023-05-20T10:00")  # 81 days
    ticks(alerting, "2023-05-21T10:00")
    assert slack.texts == [
        f"yellow 2023-02 has not landed 75 days after its end; the last is {landed[-1]}. the source has it"
    ]
    if after:
        alerting.land("yellow", "2023-04")
        ticks(alerting, "2023-06-20T10:00")  # now March is due, which has landed
        assert len(slack.texts) == 1
    alerting.land("yellow", "2023-02")
    ticks(alerting, "2023-05-22T10:00")
    ticks(alerting, "2023-05-22T11:00")
    assert slack.texts[1:] == ["yellow 2023-02 has recovered: it has landed"]


def test_a_late_month_of_a_dataset_of_which_nothing_is_left_is_no_longer_late(alerting: World, slack: Receiver) -> None:
    alerting.publish("yellow", "2023-01")
    alerting.land("yellow", "2023-01")
    ticks(alerting, "2023-05-20T10:00")
    assert len(slack.texts) == 1
    alerting.instance.wipe_assets([dg.AssetKey(["yellow", "bigquery_table"])])
    assert QUIET in ticks(alerting, "2023-05-21T10:00")
    assert len(slack.texts) == 1


def test_a_late_month_that_tlc_does_not_have_is_an_alert_with_the_sources_words(
    alerting: World, slack: Receiver
) -> None:
    alerting.publish("yellow", "2023-01")
    alerting.land("yellow", "2023-01")
    ticks(alerting, "2023-05-20T10:00")
    assert slack.texts[0].startswith("yellow 2023-02 has not landed 75 days after its end")
    assert "the source answers 404" in slack.texts[0]


def test_a_dataset_that_tlc_publishes_later_is_late_later(make_world: Callable[..., World], slack: Receiver) -> None:
    world = make_world(("fhv",), alert_webhook=slack.url)
    world.publish("fhv", "2023-01")
    world.land("fhv", "2023-01")
    ticks(world, "2023-07-20T10:00")  # February ended 142 days ago
    assert slack.texts == []
    ticks(world, "2023-08-20T10:00")
    assert slack.texts[0].startswith("fhv 2023-02 has not landed 150 days after its end; the last is 2023-01.")


def test_more_than_a_hundred_stuck_runs_are_told_about_once_each(alerting: World, slack: Receiver) -> None:
    for _ in range(150):
        begin(alerting)
    later = str((datetime.now(timezone.utc) + timedelta(hours=7)).replace(tzinfo=None))
    ticks(alerting, later)
    assert len(slack.texts) == 1
    ticks(alerting, later)
    assert len(slack.texts) == 1


def test_a_sensor_that_fails_for_an_hour_is_an_alert_and_another_when_it_works_again(
    alerting: World, slack: Receiver
) -> None:
    ticks_of = FailingSensor(alerting)
    ticks_of.end("2023-04-03T08:00", TickStatus.SKIPPED)
    ticks_of.end("2023-04-03T09:00", TickStatus.FAILURE)
    ticks(alerting, "2023-04-03T09:30")
    assert slack.texts == []
    ticks_of.end("2023-04-03T10:00", TickStatus.FAILURE)
    ticks(alerting, "2023-04-03T10:01")
    ticks(alerting, "2023-04-03T10:02")
    assert slack.texts == ["publication has failed for an hour: the sensor did not answer"]
    ticks_of.end("2023-04-03T11:00", TickStatus.SKIPPED)
    ticks(alerting, "2023-04-03T11:01")
    ticks(alerting, "2023-04-03T11:02")
    assert slack.texts[1:] == ["publication has recovered"]


def test_a_sensor_that_works_only_for_a_moment_recovers_when_it_works_again(alerting: World, slack: Receiver) -> None:
    ticks_of = FailingSensor(alerting)
    ticks_of.end("2023-04-03T09:00", TickStatus.FAILURE)
    ticks_of.end("2023-04-03T10:00", TickStatus.FAILURE)
    ticks(alerting, "2023-04-03T10:01")
    ticks_of.end("2023-04-03T10:02", TickStatus.SKIPPED)
    ticks_of.end("2023-04-03T10:03", TickStatus.FAILURE)
    ticks(alerting, "2023-04-03T10:04")
    assert len(slack.texts) == 1
    ticks_of.end("2023-04-03T10:05", TickStatus.SKIPPED)
    ticks(alerting, "2023-04-03T10:06")
    assert slack.texts[1:] == ["publication has recovered"]


def test_a_failing_sensor_that_is_switched_off_has_not_recovered(alerting: World, slack: Receiver) -> None:
    ticks_of = FailingSensor(alerting)
    ticks_of.end("2023-04-03T09:00", TickStatus.FAILURE)
    ticks_of.end("2023-04-03T10:00", TickStatus.FAILURE)
    ticks(alerting, "2023-04-03T10:01")
    ticks_of.switch_off()
    ticks(alerting, "2023-04-03T10:02")
    assert len(slack.texts) == 1


class FailingSensor:
    """The publication sensor as the daemon records it."""

    def __init__(self, world: World) -> None:
        self._instance = world.instance
        origin = RemoteInstigatorOrigin(origin_of("yellow_everything").repository_origin, "publication")
        data = SensorInstigatorData(min_interval=3600, sensor_type=SensorType.STANDARD)
        self._state = self._instance.add_instigator_state(
            InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)
        )

    def switch_off(self) -> None:
        """Stop it, as the switch in the UI does."""
        self._instance.update_instigator_state(self._state.with_status(InstigatorStatus.STOPPED))

    def end(self, now: str, status: TickStatus) -> None:
        """Record a tick."""
        failed = status == TickStatus.FAILURE
        self._instance.create_tick(
            TickData(
                instigator_origin_id=self._state.instigator_origin_id,
                instigator_name="publication",
                instigator_type=InstigatorType.SENSOR,
                status=status,
                timestamp=at(now).timestamp(),
                error=SerializableErrorInfo("the sensor did not answer", [], "Timeout") if failed else None,
                selector_id=self._state.selector_id,
            )
        )


def _with_a_bad_row(month: bytes) -> bytes:
    lines = gzip.decompress(month).splitlines(keepends=True)
    return gzip.compress(b"".join([*lines, b"1,not a date\n"]))
