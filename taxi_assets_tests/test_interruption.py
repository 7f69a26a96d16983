"""Ctrl-C, SIGTERM and a closed terminal end a command at once, with one sentence, and what landed stays."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taxi_assets.demo.sample import write_month
from taxi_assets.months import Month
from taxi_assets_tests.servers.http_source import HttpSource, http_source, stall
from taxi_assets_tests.test_run_command import run_json, taxi_assets

MAX_SECONDS = 2.0
SENTENCE = "taxi-assets: stopped; what has landed stays, run it again for the rest\n"


@pytest.fixture
def stalling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpSource]:
    """A source that gives one month, and of the next one nothing for a minute; the data folder exists."""
    (tmp_path / "data").mkdir()
    with http_source() as site:
        _fill(site, tmp_path)
        monkeypatch.setenv("TAXI_CSV_URL", f"{site.url}/{{dataset}}_{{year}}-{{month:02}}.csv.gz")
        monkeypatch.setenv("TAXI_SOURCE", "csv")
        yield site


def _fill(site: HttpSource, tmp_path: Path) -> None:
    for month in ("2021-01", "2021-02"):
        path = write_month(tmp_path / f"yellow_{month}.csv.gz", "yellow", Month.parse(month), 200)
        site.files[f"/{path.name}"] = path.read_bytes()
    site.standing["/yellow_2021-02.csv.gz"] = stall(60, site.files["/yellow_2021-02.csv.gz"], 100)


def start(**options: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "taxi_assets.cli.main", "run", "yellow", "2021-01..2021-02"]
    return subprocess.Popen(words, text=True, stdin=subprocess.DEVNULL, start_new_session=True, **options)  # type: ignore[call-overload]


def wait_until_it_stalls(site: HttpSource) -> None:
    until = time.monotonic() + 90
    while not any("2021-02" in path for path in site.asked):
        assert time.monotonic() < until, site.asked
        time.sleep(0.05)
    time.sleep(0.3)


def ends(process: subprocess.Popen[str]) -> int:
    """Wait for the end, which must come within two seconds; return the exit status."""
    began = time.monotonic()
    try:
        status = process.wait(timeout=20)
    finally:
        process.kill()
    assert time.monotonic() - began < MAX_SECONDS
    return status


def the_rest_lands_later(site: HttpSource) -> None:
    site.standing.clear()
    rows = run_json("yellow", "2021-01..2021-02")
    assert [row["status"] for row in rows] == ["unchanged", "landed"]
    assert taxi_assets("ledger", "--verify").returncode == 0


@pytest.mark.parametrize(
    ("send", "number", "status"),
    [
        (os.kill, signal.SIGINT, 130),
        (os.killpg, signal.SIGINT, 130),  # as Ctrl-C in a terminal, which each process of Dagster's gets too
        (os.kill, signal.SIGTERM, 143),
    ],
)
def test_a_signal_ends_a_run_at_once_with_one_sentence_and_the_month_that_landed_stays(
    stalling: HttpSource, send: Callable[[int, int], None], number: int, status: int
) -> None:
    process = start(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until_it_stalls(stalling)
    send(process.pid, number)
    assert ends(process) == status
    _, text = process.communicate()
    assert text.removeprefix("yellow 2021-01: landed\n").lstrip("\n") == SENTENCE
    the_rest_lands_later(stalling)


def test_a_run_started_with_signals_ignored_is_as_quick_and_ends_on_a_signal(stalling: HttpSource) -> None:
    def ignore() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    process = start(stderr=subprocess.PIPE, preexec_fn=ignore)
    wait_until_it_stalls(stalling)  # each step took a minute when its `tail` ignored SIGTERM
    os.kill(process.pid, signal.SIGTERM)
    assert ends(process) == 128 + signal.SIGTERM
    the_rest_lands_later(stalling)


def test_a_closed_terminal_ends_a_run_at_once(stalling: HttpSource) -> None:
    master, slave = os.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    process = start(stdout=slave, stderr=slave, preexec_fn=take_terminal)
    os.close(slave)
    wait_until_it_stalls(stalling)
    os.close(master)
    assert ends(process) == 128 + signal.SIGHUP
    the_rest_lands_later(stalling)
