"""A machine that refuses: a full disk, a read-only folder, too many open files; and one that is merely unusual.

Each refusal is told in a sentence with what to do, nothing is lost by it, and when its cause is gone the same command
ends as if there had been none.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxi_assets_tests.torture.bench import Bench, State, bench, drawn, state_of
from taxi_assets_tests.torture.tally import Tally

RUN = ("run", "yellow", "2021-01", "--json")
SEED = 20260102


@pytest.fixture(scope="module")
def trials(source: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("resources"), source) as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(trials: Bench) -> tuple[State, list[tuple[str, str]]]:
    """What an undisturbed run leaves, and its changes."""
    data = trials.data("undisturbed")
    done = trials.run(data, *RUN)
    assert done.status == 0, done.said
    return state_of(data), done.changes


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)


@pytest.mark.parametrize(
    ("error", "faults"),
    [
        pytest.param(errno.ENOSPC, 3, id="disk full, few"),
        *(
            pytest.param(number, 25, id=name, marks=pytest.mark.torture)
            for number, name in (
                (errno.ENOSPC, "disk full"),
                (errno.EROFS, "read-only"),
                (errno.EACCES, "no permission"),
                (errno.EMFILE, "too many open files"),
                (errno.EIO, "bad disk"),
            )
        ),
    ],
)
def test_a_run_that_may_no_longer_write_from_some_moment_on_says_so_and_the_next_one_completes_it(
    trials: Bench, undisturbed: tuple[State, list[tuple[str, str]]], tally: Tally, error: int, faults: int
) -> None:
    wanted, changes = undisturbed
    for at in drawn(changes, faults, SEED):
        data = trials.data("refused")
        refused = trials.run(data, *RUN, at=at, error=error)
        assert refused.status in (0, 1), refused.said  # 0 if what was left to write was not needed
        assert "Traceback" not in refused.said
        if refused.status:
            assert "what to do: " in refused.said, (at, changes[at - 1], refused.said)
        again = trials.run(data, *RUN)
        assert again.status == 0, (at, changes[at - 1], again.said)
        found = state_of(data)
        tally.compare(wanted.tables, found.tables)
        tally.add(faults=len(refused.changes) >= at)
        assert found == wanted, (at, changes[at - 1])


def test_a_disk_that_is_too_small_keeps_nothing_from_landing_once_it_is_larger(
    trials: Bench, undisturbed: tuple[State, list[tuple[str, str]]], small_disk: Path, tally: Tally
) -> None:
    remount(small_disk, "size=1m")
    data = small_disk / "data"
    data.mkdir()
    full = trials.run(data, *RUN)
    assert full.status == 1
    assert "cannot read or write Dagster's history" in full.said
    assert "check that the disk has room" in full.said
    remount(small_disk, "size=64m")
    again = trials.run(data, *RUN)
    assert again.status == 0, again.said
    found = state_of(data)
    tally.compare(undisturbed[0].tables, found.tables)
    tally.add(faults=1)
    assert found == undisturbed[0]


def test_a_full_disk_of_months_fails_the_month_and_says_which(trials: Bench, small_disk: Path) -> None:
    data, work = trials.data("elsewhere"), small_disk / "work"
    work.mkdir()
    (small_disk / "taken").write_bytes(bytes(shutil.disk_usage(small_disk).free - (8 << 10)))
    full = trials.run(data, *RUN, TAXI_WORK_URL=str(work))
    assert full.status == 1
    (row,) = full.rows()
    assert "No space left on device" in row["error"]
    assert "yellow 2021-01" in row["error"]
    assert "make sure that the disk has room" in row["error"]
    (small_disk / "taken").unlink()
    again = trials.run(data, *RUN, TAXI_WORK_URL=str(work))
    assert again.status == 0, again.said
    assert not list((work / "tmp").iterdir())


def test_what_has_landed_can_be_read_where_nothing_may_be_written(trials: Bench, small_disk: Path) -> None:
    remount(small_disk, "size=64m")
    data = small_disk / "data"
    data.mkdir()
    assert trials.run(data, *RUN).status == 0
    remount(small_disk, "ro")
    ledger = trials.run(data, "ledger", "yellow", "--json")
    assert ledger.status == 0, ledger.said
    assert [row["table_rows"] for row in ledger.rows()] == [300]
    asked = trials.run(data, "query", "SELECT count(*) AS trips FROM nyc_tlc.yellow_trips")
    assert (asked.status, "300" in asked.said) == (0, True), asked.said
    refused = trials.run(data, *RUN)
    assert refused.status == 1
    assert "may read and write there" in refused.said
    assert "Traceback" not in refused.said


def command(
    folder: Path, *words: str, first: tuple[str, ...] = (), **settings: str
) -> subprocess.CompletedProcess[bytes]:
    """Run `taxi-assets` as a person would, in a process of its own."""
    return subprocess.run(
        [*first, sys.executable, "-m", "taxi_assets.cli.main", *words],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **settings},
        cwd=folder,
        capture_output=True,
        check=False,
    )


def test_neither_the_folders_name_nor_the_locale_matters(source: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / 'l\'été "à New York" #1 *; 纽约'
    folder.mkdir()
    site = folder / "site"
    shutil.copytree(Path(source["TAXI_CSV_URL"].removeprefix("file://")).parent, site)
    settings = source | {
        "TAXI_CSV_URL": f"{site.as_uri()}/{{dataset}}_{{year}}-{{month:02}}.csv.gz",
        "TAXI_DATA_DIR": str(folder / "my data"),
        # ASCII: no UTF-8 by the locale, nor by Python's own initiative
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONUTF8": "0",
    }
    landed = command(folder, *RUN, **settings)
    assert landed.returncode == 0, landed.stderr
    verified = command(folder, "ledger", "yellow", "--verify", **settings)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    (row,) = json.loads(landed.stdout)
    assert row["table_rows"] == 300
    zones = command(folder, "query", "SELECT count(*) AS trips FROM nyc_tlc.yellow_trips", **settings)
    assert (zones.returncode, b"300" in zones.stdout) == (0, True), zones.stderr


def test_a_clock_that_jumps_changes_nothing(source: dict[str, str], tmp_path: Path) -> None:
    if not (faketime := shutil.which("faketime")):
        pytest.skip("faketime is not installed")
    settings = source | {"TAXI_DATA_DIR": str(tmp_path / "data")}
    for day, status in (("2026-11-26", "landed"), ("2031-05-01", "unchanged"), ("2022-01-01", "unchanged")):
        done = command(tmp_path, *RUN, first=(faketime, f"{day} 12:00:00"), **settings)
        assert done.returncode == 0, done.stderr
        assert [row["status"] for row in json.loads(done.stdout)] == [status]
    assert command(tmp_path, "ledger", "yellow", "--verify", **settings).returncode == 0


def test_times_of_files_mean_nothing(
    trials: Bench, undisturbed: tuple[State, list[tuple[str, str]]], tally: Tally
) -> None:
    """A clock that was set wrong, or a copy or a backup that did not keep them."""
    data = trials.data("clock")
    assert trials.run(data, *RUN).status == 0
    for path in data.rglob("*"):
        os.utime(path, (4_000_000_000, 4_000_000_000) if hash(path.name) % 2 else (1, 1))
    again = trials.run(data, *RUN)
    assert again.status == 0, again.said
    assert [row["status"] for row in again.rows()] == ["unchanged"]
    assert trials.run(data, "ledger", "yellow", "--verify").status == 0
    tally.add(faults=1)
    assert state_of(data).files == undisturbed[0].files
