"""Downloads from Cloud Storage: bytes that change on their way are no month, also where the link broke meanwhile."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxi_assets.errors import TransientError
from taxi_assets.records import RawFile
from taxi_assets.storage.lake.gcs import GcsLake
from taxi_assets.storage.staging.gcs import GcsStagingArea
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.servers.proxy import FaultyProxy, faulty_proxy
from taxi_assets_tests.storage.made_months import raw_record
from taxi_assets_tests.storage.months import JANUARY, cleaned_month

MIB = 1 << 20


@pytest.fixture
def proxy(gcs: GcsServer) -> Iterator[FaultyProxy]:
    with faulty_proxy("127.0.0.1", gcs.front.port) as proxy:
        yield proxy


@pytest.fixture
def raw(lake: GcsLake, tmp_path: Path) -> RawFile:
    """A raw month of 12 MiB that another machine has put into the bucket."""
    content = os.urandom(12 * MIB)
    record = raw_record(content, "parquet")
    elsewhere = GcsStagingArea(tmp_path / "elsewhere", lake.access, f"gs://{lake.bucket}/work")
    with elsewhere.temporary("raw") as draft:
        draft.write_bytes(content)
        elsewhere.commit("raw", record, {record.file: draft})
    return record


@pytest.fixture
def staging(lake: GcsLake, proxy: FaultyProxy, tmp_path: Path) -> GcsStagingArea:
    access = dataclasses.replace(lake.access, storage_emulator=proxy.url)
    return GcsStagingArea(tmp_path / "here", access, f"gs://{lake.bucket}/work")


def test_a_staged_file_that_changes_on_its_way_is_not_kept(
    staging: GcsStagingArea, proxy: FaultyProxy, raw: RawFile
) -> None:
    proxy.damage(5 * MIB, "down")
    with pytest.raises(TransientError, match="the bytes changed on their way from the bucket"):
        staging.path(raw.file)
    assert staging.path(raw.file).stat().st_size == raw.bytes
    assert staging.intact(raw) == raw
    assert (staging.root / raw.file).exists()


def test_a_download_that_breaks_is_continued_and_its_checksum_is_verified_all_the_same(
    staging: GcsStagingArea, proxy: FaultyProxy, raw: RawFile
) -> None:
    proxy.reset_after(6 * MIB, "down")
    proxy.damage(2 * MIB, "down")
    with pytest.raises(TransientError, match="the bytes changed on their way from the bucket"):
        staging.path(raw.file)
    proxy.reset_after(6 * MIB, "down")
    assert hashlib.sha256(staging.path(raw.file).read_bytes()).hexdigest() == raw.sha256
    assert proxy.resets == 2
    assert proxy.passed["down"] < 2 * raw.bytes + 4 * MIB


def test_an_object_of_the_lake_that_changes_on_its_way_is_not_read(
    lake: GcsLake, proxy: FaultyProxy, tmp_path: Path
) -> None:
    stored = lake.put(*cleaned_month(tmp_path, rows=2000))
    behind = GcsLake(dataclasses.replace(lake.access, storage_emulator=proxy.url), lake.bucket, lake.prefix)
    assert behind.find("yellow", JANUARY) is not None
    proxy.damage(stored.bytes // 2, "down")
    with pytest.raises(TransientError, match="the bytes changed on their way from the bucket"):
        behind.read(stored)
    assert behind.read(stored).num_rows == 2000


def test_a_small_file_that_changes_on_its_way_is_not_read(lake: GcsLake, proxy: FaultyProxy, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_bytes(os.urandom(MIB))
    lake.put_file("report.html", tmp_path / "report.html")
    behind = GcsLake(dataclasses.replace(lake.access, storage_emulator=proxy.url), lake.bucket, lake.prefix)
    proxy.damage(MIB // 2, "down")
    with pytest.raises(TransientError, match="the bytes changed on their way from the bucket"):
        behind.read_file("report.html")
    assert behind.read_file("report.html") == (tmp_path / "report.html").read_bytes()
