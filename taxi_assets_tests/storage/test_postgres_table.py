"""`postgres_table` in the graph: there when configured, with the same rows as DuckDB; a refusal is a clear failure."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import psycopg
import pytest

from taxi_assets.cli.run import land
from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.zones import ZONE_COLUMNS
from taxi_assets.definitions import build_definitions
from taxi_assets.demo.sample import write_month
from taxi_assets.months import Month
from taxi_assets.reconciliation import Ledger
from taxi_assets.settings import SettingError, Settings
from taxi_assets.storage.factory import build_warehouse
from taxi_assets.storage.warehouse.postgres import PostgresStore
from taxi_assets_tests.conftest import REAL_DATA
from taxi_assets_tests.servers.postgres import PASSWORD, PostgresServer

pytest_plugins = ["taxi_assets_tests.servers.fixtures_postgres"]

JANUARY = Month(2021, 1)


@pytest.fixture
def settings(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Settings, also in the environment: made-up months, an empty database and the tutorial's rule."""
    chosen = {
        "TAXI_CSV_URL": f"{(tmp_path / 'site').as_uri()}/{{dataset}}_{{year}}-{{month:02}}.csv.gz",
        "TAXI_SOURCE": "csv",
        "TAXI_DATA_DIR": str(tmp_path / "data"),
        "TAXI_POSTGRES_URL": postgres_url,
        "TAXI_POSTGRES_DROP_ZERO_PASSENGERS": "true",
    }
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    return chosen


def publish(folder: Path, dataset: str, month: Month, rows: int) -> None:
    write_month(folder / "site" / f"{dataset}_{month}.csv.gz", dataset, month, rows)


def taxi_assets(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command, environment = [sys.executable, "-m", "taxi_assets.cli.main", *words], {**os.environ, **settings}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


def rows_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


# --- in the graph


def test_the_table_is_in_the_graph_of_every_dataset_only_where_a_postgres_is_configured() -> None:
    without = build_definitions(Settings.from_environment({})).resolve_asset_graph().get_all_asset_keys()
    settings = Settings.from_environment({"TAXI_POSTGRES_URL": "postgresql://taxi:s3cret@db/trips"})
    graph = build_definitions(settings).resolve_asset_graph()
    tables = {dg.AssetKey([name, "postgres_table"]) for name in DATASETS}
    assert graph.get_all_asset_keys() - without == tables
    assert {graph.get(key).parent_keys.pop() for key in tables} == {
        dg.AssetKey([name, "cleaned_parquet"]) for name in DATASETS
    }


def test_the_password_is_in_no_configuration_that_the_ui_shows() -> None:
    settings = Settings.from_environment({"TAXI_POSTGRES_URL": "postgresql://taxi:s3cret@db/trips"})
    repository = build_definitions(settings).get_repository_def()
    assert "s3cret" not in repr(settings)
    shown = {
        name: f"{one.description} {one.config_schema.default_value if one.config_schema.default_provided else ''!r}"
        for name, one in repository.get_top_level_resources().items()
    }
    assert "TAXI_POSTGRES_URL" in shown["postgres"]
    assert not [name for name, text in shown.items() if "s3cret" in text]


def test_an_address_of_something_else_is_refused_without_being_shown() -> None:
    with pytest.raises(SettingError, match="TAXI_POSTGRES_URL cannot be used") as caught:
        Settings.from_environment({"TAXI_POSTGRES_URL": "mysql://taxi:s3cret@db/trips"})
    assert "s3cret" not in str(caught.value)


# --- values


@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "months"), [("yellow", 24), ("green", 3), ("fhvhv", 1)])
def test_months_have_the_same_values_as_in_duckdb_without_the_trips_of_zero_passengers(
    dataset: str, months: int, settings: dict[str, str], tmp_path: Path
) -> None:
    wanted = [Month(2018, 1).plus(n) for n in range(months)] if dataset == "yellow" else [Month(2020, 3)][:months]
    if REAL_DATA and dataset != "fhvhv":
        mirror = Path(REAL_DATA).absolute() / "mirror"
        wanted = wanted if dataset == "yellow" else [Month(2020, 3), Month(2023, 1), Month(2024, 7)]
        csv = f"{mirror}/releases/download/{{dataset}}/{{dataset}}_tripdata_{{year}}-{{month:02}}.csv.gz"
        parquet = f"{mirror}/trip-data/{{dataset}}_tripdata_{{year}}-{{month:02}}.parquet"
        urls = {"TAXI_CSV_URL": f"file://{csv}", "TAXI_PARQUET_URL": f"file://{parquet}", "TAXI_SOURCE": "auto"}
    else:
        wanted, urls = wanted[:3], {}
        for month in wanted:
            publish(tmp_path, dataset, month, 3000)
    chosen = Settings.from_environment({**settings, **urls})
    rows = land(chosen, DATASETS[dataset], wanted)
    assert [row.status for row in rows] == ["landed"] * len(wanted), rows[0].error

    passengers = DATASETS[dataset].one("passengers")
    for row, month in zip(rows, wanted, strict=True):
        here = PostgresStore(chosen.postgres_url).read_month(DATASETS[dataset], month)
        there = build_warehouse(chosen).read_month(dataset, month)
        zero = 0
        with duckdb.connect() as limits:
            if passengers:
                ((zero,),) = limits.sql(f"SELECT count(*) FROM there WHERE {passengers.name} = 0").fetchall()
            kept = f"FROM there WHERE {passengers.name} IS DISTINCT FROM 0" if passengers else "FROM there"
            names = ", ".join(column.name for column in DATASETS[dataset].table_columns)
            for one, other in (("FROM here", kept), (kept, "FROM here")):
                differing = f"SELECT {names} {one} EXCEPT ALL SELECT {names} {other}"
                assert limits.sql(f"SELECT count(*) FROM ({differing})").fetchall() == [(0,)], month
        assert here.num_rows == row.postgres_rows == there.num_rows - zero
        assert row.postgres_dropped_rows == zero


