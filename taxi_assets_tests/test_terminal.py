"""What a person sees in a terminal: errors that help, and a bar while a month is on its way."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.console import Console

from taxi_assets import progress
from taxi_assets.cli import main as cli
from taxi_assets.cli.progress import show_progress
from taxi_assets.demo.sample import write_month
from taxi_assets.months import Month, parse_months


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["run", "yellow"], "Missing argument 'MONTHS'"),
        (["run", "purple", "2021-01"], "'purple' is not a dataset"),
        (["run", "yellow", "January"], "January"),
        (["query", "SELECT nonsense FROM nyc_tlc.yellow_trips"], "there is no warehouse yet"),
        (["fly"], "No such command 'fly'"),
        (["provision"], "the local profile needs no provisioning"),
    ],
)
def test_an_error_says_what_where_and_what_to_do(
    arguments: list[str], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert cli.main(arguments) in (1, 2)
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("taxi-assets: ")
    assert what in first
    assert [line.partition(":")[0] for line in rest] in (["where", "what to do"], ["what to do"])


def test_a_query_that_is_no_sql_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import duckdb

    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    duckdb.connect(str(tmp_path / "data/warehouse.duckdb")).close()
    assert cli.main(["query", "SELEC 1"]) == 2
    said = capsys.readouterr().err
    assert 'the query cannot be answered: Parser Error: syntax error at or near "SELEC"' in said
    assert len(said.splitlines()) == 3


def test_brackets_and_colons_in_a_path_are_printed_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "[red]of :taxi: months[/]"
    monkeypatch.setenv("TAXI_DATA_DIR", str(folder))
    assert cli.main(["migrate"]) == 0
    assert f"home {folder}/dagster\n" in capsys.readouterr().out


# The terminal


def test_a_bar_shows_what_has_come_how_fast_and_how_long_it_will_take() -> None:
    shown = io.StringIO()
    month = Month(2021, 1)
    with show_progress(Console(file=shown, force_terminal=True, width=150), "yellow", [month], 4):
        progress.notify(progress.Step("yellow", month, bytes=30_000_000, size=120_000_000))
        time.sleep(0.3)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.getvalue()).splitlines()
    last = [line for line in lines if "yellow 2021-01, 30 of 120 MB" in line][-1]
    assert "12%" in last  # a quarter of the download, which is half of the month
    assert "MB/s" in last
    assert re.search(r"left: +[\d:-]+", last)


def in_a_terminal(*arguments: str, **settings: str) -> str:
    """Runs `taxi-assets` as a person does, at a terminal of 150 columns; returns what is shown."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "taxi_assets.cli.main", *arguments],
        env={**os.environ, "TERM": "xterm-256color", **settings},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # Linux ends a terminal's output so
        while block := os.read(ours, 65536):
            shown += block
    os.close(ours)
    assert process.wait() == 0, shown
    return shown.decode()


@pytest.mark.slow
def test_the_bar_is_seen_while_dagster_works_and_colors_are_left_out_where_they_are_not_wanted(tmp_path: Path) -> None:
    for month in parse_months("2021-01..2021-04"):
        write_month(tmp_path / f"green_{month}.csv", "green", month, 2000)
    source = {"TAXI_CSV_URL": f"file://{tmp_path}/{{dataset}}_{{year}}-{{month:02}}.csv", "TAXI_SOURCE": "csv"}
    shown = in_a_terminal("run", "green", "2021-01..2021-04", **source)
    shares = {int(share) for share in re.findall(r"(\d+)%", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown))}
    assert len(shares - {0, 100}) >= 2, shares
    color = re.compile(r"\x1b\[(?:\d+;)*(?:3|4|9)\d(?:;\d+)*m")
    assert color.search(shown)
    assert not color.search(in_a_terminal("ledger", NO_COLOR="1"))
    assert color.search(in_a_terminal("ledger"))
