"""The staging area after a crash at any moment: the old month or the new one, whole, and no litter."""

from __future__ import annotations

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
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, RawFile
from taxi_assets.source.client import Source
from taxi_assets.storage.files import sha256_of, sweep
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets.transform.clean import clean_month
from taxi_assets_tests.storage.made_months import raw_record

JANUARY = Month(2021, 1)


def commit(staging: StagingArea, content: bytes) -> RawFile:
    """Stage a raw month of these bytes."""
    record = raw_record(content, "csv")
    with staging.temporary("yellow") as draft:
        draft.write_bytes(content)
        staging.commit("raw", record, {record.file: draft})
    return record


def files_of(staging: StagingArea) -> list[Path]:
    return sorted(path for path in staging.root.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_a_record_comes_back_as_it_was_committed(tmp_path: Path) -> None:
    staging = StagingArea(tmp_path)
    record = commit(staging, b"one")
    assert staging.get(RawFile, "raw", "yellow", JANUARY) == record
    assert staging.path(record.file).read_bytes() == b"one"


def test_a_month_put_again_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    staging = StagingArea(tmp_path)
    commit(staging, b"one")
    record = commit(staging, b"two")
    assert files_of(staging) == sorted([staging.path(record.file), staging.record_path("raw", "yellow", JANUARY)])


@pytest.mark.parametrize(
    "damage",
    [
        lambda staging, record: staging.path(record.file).unlink(),
        lambda staging, record: staging.path(record.file).write_bytes(b"on"),
        lambda staging, _: staging.record_path("raw", "yellow", JANUARY).write_text('{"dataset": "yel'),
        lambda staging, _: staging.record_path("raw", "yellow", JANUARY).write_text('{"month": "2021-01"}'),
        lambda staging, _: staging.record_path("raw", "yellow", JANUARY).write_text("[]"),
        lambda staging, _: staging.record_path("raw", "yellow", JANUARY).write_bytes(b"\xff\0"),
    ],
    ids=["no file", "short file", "cut record", "empty record", "other JSON", "not text"],
)
def test_a_month_that_is_not_whole_is_not_there(
    damage: Callable[[StagingArea, RawFile], object], tmp_path: Path
) -> None:
    staging = StagingArea(tmp_path)
    damage(staging, commit(staging, b"one"))

    assert staging.find(RawFile, "raw", "yellow", JANUARY) is None
    with pytest.raises(PermanentError, match="the raw file of yellow 2021-01 is not there"):
        staging.get(RawFile, "raw", "yellow", JANUARY)
    assert staging.find(RawFile, "raw", "yellow", JANUARY) != commit(staging, b"one")


KILLED_AT = """
import os, signal, sys
from pathlib import Path
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets_tests.storage.test_staging import commit

moments = int(sys.argv[2])

def count(event, arguments):
    global moments
    if event in ("open", "os.rename", "os.remove", "fcntl.flock", "os.scandir"):
        moments -= 1
        if moments == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
commit(StagingArea(Path(sys.argv[1])), b"the new month")
"""


def test_a_crash_at_any_moment_of_a_commit_leaves_the_old_month_or_the_new_one(tmp_path: Path) -> None:
    staging = StagingArea(tmp_path)
    seen = set()
    for moment in range(1, 100):
        old = commit(staging, b"the old month")

        killed = subprocess.run([sys.executable, "-c", KILLED_AT, str(tmp_path), str(moment)], check=False)

        record = staging.get(RawFile, "raw", "yellow", JANUARY)
        assert sha256_of(staging.path(record.file)) == record.sha256
        seen.add(record.sha256)
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL
    assert moment > 6
    assert len(seen) == 2
    last = commit(staging, b"the old month")
    assert last == old
    assert len(files_of(staging)) == 2


RUN = """
import sys
from pathlib import Path
from taxi_assets_tests.storage.test_staging import fetch_and_clean
print("ready", flush=True)
fetch_and_clean(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def fetch_and_clean(source: Path, root: Path) -> CleanedFile:
    """Land the month that lies at `source`."""
    staging = StagingArea(root)
    raw, _ = Source(csv_url=source.as_uri(), parquet_url="", prefer="csv").fetch("yellow", JANUARY, staging)
    return clean_month(DATASETS["yellow"], raw, staging)[0]


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
        for record in (
            StagingArea(root).find(RawFile, "raw", "yellow", JANUARY),
            StagingArea(root).find(CleanedFile, "cleaned", "yellow", JANUARY),
        ):
            assert record is None or sha256_of(root / record.file) == record.sha256

    assert fetch_and_clean(source, root) == expected
    assert [path.name for path in files_of(StagingArea(root))] == [
        path.name for path in files_of(StagingArea(tmp_path / "undisturbed"))
    ]


def test_a_file_that_somebody_else_put_there_is_no_month(tmp_path: Path) -> None:
    staging = StagingArea(tmp_path)
    record = commit(staging, b"one")
    for name in ("yellow_tripdata_2021-13.json", "yellow_tripdata_2021-01 (copy).json", "notes.json"):
        staging.path(record.file).with_name(name).write_text("{}")

    assert staging.months("raw", "yellow") == [JANUARY]


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
    raw = StagingArea(tmp_path).get(RawFile, "raw", "yellow", JANUARY)
    for path in (tmp_path / cleaned.file, tmp_path / raw.file):
        path.write_bytes(bytes(path.stat().st_size))

        assert fetch_and_clean(source, tmp_path) == cleaned
        assert sha256_of(tmp_path / cleaned.file) == cleaned.sha256
        assert sha256_of(tmp_path / raw.file) == raw.sha256


def test_temporary_files_go_when_their_process_is_gone_and_not_before(tmp_path: Path) -> None:
    staging = StagingArea(tmp_path)
    host = os.uname().nodename
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with staging.temporary("mine") as mine:
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