def test_every_trip_lands_without_the_tutorials_rule(settings: dict[str, str], tmp_path: Path) -> None:
    publish(tmp_path, "yellow", JANUARY, 2000)
    chosen = Settings.from_environment({**settings, "TAXI_POSTGRES_DROP_ZERO_PASSENGERS": "false"})
    (row,) = land(chosen, DATASETS["yellow"], [JANUARY])
    assert (row.postgres_rows, row.postgres_dropped_rows) == (row.cleaned_rows, 0)


def test_a_month_that_landed_before_postgres_was_set_is_not_loaded_until_it_runs_again(
    settings: dict[str, str], postgres_url: str, tmp_path: Path
) -> None:
    publish(tmp_path, "yellow", JANUARY, 2000)
    chosen = Settings.from_environment(settings)
    land(chosen.model_copy(update={"postgres_url": ""}), DATASETS["yellow"], [JANUARY])
    (row,) = Ledger(chosen).rows(DATASETS["yellow"]).values()
    assert (row.status, row.postgres_rows) == ("not_loaded", 0)
    assert row.error.startswith("yellow 2021-01: in the lake, not loaded into Postgres yet\nwhat to do: ")
    (row,) = land(chosen, DATASETS["yellow"], [JANUARY])
    assert row.status == "landed"
    with psycopg.connect(postgres_url) as connection:
        connection.execute("DELETE FROM nyc_tlc.yellow_trips")
        connection.execute("UPDATE nyc_tlc.month_loads SET dropped_rows = 0")
    (row,) = Ledger(chosen).rows(DATASETS["yellow"]).values()
    assert row.status == "failed"
    assert "was loaded into Postgres, and is not there any more" in row.error


def test_zones_land_in_postgres_too(settings: dict[str, str], postgres_url: str, tmp_path: Path) -> None:
    lines = ["LocationID,Borough,Zone,service_zone", *(f"{n},Queens,Zone {n},Boro Zone" for n in range(1, 266))]
    (tmp_path / "zones.csv").write_text("\n".join(lines))
    url = (tmp_path / "zones.csv").as_uri()
    definitions = build_definitions(Settings.from_environment({**settings, "TAXI_ZONES_URL": url}))
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("taxi_zones")]).success
    with psycopg.connect(postgres_url) as connection:
        names = ", ".join(column.name.lower() for column in ZONE_COLUMNS)
        found = connection.execute(f"SELECT {names} FROM nyc_tlc.taxi_zones ORDER BY 1").fetchall()
    assert (len(found), found[6]) == (265, (7, "Queens", "Zone 7", "Boro Zone"))


# --- the command


