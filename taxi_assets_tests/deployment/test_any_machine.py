"""A month that one machine fetches and another one cleans: with a work folder that both reach, and without."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.demo.sample import write_month
from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, RawFile
from taxi_assets.settings import SettingError, Settings
from taxi_assets.source.client import Source
from taxi_assets.storage.factory import build_staging
from taxi_assets.storage.files import sha256_of
from taxi_assets.storage.staging.gcs import GcsStagingArea
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets.transform.clean import clean_month
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.storage.months import access

JANUARY = Month(2021, 1)
ROWS = 2000


def fetch(staging: StagingArea, folder: Path, rows: int = ROWS) -> RawFile:
    """Fetch the month as published on a machine."""
    published = write_month(folder / "published.csv.gz", "yellow", JANUARY, rows)
    return Source(csv_url=published.as_uri(), parquet_url="", prefer="csv").fetch("yellow", JANUARY, staging)[0]


def clean(staging: StagingArea) -> CleanedFile:
    """Clean the month on a machine that has its record only."""
    return clean_month(DATASETS["yellow"], staging.get(RawFile, "raw", "yellow", JANUARY), staging)[0]


def machine(folder: Path, work_url: str = "") -> StagingArea:
    """Return the work room of a machine with a data folder of its own."""
    return build_staging(Settings.from_environment({"TAXI_DATA_DIR": str(folder), "TAXI_WORK_URL": work_url}))


@pytest.fixture
def bucket(gcs: GcsServer) -> str:
    name = f"b-{uuid.uuid4().hex[:12]}"
    gcs.client().create_bucket(name)
    return name


def test_a_month_fetched_on_another_machine_explains_itself(tmp_path: Path) -> None:
    fetch(machine(tmp_path / "one"), tmp_path)
    with pytest.raises(PermanentError) as caught:
        clean(machine(tmp_path / "two"))
    assert "raw file of yellow 2021-01 is not there" in caught.value.message
    assert str(tmp_path / "two") in caught.value.location
    assert "fetch the month again" in caught.value.remedy
    assert "TAXI_WORK_URL" in caught.value.remedy


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_month_fetched_on_another_machine_is_cleaned_from_a_shared_folder(form: str, tmp_path: Path) -> None:
    shared = form.format(tmp_path / "shared")
    fetch(machine(tmp_path / "one", shared), tmp_path)
    assert clean(machine(tmp_path / "two", shared)).cleaned_rows == ROWS
    assert not (tmp_path / "two" / "work").exists()


def test_a_month_fetched_on_another_machine_is_cleaned_from_a_bucket(
    gcs: GcsServer, bucket: str, tmp_path: Path
) -> None:
    one, two, three = (
        GcsStagingArea(tmp_path / name, access(storage_emulator=gcs.url), f"gs://{bucket}/work")
        for name in ("one", "two", "three")
    )
    raw = fetch(one, tmp_path)
    cleaned = clean(two)

    assert cleaned.cleaned_rows == ROWS
    assert sha256_of(two.path(raw.file)) == raw.sha256
    assert three.get(CleanedFile, "cleaned", "yellow", JANUARY) == cleaned
    assert three.months("cleaned", "yellow") == [JANUARY]
    assert sha256_of(three.path(cleaned.file)) == cleaned.sha256
    assert three.location(cleaned.file) == f"gs://{bucket}/work/{cleaned.file}"


def test_a_month_published_anew_leaves_nothing_of_the_old_one_in_the_bucket(
    gcs: GcsServer, bucket: str, tmp_path: Path
) -> None:
    staging = GcsStagingArea(tmp_path / "one", access(storage_emulator=gcs.url), f"gs://{bucket}")
    fetch(staging, tmp_path)
    raw = fetch(staging, tmp_path, ROWS + 1)
    names = {blob.name for blob in gcs.client().list_blobs(bucket)}
    assert names == {raw.file, "raw/yellow/yellow_tripdata_2021-01.json"}


def test_a_file_lost_from_the_bucket_is_fetched_again_and_not_believed(
    gcs: GcsServer, bucket: str, tmp_path: Path
) -> None:
    one = GcsStagingArea(tmp_path / "one", access(storage_emulator=gcs.url), f"gs://{bucket}/work")
    raw = fetch(one, tmp_path)
    gcs.client().bucket(bucket).blob(f"work/{raw.file}").delete()
    two = GcsStagingArea(tmp_path / "two", access(storage_emulator=gcs.url), f"gs://{bucket}/work")

    with pytest.raises(PermanentError, match="is not there"):
        clean(two)
    with pytest.raises(PermanentError, match="is not there"):
        two.path(raw.file)
    assert fetch(two, tmp_path).sha256 == raw.sha256
    assert clean(two).cleaned_rows == ROWS


def test_two_machines_that_put_a_month_at_once_do_not_mix_it(
    gcs: GcsServer, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (
        GcsStagingArea(tmp_path / name, access(storage_emulator=gcs.url), f"gs://{bucket}") for name in ("one", "two")
    )
    fetch(one, tmp_path, ROWS)
    stale = two._get("raw/yellow/yellow_tripdata_2021-01.json")
    last = fetch(one, tmp_path, ROWS + 1)
    monkeypatch.setattr(two, "_get", lambda _: stale)
    monkeypatch.setattr(two, "find", lambda *_: None)

    with pytest.raises(TransientError, match="another run"):
        fetch(two, tmp_path, ROWS + 2)

    assert one.get(RawFile, "raw", "yellow", JANUARY) == last
    assert sha256_of(GcsStagingArea(tmp_path / "three", one.access, f"gs://{bucket}").path(last.file)) == last.sha256


@pytest.mark.parametrize("text", ["work", "s3://bucket/x", "gs://", "http://host/x"])
def test_a_work_url_that_is_no_place_names_its_variable(text: str) -> None:
    with pytest.raises(SettingError, match="TAXI_WORK_URL"):
        Settings.from_environment({"TAXI_WORK_URL": text})


def test_a_bucket_for_work_needs_the_gcp_profile(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="TAXI_PROFILE=gcp"):
        machine(tmp_path, "gs://bucket/work")
