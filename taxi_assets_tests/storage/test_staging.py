"""The workroom after a crash at any moment: the old month or the new one, whole; and nothing lies about for ever."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.demo.sample import write_month
from taxi_assets.months import Month
from taxi_assets.transform.clean import clean_month
from taxi_assets.errors import PermanentError
from taxi_assets.records import CleanedFile, RawFile
from taxi_assets.source.client import Source
from taxi_assets.storage.staging.local import Workroom, sha256_of, sweep

JANUARY = Month(2021, 1)


def commit(room: Workroom, content: bytes) -> RawFile:
    """Put a month of these bytes on the raw shelf."""
    sha256 = hashlib.sha256(content).hexdigest()
    papers = RawFile(
        dataset="yellow",
        month=JANUARY,
        file=f"raw/yellow/yellow_tripdata_2021-01.{sha256[:8]}.csv",
        bytes=len(content),
        sha256=sha256,
        format="csv",
        compression="none",
        source_rows=1,
        source_url="file:///x",
    )
    with room.temporary("yellow") as draft:
        draft.write_bytes(content)
        room.commit("raw", papers, {papers.file: draft})
    return papers


def files_of(room: Workroom) -> list[Path]:
    return sorted(path for path in room.root.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_papers_come_back_as_they_were_put(tmp_path: Path) -> None:
    room = Workroom(tmp_path)
    papers = commit(room, b"one")
    assert room.get(RawFile, "raw", "yellow", JANUARY) == papers
    assert room.path(papers.file).read_bytes() == b"one"


def test_a_month_put_again_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    room = Workroom(tmp_path)
    commit(room, b"one")
    papers = commit(room, b"two")
    assert files_of(room) == sorted([room.path(papers.file), room.papers_path("raw", "yellow", JANUARY)])


@pytest.mark.parametrize(
    "damage",
    [
        lambda room, papers: room.path(papers.file).unlink(),
        lambda room, papers: room.path(papers.file).write_bytes(b"on"),
        lambda room, _: room.papers_path("raw", "yellow", JANUARY).write_text('{"dataset": "yel'),
        lambda room, _: room.papers_path("raw", "yellow", JANUARY).write_text('{"month": "2021-01"}'),
        lambda room, _: room.papers_path("raw", "yellow", JANUARY).write_text("[]"),
        lambda room, _: room.papers_path("raw", "yellow", JANUARY).write_bytes(b"\xff\0"),
    ],
    ids=["no file", "short file", "cut papers", "empty papers", "other JSON", "no text"],
)
def test_a_month_that_is_not_whole_is_not_there(damage: Callable[[Workroom, RawFile], object], tmp_path: Path) -> None:
    room = Workroom(tmp_path)
    damage(room, commit(room, b"one"))

    assert room.find(RawFile, "raw", "yellow", JANUARY) is None
    with pytest.raises(PermanentError, match="the raw file of yellow 2021-01 is not there"):
        room.get(RawFile, "raw", "yellow", JANUARY)
    assert room.find(RawFile, "raw", "yellow", JANUARY) != commit(room, b"one")


KILLED_AT = """
import os, signal, sys
from pathlib import Path
from taxi_assets.storage.staging.local import Workroom
from taxi_assets_tests.transform.test_workroom import commit

moments = int(sys.argv[2])

def count(event, arguments):
    global moments
    if event in ("open", "os.rename", "os.remove", "fcntl.flock", "os.scandir"):
        moments -= 1
        if moments == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