@pytest.mark.slow
def test_the_command_lands_tells_and_verifies_and_repairs_what_was_lost(
    settings: dict[str, str], postgres_url: str, tmp_path: Path
) -> None:
    publish(tmp_path, "yellow", JANUARY, 2000)
    (row,) = rows_of(taxi_assets("run", "yellow", "2021-01", "--json"))
    assert row["status"] == "landed", row["error"]
    assert row["postgres_dropped_rows"] > 0
    assert row["postgres_rows"] + row["postgres_dropped_rows"] == row["cleaned_rows"] == row["table_rows"]
    verified = taxi_assets("ledger", "--verify")
    assert verified.returncode == 0, verified.stdout
    assert f"{row['postgres_rows']:,}" in verified.stdout

    with psycopg.connect(postgres_url) as connection:
        connection.execute("DELETE FROM nyc_tlc.yellow_trips WHERE ctid = '(0,1)'")
    verified = taxi_assets("ledger", "--verify")
    assert verified.returncode == 1
    assert f"Postgres has {row['postgres_rows'] - 1:,} rows and left out" in verified.stdout

    (again,) = rows_of(taxi_assets("run", "yellow", "2021-01", "--json"))
    assert (again["status"], again["postgres_rows"]) == ("landed", row["postgres_rows"])
    (same,) = rows_of(taxi_assets("run", "yellow", "2021-01", "--json"))
    assert same["status"] == "unchanged"

    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            "UPDATE nyc_tlc.yellow_trips SET extra = 77 WHERE ctid = (SELECT min(ctid) FROM nyc_tlc.yellow_trips)"
        )
    verified = taxi_assets("ledger", "--verify")
    assert "Postgres has other values than the cleaned file\n" in verified.stdout
    assert "what to do: taxi-assets run yellow 2021-01 --reload" in verified.stdout
    assert taxi_assets("run", "yellow", "2021-01", "--reload").returncode == 0
    assert taxi_assets("ledger", "--verify").returncode == 0


def test_postgres_keeps_a_month_where_all_other_stores_were_lost_until_a_person_accepts_fewer_rows(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lands(rows: int, *words: str, status: int = 0) -> dict[str, Any]:
        publish(tmp_path, "yellow", JANUARY, rows)
        done = taxi_assets("run", "yellow", "2021-01", "--json", *words)
        assert done.returncode == status, done.stderr + done.stdout
        return rows_of(done)[0]

    monkeypatch.setenv("TAXI_POSTGRES_DROP_ZERO_PASSENGERS", "false")
    assert lands(1000)["postgres_rows"] == 1000
    shutil.rmtree(tmp_path / "data")
    assert "under half of the 1,000 that the month has had" in lands(400, status=1)["error"]
    assert lands(400, "--accept-row-count")["postgres_rows"] == 400


def test_a_postgres_that_refuses_fails_the_month_and_keeps_nothing_else_from_landing(
    settings: dict[str, str], postgres_url: str, tmp_path: Path
) -> None:
    publish(tmp_path, "yellow", JANUARY, 1000)
    done = taxi_assets(
        "run", "yellow", "2021-01", "--json", TAXI_POSTGRES_URL=postgres_url.replace(PASSWORD, "s3cret-7")
    )
    assert done.returncode == 1
    (row,) = rows_of(done)
    assert (row["status"], row["table_rows"]) == ("failed", 1000)
    assert "the server refused the user or password" in row["error"]
    assert "correct TAXI_POSTGRES_URL" in row["error"]
    assert "s3cret-7" not in done.stdout + done.stderr


# --- trouble in the middle


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["the server restarts", "the run is killed"])
def test_the_month_is_there_whole_after(
    what: str, settings: dict[str, str], postgres: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    publish(tmp_path, "yellow", JANUARY, 200_000)
    command = [sys.executable, "-m", "taxi_assets.cli.main", "run", "yellow", "2021-01", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "TAXI_FIRST_WAIT": "0.5"}) as run:
        with psycopg.connect(postgres_url, autocommit=True) as watch:
            copying = "SELECT 1 FROM pg_stat_progress_copy WHERE tuples_processed > 0"
            wait_for(lambda: watch.execute(copying).fetchone() or run.poll() is not None)
        if what == "the server restarts":
            postgres.restart()  # the step tries the month again by itself
            done = run.communicate()[0]
        else:
            run.kill()
            run.wait()
            assert PostgresStore(postgres_url).count_months("yellow_trips") == {}
            done = taxi_assets("run", "yellow", "2021-01", "--json").stdout.encode()
    (row,) = json.loads(done)
    assert row["status"] == "landed", row["error"]
    assert row["postgres_rows"] + row["postgres_dropped_rows"] == row["cleaned_rows"] == 200_000
    assert PostgresStore(postgres_url).count_months("yellow_trips") == {JANUARY: row["postgres_rows"]}
