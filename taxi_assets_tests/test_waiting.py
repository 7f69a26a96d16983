"""Whoever runs a command is told what it waits for, if that takes more than two seconds; here less, to be quick."""

from __future__ import annotations

import contextlib
import io
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster._core.storage.event_log import SqlEventLogStorage
from rich.console import Console

from taxi_assets import progress
from taxi_assets.cli.progress import show_progress
from taxi_assets.months import Month
from taxi_assets.sensors.pools import pool_sensor
from taxi_assets.settings import Settings
from taxi_assets.storage.factory import build_warehouse
from taxi_assets_tests.servers.http_source import http_source
from taxi_assets_tests.test_partial_runs import JANUARY, run, settings_for
from taxi_assets_tests.test_run_command import taxi_assets

HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "WAIT_SECONDS", 0.2)


@contextlib.contextmanager
def told(then: Callable[[], object] = bool) -> Iterator[list[str]]:
    """What a listener is told while the block lasts, and what is done when it is."""
    found: list[str] = []

    def listen(what: str) -> None:
        found.append(what)
        then()

    with progress.listening(lambda _: None, listen):
        yield found


def test_a_short_wait_is_not_told_and_a_long_one_is_once() -> None:
    with told() as found:
        with progress.waiting_for("nothing"):
            pass
        with progress.waiting_for("the long one"):
            time.sleep(0.6)
    assert found == ["the long one"]


def test_a_program_that_has_the_warehouse_open_is_waited_for() -> None:
    warehouse, path = build_warehouse(Settings.from_environment()), Settings.from_environment().duckdb_path
    path.parent.mkdir()
    duckdb.connect(str(path)).close()
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout
    holder.stdout.readline()
    with told(holder.communicate) as found:
        assert not warehouse.has_table("taxi_zones")
    assert found == [f"another process to be done with {path}"]


def test_a_pool_that_another_run_holds_is_waited_for(tmp_path: Path) -> None:
    with dg.instance_for_test(overrides={"concurrency": {"pools": {"default_limit": 1}}}) as instance:
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default("source")
        storage.claim_concurrency_slot("source", "abcdefgh-1234", "step")
        with told(lambda: storage.free_concurrency_slots_for_run("abcdefgh-1234")) as found:
            outcomes = run(settings_for(tmp_path), instance, JANUARY, JANUARY, "raw_file")
    assert outcomes["2021-01"].status == "landed"
    assert found == ["the pool source, held by run abcdefgh"]


@contextlib.contextmanager
def lost_step(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance whose next step looks for a slot of `source` before it is freed, and joins the queue afterwards."""
    with dg.instance_for_test(overrides={"concurrency": {"pools": {"default_limit": 1}}}) as instance:
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default("source")
        storage.claim_concurrency_slot("source", "abcdefgh-1234", "step")
        look = SqlEventLogStorage.has_unassigned_slots

        def look_too_early(of: SqlEventLogStorage, pool: str) -> bool:
            found = look(of, pool)
            storage.free_concurrency_slots_for_run("abcdefgh-1234")
            return found

        monkeypatch.setattr(SqlEventLogStorage, "has_unassigned_slots", look_too_early)
        yield instance


def test_a_step_that_dagster_has_lost_in_the_queue_of_a_pool_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lost_step(monkeypatch) as instance:
        outcomes = run(settings_for(tmp_path), instance, JANUARY, JANUARY, "raw_file")
    assert outcomes["2021-01"].status == "landed"


def test_the_daemons_sensor_puts_a_lost_step_back_into_the_queue_and_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with lost_step(monkeypatch) as instance:
        storage, claim = instance.event_log_storage, ("source", "its-run", "its-step")
        for _ in range(3):  # as a run does, again and again: Dagster alone never gives it the slot
            assert not storage.claim_concurrency_slot(*claim).is_claimed
        job = dg.JobDefinition(name="job", graph_def=dg.GraphDefinition(name="graph"))
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        sensor = pool_sensor()
        sensor(dg.build_sensor_context(instance))
        assert storage.claim_concurrency_slot(*claim).is_claimed
        assert not storage.claim_concurrency_slot("source", "other-run", "step").is_claimed
        sensor(dg.build_sensor_context(instance))
        (held,) = storage.get_concurrency_info("source").claimed_slots
        assert (held.run_id, storage.get_concurrency_info("source").pending_step_count) == ("its-run", 1)


def test_the_daemons_sensor_creates_the_pools_once() -> None:
    sensor = pool_sensor()
    with dg.instance_for_test(overrides={"concurrency": {"pools": {"default_limit": 1}}}) as instance:
        context = dg.build_sensor_context(instance)
        done = sensor.evaluate_tick(context)
        assert done.cursor == "1"
        pools = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
        assert pools == dict.fromkeys(("source", "lake", "warehouse", "postgres"), 1)
        instance.event_log_storage.delete_concurrency_limit("lake")
        sensor.evaluate_tick(dg.build_sensor_context(instance, cursor=done.cursor))
        assert len(instance.event_log_storage.get_pool_limits()) == 3


def test_a_source_that_does_not_answer_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_source() as site:
        monkeypatch.setenv("TAXI_CSV_URL", f"{site.url}/{{dataset}}_{{year}}-{{month:02}}.csv")
        monkeypatch.setenv("TAXI_SOURCE", "csv")
        site.standing["/yellow_2021-01.csv"] = lambda handler: (time.sleep(3), handler.answer(404, b""))
        done = taxi_assets("run", "yellow", "2021-01")
    assert done.stderr.count("waiting for 127.0.0.1 to answer\n") == 1


def test_a_source_that_is_out_of_reach_is_tried_again_and_each_attempt_is_told() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/{{dataset}}_{{year}}-{{month:02}}.csv"
        settings = {"TAXI_CSV_URL": address, "TAXI_SOURCE": "csv", "TAXI_ATTEMPTS": "3", "TAXI_FIRST_WAIT": "0.1"}
        done = taxi_assets("run", "yellow", "2021-01", **settings)
    told = [line for line in done.stderr.splitlines() if line.startswith("waiting for attempt ")]
    assert [line.partition(", in a moment: yellow 2021-01: the connection")[0] for line in told] == [
        "waiting for attempt 2 of 3",
        "waiting for attempt 3 of 3",
    ]


def test_a_long_download_is_told_once_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "WAIT_SECONDS", 0.1)
    shown, month = io.StringIO(), Month(2021, 1)
    with show_progress(Console(file=shown, width=150), "yellow", [month], 4):
        for megabytes in (1, 30, 60):
            progress.notify(progress.Step("yellow", month, bytes=megabytes * 1_000_000, size=120_000_000))
            time.sleep(0.2)
        progress.notify(progress.Step("yellow", month, status="landed"))
    assert shown.getvalue() == "yellow 2021-01: downloading, 30 of 120 MB\nyellow 2021-01: landed\n"
