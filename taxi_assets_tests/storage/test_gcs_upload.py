"""Resumable uploads: whatever Cloud Storage answers to a chunk, the object lands once and whole."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.storage.files import crc32c_of
from taxi_assets.storage.google.upload import CHUNK
from taxi_assets.storage.lake.gcs import GcsLake
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.servers.proxy import faulty_proxy


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as large as one of TLC's months."""
    path = tmp_path_factory.mktemp("upload") / "month.bin"
    path.write_bytes(os.urandom(33_000_000))
    return path


def assert_landed(gcs: GcsServer, lake: GcsLake, path: Path) -> None:
    blobs = list(gcs.client().list_blobs(lake.bucket))
    assert [(blob.name, blob.size, blob.crc32c) for blob in blobs] == [
        ("lake/month", path.stat().st_size, crc32c_of(path))
    ]
    assert (gcs.folder / lake.bucket / "lake" / "month").read_bytes() == path.read_bytes()


def sessions(gcs: GcsServer) -> int:
    return sum("uploadType=resumable" in line and "upload_id" not in line for line in gcs.front.asked)


@pytest.mark.parametrize(
    ("faults", "sessions_needed"),
    [
        (["partial"], 1),
        (["ok", "partial", "partial"], 1),
        (["ok", "ok", "ok", "partial"], 1),
        (["forgotten"], 1),
        (["ok", "ok", "forgotten"], 1),
        (["ok", 404], 2),
        (["ok", "ok", 410], 2),
        (["ok", 503, "ok", 429], 1),
        (["partial", 410, "forgotten", 503, 404, "partial"], 3),
    ],
    ids=str,
)
def test_an_object_of_33_mb_lands_once_whatever_becomes_of_its_chunks(
    gcs: GcsServer, lake: GcsLake, month: Path, faults: list[str | int], sessions_needed: int
) -> None:
    gcs.front.upload_faults = ["" if fault == "ok" else fault for fault in faults]
    lake.put_file("month", month)
    assert gcs.front.upload_faults == []
    assert sessions(gcs) == sessions_needed
    assert_landed(gcs, lake, month)


def test_a_partly_confirmed_chunk_is_continued_from_the_byte_after_it(
    gcs: GcsServer, lake: GcsLake, month: Path
) -> None:
    gcs.front.upload_faults = ["partial"]
    with faulty_proxy("127.0.0.1", gcs.front.port) as proxy:
        access = dataclasses.replace(lake.access, storage_emulator=proxy.url)
        GcsLake(access, lake.bucket, lake.prefix).put_file("month", month)
        assert proxy.passed["up"] < month.stat().st_size + CHUNK // 2 + 100_000
    assert_landed(gcs, lake, month)


@pytest.mark.parametrize("fault", [404, 410, 503, "forgotten"])
def test_a_fault_that_goes_on_is_transient_and_ends_after_the_attempts(
    gcs: GcsServer, lake: GcsLake, month: Path, fault: str | int
) -> None:
    gcs.front.upload_faults = [fault] * 100
    access = dataclasses.replace(lake.access, attempts=3)
    with pytest.raises(TransientError, match="does not answer as it should"):
        GcsLake(access, lake.bucket, lake.prefix).put_file("month", month)
    assert len(gcs.front.upload_faults) == 100 - 3


def test_a_link_that_resets_each_chunk_once_costs_an_attempt_each_and_lands_the_object(
    gcs: GcsServer, lake: GcsLake, month: Path
) -> None:
    with faulty_proxy("127.0.0.1", gcs.front.port) as proxy:
        proxy.reset_after(CHUNK * 5 // 4, times=8)
        access = dataclasses.replace(lake.access, storage_emulator=proxy.url, attempts=2)
        GcsLake(access, lake.bucket, lake.prefix).put_file("month", month)
        assert proxy.resets >= 3
    assert_landed(gcs, lake, month)


def test_an_answer_that_no_one_knows_is_a_failure_with_a_class(gcs: GcsServer, lake: GcsLake, month: Path) -> None:
    gcs.front.upload_faults = [418]
    with pytest.raises(PermanentError, match="Google refused the request"):
        lake.put_file("month", month)


def test_an_empty_file_lands(gcs: GcsServer, lake: GcsLake, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    lake.put_file("month", tmp_path / "empty")
    assert_landed(gcs, lake, tmp_path / "empty")
