"""The deployment without containers: an installed wheel, outside the source tree, as processes on Postgres."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taxi_assets.demo.sample import write_month
from taxi_assets.months import Month
from taxi_assets_tests.servers.deployment import PROJECT, Deployment, deployment
from taxi_assets_tests.servers.http_source import http_source
from taxi_assets_tests.servers.postgres import PostgresServer

pytest_plugins = ["taxi_assets_tests.servers.fixtures_postgres"]

MONTHS = [Month(2021, 1), Month(2021, 2)]
ROWS = 2000
UV = Path(sys.executable).with_name("uv")


def uv(*words: str | Path) -> None:
    """Run uv from what this machine has downloaded already; from the registry only if that is not enough."""
    for offline in ("--offline", "--no-progress"):
        done = subprocess.run([UV, *words, offline], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
    raise RuntimeError(done.stderr)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The interpreter of an environment of its own that has the project's wheel and its pinned requirements."""
    source = tmp_path / "source"  # a copy, because a build leaves its folder where it builds
    shutil.copytree(PROJECT / "taxi_assets", source / "taxi_assets", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(PROJECT / name, source)
    uv("build", "--wheel", "--quiet", "--out-dir", tmp_path / "wheels", source)
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    uv("venv", "--quiet", "--python", sys.executable, tmp_path / "environment")
    python = tmp_path / "environment" / "bin" / "python"
    uv("pip", "install", "--quiet", "--python", python, "-r", PROJECT / "requirements.txt")
    uv("pip", "install", "--quiet", "--python", python, "--no-deps", wheel)
    return python


@pytest.mark.slow
def test_a_backfill_asked_of_the_webserver_lands_its_months(installed: Path, tmp_path: Path, postgres_url: str) -> None:
    folder = tmp_path / "deployed"
    folder.mkdir()
    with http_source() as source:
        for month in MONTHS:
            published = write_month(tmp_path / f"{month}.csv.gz", "yellow", month, ROWS, damaged=3)
            source.files[f"/yellow/yellow_tripdata_{month}.csv.gz"] = published.read_bytes()
        settings = {
            "TAXI_CSV_URL": f"{source.url}/{{dataset}}/{{dataset}}_tripdata_{{year}}-{{month:02}}.csv.gz",
            "TAXI_SOURCE": "csv",
            "DAGSTER_POSTGRES_URL": postgres_url,
        }
        with deployment(installed, folder, settings) as here:
            backfill = here.backfill("yellow", [str(month) for month in MONTHS])
            here.wait(lambda: here.backfill_status(backfill) == "COMPLETED_SUCCESS", "the backfill to succeed", 180)
            ledger = here.run("taxi-assets", "ledger", "yellow", "--verify").stdout
            location = here.run("python", "-c", "import taxi_assets; print(taxi_assets.__file__)").stdout
            assert set(here.runs().values()) == {"SUCCESS"}

    assert str(tmp_path / "environment") in location
    for month in MONTHS:
        (line,) = (line for line in ledger.splitlines() if str(month) in line)
        assert line.split()[3:9] == ["2,003", "2,000", "0", "3", "2,000", "2,000"]


@pytest.mark.slow
def test_the_first_request_after_a_restart_of_postgres_is_answered(
    tmp_path: Path, postgres: PostgresServer, postgres_url: str
) -> None:
    text = (PROJECT / "dagster.yaml").read_text()
    here = Deployment(Path(sys.executable), tmp_path, {"DAGSTER_POSTGRES_URL": postgres_url}, text)
    try:
        here.run("taxi-assets", "migrate")
        here.start("code", "webserver")
        assert here.runs() == {}  # the webserver has connections now
        postgres.stop()
        time.sleep(1)
        postgres.start()
        assert here.runs() == {}
        assert "Traceback" not in here.log("webserver")
    finally:
        here.stop()
