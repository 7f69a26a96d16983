"""`taxi-assets demo`, and `dev` after it: the tour for a newcomer, offline."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from taxi_assets.cli.init import template
from taxi_assets.cli.main import main
from taxi_assets.demo.place import is_demo
from taxi_assets.demo.sample import write_month
from taxi_assets.demo.server import make
from taxi_assets.demo.zones import lookup
from taxi_assets.months import Month
from taxi_assets.settings import Settings, setting_variables
from taxi_assets.storage.factory import build_warehouse
from taxi_assets.transform.zones import parse_zones
from taxi_assets_tests.servers.graphql import Dagster
from taxi_assets_tests.servers.ui import dagster_ui
from taxi_assets_tests.test_run_command import taxi_assets

NOWHERE = {
    **dict.fromkeys(setting_variables(), "nonsense"),
    "TAXI_POSTGRES_URL": "postgresql://taxi:s3cret@127.0.0.1:9/trips",
    "DAGSTER_POSTGRES_URL": "postgresql://taxi:s3cret@127.0.0.1:9/dagster",
    "TAXI_PROFILE": "gcp",
    "TAXI_GCP_PROJECT": "someones-project",
    "TAXI_GCS_BUCKET": "someones-bucket",
    "TAXI_WORK_URL": "gs://someones-bucket/work",
    "TAXI_WAREHOUSE_SCHEMA": "elsewhere",
    "GOOGLE_APPLICATION_CREDENTIALS": "/nonexistent.json",
    "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the demo ran, with every setting set to something else, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "home").mkdir()
    elsewhere = {"TAXI_DATA_DIR": str(folder / "data"), "DAGSTER_HOME": str(folder / "history")}
    done = taxi_assets("demo", **NOWHERE | elsewhere | {"HOME": str(folder / "home")})
    assert done.returncode == 0, done.stderr + done.stdout
    return folder, done.stdout


def test_the_demo_touches_nothing_but_its_own_folder_whatever_the_settings_say(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    assert {path.name for path in folder.iterdir()} == {"data", "home"}
    assert [path.name for path in (folder / "data").iterdir()] == ["demo"]
    assert not list((folder / "home").iterdir())
    assert (folder / "data" / "demo" / "dagster" / "history" / "runs.db").exists()
    verified = taxi_assets("ledger", "--verify", TAXI_DATA_DIR=str(folder / "data" / "demo"))
    assert "verified: 6 months" in verified.stdout


def test_a_month_that_is_run_in_the_demos_folder_is_made_up_whatever_the_settings_say(
    demo: tuple[Path, str], tmp_path: Path
) -> None:
    folder = shutil.copytree(demo[0] / "data" / "demo", tmp_path / "demo")
    settings = NOWHERE | {"TAXI_DATA_DIR": str(folder), "DAGSTER_HOME": str(tmp_path / "history")}
    done = taxi_assets("run", "yellow", "2009-01", **settings)
    assert done.returncode == 0, done.stderr
    assert f"{folder} is the demo's folder: its made-up source is used" in done.stderr
    (row,) = (
        build_warehouse(Settings(data_dir=folder))
        .query("SELECT count(*) AS trips FROM yellow_trips WHERE source_month = '2009-01-01'")
        .to_pylist()
    )
    assert row == {"trips": 20_000}
    shown = taxi_assets("ledger", "yellow", **settings)
    assert re.search(r"^yellow +2009-01 +landed ", shown.stdout, re.MULTILINE), shown.stderr
    tried = taxi_assets("doctor", **settings | {"TAXI_PROFIL": "gcp"})
    assert tried.returncode == 0, tried.stdout
    assert "TAXI_PROFIL is not a setting; did you mean TAXI_PROFILE?" in tried.stdout
    assert re.search(r"^ok    source +http://127\.0\.0\.1:\d+/yellow/.*: answers, and ", tried.stdout, re.MULTILINE)
    assert not (tmp_path / "history").exists()


def test_a_folder_called_demo_is_the_demos_only_if_the_demo_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "warehouse.duckdb").write_bytes(b"someone's")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAXI_DATA_DIR", str(tmp_path))
    assert main(["demo"]) == 2
    assert f"{folder} holds months that are not the demo's" in capsys.readouterr().err
    (folder / "source").mkdir()
    assert not is_demo(folder)


def test_the_demo_names_zones_links_its_report_and_says_that_its_data_is_made_up(demo: tuple[Path, str]) -> None:
    _, text = demo
    assert "JFK Airport" in text or "Midtown Center" in text
    (link,) = re.findall(r"file://\S+", text)
    page = Path(unquote(urlsplit(link).path)).read_text("utf-8")
    assert "Made-up" in page
    assert "Source: NYC TLC" not in page
    assert "made-up data" in text


def test_the_zones_of_the_demo_are_a_whole_lookup_and_made_up_trips_use_those_with_names() -> None:
    zones, unknown = parse_zones(lookup().encode())
    assert (zones.num_rows, unknown) == (265, ())


def test_the_source_of_the_demo_makes_months_that_are_asked_for_and_no_others(tmp_path: Path) -> None:
    make(tmp_path, "green/green_tripdata_2021-05.csv.gz")
    again = write_month(tmp_path / "again.csv.gz", "green", Month(2021, 5), 5000, damaged=3)
    assert (tmp_path / "green" / "green_tripdata_2021-05.csv.gz").read_bytes() == again.read_bytes()
    for path in ("green/green_tripdata_2999-01.csv.gz", "purple/purple_tripdata_2021-05.csv.gz", "../x.csv.gz"):
        make(tmp_path, path)
        assert not (tmp_path / path).exists()


@pytest.fixture
def dev(demo: tuple[Path, str], tmp_path: Path) -> Iterator[tuple[Dagster, Path]]:
    log = tmp_path / "log"
    home = tmp_path / "fresh-home"
    home.mkdir()
    with dagster_ui({"TAXI_DATA_DIR": str(demo[0] / "data"), "HOME": str(home)}, log) as address:
        yield Dagster(urlsplit(address).port or 0), log
    assert not [path for path in home.rglob("*") if "telemetry" in path.name or path.name == ".dagster"]


@pytest.mark.slow
def test_dev_after_the_demo_shows_its_months_and_runs_and_backfills_further_ones_offline(
    dev: tuple[Dagster, Path],
) -> None:
    dagster, log = dev
    assert dagster.materialized("yellow") == 3
    dagster.launch("yellow", "2021-03")
    backfill = dagster.backfill("green", ["2013-08", "2016-07", "2021-05"])
    until = time.monotonic() + 240
    while dagster.materialized("yellow") < 4 or dagster.backfill_status(backfill) != "COMPLETED_SUCCESS":
        assert time.monotonic() < until, log.read_text()[-3000:]
        assert "FAILURE" not in dagster.runs().values(), log.read_text()[-3000:]
        time.sleep(1)
    text = log.read_text()
    assert "/locations/taxi_assets/asset-groups/yellow" in text
    assert "/assets/yellow/cleaned_parquet?view=partitions&partition=2021-02-01" in text
    for noise in ("elemetry", "Traceback", "SupersessionWarning", "superseded", "it/s]", "Welcome to Dagster"):
        assert noise not in text


def test_the_ui_listens_on_no_port_that_is_none_and_is_no_one_elses_by_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["dev", "--port", "80000"]) == 2
    assert "80000" in capsys.readouterr().err
    assert main(["dev", "--host", "192.0.2.1"]) == 2
    assert "192.0.2.1" in capsys.readouterr().err


# Zones and init


def test_the_zones_land_by_a_command_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "zones.csv").write_text(lookup())
    done = taxi_assets("zones", TAXI_ZONES_URL=(tmp_path / "zones.csv").as_uri())
    assert done.returncode == 0, done.stderr
    assert "nyc_tlc.taxi_zones" in done.stdout
    (row,) = (
        build_warehouse(Settings.from_environment())
        .query('SELECT "Zone" FROM nyc_tlc.taxi_zones WHERE "LocationID" = 132')
        .to_pylist()
    )
    assert row == {"Zone": "JFK Airport"}


def test_zones_that_cannot_be_had_are_told_with_what_to_do(tmp_path: Path) -> None:
    done = taxi_assets("zones", TAXI_ZONES_URL=(tmp_path / "absent.csv").as_uri(), TAXI_ATTEMPTS="1")
    assert done.returncode == 1
    assert done.stderr.startswith("taxi-assets: ")
    assert "TAXI_ZONES_URL" in done.stderr


def test_init_writes_every_setting_with_its_default_for_this_user_only_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    old = os.umask(0)
    try:
        assert main(["init"]) == 0
    finally:
        os.umask(old)
    path = tmp_path / ".env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = dict(re.findall(r"^# (TAXI_\w+)='?(.*?)'?$", path.read_text(), re.MULTILINE))
    assert list(lines) == list(setting_variables())
    assert Settings.from_environment(lines) == Settings()
    assert path.read_text() == template()
    path.write_text("TAXI_SOURCE=csv")
    capsys.readouterr()
    assert main(["init"]) == 2
    assert "stays as it is" in capsys.readouterr().err
    assert path.read_text() == "TAXI_SOURCE=csv"