commit(Workroom(Path(sys.argv[1])), b"the new month")
"""


def test_a_crash_at_any_moment_of_a_commit_leaves_the_old_month_or_the_new_one(tmp_path: Path) -> None:
    room = Workroom(tmp_path)
    seen = set()
    for moment in range(1, 100):
        old = commit(room, b"the old month")

        killed = subprocess.run([sys.executable, "-c", KILLED_AT, str(tmp_path), str(moment)], check=False)

        papers = room.get(RawFile, "raw", "yellow", JANUARY)
        assert sha256_of(room.path(papers.file)) == papers.sha256
        seen.add(papers.sha256)
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL
    assert moment > 6
    assert len(seen) == 2
    last = commit(room, b"the old month")
    assert last == old
    assert len(files_of(room)) == 2


RUN = """
import sys
from pathlib import Path
from taxi_assets_tests.transform.test_workroom import fetch_and_clean
print("ready", flush=True)
fetch_and_clean(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def fetch_and_clean(source: Path, root: Path) -> CleanedFile:
    """Land the month that lies at `source`."""
    room = Workroom(root)
    raw, _ = Source(csv_url=source.as_uri(), parquet_url="", prefer="csv").fetch("yellow", JANUARY, room)
    return clean_month(DATASETS["yellow"], raw, room)[0]


def test_a_run_killed_anywhere_and_started_again_ends_in_the_same_bytes(tmp_path: Path) -> None:
    source = write_month(tmp_path / "published.csv.gz", "yellow", JANUARY, 60_000, damaged=3)
    expected = fetch_and_clean(source, tmp_path / "undisturbed")
    root = tmp_path / "disturbed"
    for seed in range(5):
        run = subprocess.Popen([sys.executable, "-c", RUN, str(source), str(root)], stdout=subprocess.PIPE)
        with run:
            assert run.stdout
            run.stdout.readline()
            time.sleep(0.01 + 0.03 * seed)
            run.kill()
        for papers in (
            Workroom(root).find(RawFile, "raw", "yellow", JANUARY),
            Workroom(root).find(CleanedFile, "cleaned", "yellow", JANUARY),
        ):
            assert papers is None or sha256_of(root / papers.file) == papers.sha256

    assert fetch_and_clean(source, root) == expected
    assert [path.name for path in files_of(Workroom(root))] == [
        path.name for path in files_of(Workroom(tmp_path / "undisturbed"))
    ]


def test_the_same_month_cleaned_again_is_the_same_bytes_and_is_not_cleaned_twice(tmp_path: Path) -> None:
    source = write_month(tmp_path / "published.csv.gz", "yellow", JANUARY, 2000, damaged=3)
    first, second = fetch_and_clean(source, tmp_path / "1"), fetch_and_clean(source, tmp_path / "2")
    assert first == second
    data = tmp_path / "1" / first.file
    before = data.stat().st_mtime_ns
    assert fetch_and_clean(source, tmp_path / "1") == first
    assert data.stat().st_mtime_ns == before


def test_a_file_whose_bytes_a_disk_changed_is_made_again(tmp_path: Path) -> None:
    source = write_month(tmp_path / "published.csv.gz", "yellow", JANUARY, 2000)
    cleaned = fetch_and_clean(source, tmp_path)
    raw = Workroom(tmp_path).get(RawFile, "raw", "yellow", JANUARY)
    for path in (tmp_path / cleaned.file, tmp_path / raw.file):
        path.write_bytes(bytes(path.stat().st_size))

        assert fetch_and_clean(source, tmp_path) == cleaned
        assert sha256_of(tmp_path / cleaned.file) == cleaned.sha256
        assert sha256_of(tmp_path / raw.file) == raw.sha256


def test_temporary_files_go_when_their_process_is_gone_and_not_before(tmp_path: Path) -> None:
    room = Workroom(tmp_path)
    host = os.uname().nodename
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with room.temporary("mine") as mine:
        mine.write_bytes(b"")
        others = {
            f"{host}-{gone.pid}-abcd-left": False,
            f"{host}-{os.getppid()}-abcd-in-use": True,
            "elsewhere-1-abcd-young": True,
            "elsewhere-1-abcd-old": False,
        }
        for name in others:
            (mine.parent / name).write_bytes(b"")
        os.utime(mine.parent / "elsewhere-1-abcd-old", (0, 0))
        (mine.parent / "folder").mkdir()

        sweep(mine.parent)

        assert mine.exists()
        assert {name: (mine.parent / name).exists() for name in others} == others
    assert not mine.exists()
