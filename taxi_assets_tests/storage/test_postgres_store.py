"""A month in PostgreSQL: the same values, whole or not at all, whoever reads, loads or dies meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Column
from taxi_assets.contracts.schemas import arrow_schema
from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.months import Month
from taxi_assets.storage.warehouse.postgres import PostgresStore
from taxi_assets_tests.servers.postgres import PostgresServer
from taxi_assets_tests.storage.made_months import JANUARY, make_month

pytest_plugins = ["taxi_assets_tests.servers.fixtures_postgres"]

YELLOW = DATASETS["yellow"]
ROOT = Path(__file__).parents[2]
MANY = 150_000
"""Rows that take long enough to load to do something meanwhile, about a second."""


@pytest.fixture
def store(postgres_url: str) -> PostgresStore:
    return PostgresStore(postgres_url)


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of somebody else's to the same database."""
    with contextlib.closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        yield connection


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def is_copying(connection: psycopg.Connection[Any]) -> bool:
    sql = "SELECT 1 FROM pg_stat_progress_copy WHERE tuples_processed > 0"
    return connection.execute(sql).fetchone() is not None


def relations(connection: psycopg.Connection[Any]) -> list[str]:
    sql = "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('nyc_tlc') AND relkind IN ('r', 'p')"
    return sorted(name for (name,) in connection.execute(sql))


# --- values


def test_an_empty_month_is_a_month_of_no_rows(store: PostgresStore, tmp_path: Path) -> None:
    loaded = store.replace_month(YELLOW, make_month(tmp_path / "m", 0), tmp_path / "m")

    assert (loaded.rows, loaded.changed) == (0, True)
    assert store.read_month(YELLOW, JANUARY).num_rows == 0
    assert not store.replace_month(YELLOW, make_month(tmp_path / "m", 0), tmp_path / "m").changed


def test_trips_with_zero_passengers_are_dropped_and_counted_and_unknown_numbers_stay(
    store: PostgresStore, tmp_path: Path
) -> None:
    record = make_month(tmp_path / "m", 5, passenger_count=[0, 1, None, 0, 6])
    loaded = store.replace_month(YELLOW, record, tmp_path / "m", drop_zero_passengers=True)
    assert (loaded.rows, loaded.dropped_rows) == (3, 2)
    assert store.read_month(YELLOW, JANUARY)["passenger_count"].to_pylist() == [1, None, 6]

    loaded = store.replace_month(YELLOW, record, tmp_path / "m", drop_zero_passengers=False)
    assert (loaded.rows, loaded.dropped_rows, loaded.changed) == (5, 0, True)


def test_columns_are_in_lower_case_and_carry_their_description(
    store: PostgresStore, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    store.replace_month(YELLOW, make_month(tmp_path / "m"), tmp_path / "m")
    for table in ("yellow_trips", "yellow_trips_2021_01"):
        sql = (
            "SELECT attname, col_description(attrelid, attnum) FROM pg_attribute "
            f"WHERE attrelid = 'nyc_tlc.{table}'::regclass AND attnum > 0 ORDER BY attnum"
        )
        assert admin.execute(sql).fetchall() == [(c.name.lower(), c.description) for c in YELLOW.table_columns]


def test_a_query_for_some_days_of_a_month_uses_the_index_of_its_partition_alone(
    store: PostgresStore, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    for number in (1, 2):
        month = Month(2021, number)
        store.replace_month(YELLOW, make_month(tmp_path / "m", 5000, month), tmp_path / "m")
    sql = (
        "EXPLAIN SELECT * FROM nyc_tlc.yellow_trips WHERE source_month = '2021-01-01' "
        "AND tpep_pickup_datetime < '2021-01-01 00:00:09'"
    )
    plan = "\n".join(line for (line,) in admin.execute(sql))
    assert "yellow_trips_2021_01_tpep_pickup_datetime_idx" in plan
    assert "yellow_trips_2021_02" not in plan


def test_a_table_of_the_tutorials_making_is_not_touched(
    store: PostgresStore, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    admin.execute('CREATE TABLE yellow_trips (index bigint, "VendorID" bigint)')
    admin.execute("INSERT INTO yellow_trips VALUES (0, 2)")
    store.replace_month(YELLOW, make_month(tmp_path / "m"), tmp_path / "m")
    assert admin.execute('SELECT index, "VendorID" FROM public.yellow_trips').fetchall() == [(0, 2)]


def test_a_table_that_somebody_dropped_holds_no_month_and_is_loaded_anew(
    store: PostgresStore, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    record = make_month(tmp_path / "m", 3)
    store.replace_month(YELLOW, record, tmp_path / "m")
    assert store.holds(record, drop_zero_passengers=False)
    assert not store.holds(record, drop_zero_passengers=True)
    admin.execute("DROP TABLE nyc_tlc.yellow_trips")
    assert not store.holds(record, drop_zero_passengers=False)
    assert store.find_month("yellow", JANUARY) is None
    assert store.verify_month(YELLOW, record, tmp_path / "m") != []
    assert store.replace_month(YELLOW, record, tmp_path / "m").changed


def test_zones_are_replaced_whole(store: PostgresStore, tmp_path: Path) -> None:
    columns = [Column("LocationID", "int64", "Number.", nullable=False), Column("Zone", "string", "Name.")]
    for names in (["Newark", "Jamaica Bay", None], ["Newark Airport"]):
        table = pa.table({"LocationID": range(len(names)), "Zone": names}, schema=arrow_schema(columns))
        pq.write_table(table, tmp_path / "zones")
        assert store.replace_table("taxi_zones", columns, tmp_path / "zones") == len(names)


# --- twice is once


def test_an_unchanged_month_is_not_loaded_again_and_a_damaged_one_is(
    store: PostgresStore, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    record = make_month(tmp_path / "m")
    assert store.find_month("yellow", JANUARY) is None
    first = store.replace_month(YELLOW, record, tmp_path / "m")
    second = store.replace_month(YELLOW, record, tmp_path / "m")
    assert (first.changed, second.changed) == (True, False)
    assert store.find_month("yellow", JANUARY) == dataclasses.replace(second, bytes=0)

    admin.execute("DELETE FROM nyc_tlc.yellow_trips WHERE tpep_pickup_datetime > '2021-01-01 00:00:10'")
    assert store.replace_month(YELLOW, record, tmp_path / "m").changed
    assert store.count_months("yellow_trips") == {JANUARY: 1000}


@pytest.mark.parametrize("dropping", [True, False])
def test_a_file_with_under_half_of_the_rows_replaces_a_month_only_if_a_person_accepts_it(
    dropping: bool, store: PostgresStore, tmp_path: Path
) -> None:
    whole = make_month(tmp_path / "m", passenger_count=[0, 1] * 500)
    store.replace_month(YELLOW, whole, tmp_path / "m", drop_zero_passengers=dropping)
    few = make_month(tmp_path / "few", 499)
    for more in ({}, {"reload": True}, {"drop_zero_passengers": True}):
        with pytest.raises(PermanentError, match="499 rows, under half of the 1,000 that the month has had"):
            store.replace_month(YELLOW, few, tmp_path / "few", **more)
    assert store.count_months("yellow_trips") == {JANUARY: 500 if dropping else 1000}
    assert store.replace_month(YELLOW, few, tmp_path / "few", accept_row_count=True).rows == 499


@pytest.mark.parametrize("dropping", [True, False])
def test_verifying_finds_a_changed_value_and_a_reload_mends_it(
    dropping: bool, store: PostgresStore, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    flags = ["", "N", None, 'a "b",\n', "né"] * 200
    record = make_month(tmp_path / "m", passenger_count=[0, 1, None, 2] * 250, store_and_fwd_flag=flags, extra=0.1)
    assert store.verify_month(YELLOW, record, tmp_path / "m") != []
    store.replace_month(YELLOW, record, tmp_path / "m", drop_zero_passengers=dropping)
    assert store.verify_month(YELLOW, record, tmp_path / "m") == []

    admin.execute("UPDATE nyc_tlc.yellow_trips SET extra = 0.2 WHERE tpep_pickup_datetime = '2021-01-01 00:00:05'")
    assert store.verify_month(YELLOW, record, tmp_path / "m") == ["Postgres has other values than the cleaned file"]
    options = {"drop_zero_passengers": dropping}
    assert not store.replace_month(YELLOW, record, tmp_path / "m", **options).changed
    assert store.replace_month(YELLOW, record, tmp_path / "m", **options, reload=True).changed
    assert store.verify_month(YELLOW, record, tmp_path / "m") == []


def test_two_loads_of_one_month_at_the_same_time_load_it_once(store: PostgresStore, tmp_path: Path) -> None:
    record = make_month(tmp_path / "m", 20_000)
    with ThreadPoolExecutor() as pool:
        loads = [pool.submit(store.replace_month, YELLOW, record, tmp_path / "m") for _ in range(4)]
    assert sorted(load.result().changed for load in loads) == [False, False, False, True]
    assert store.count_months("yellow_trips") == {JANUARY: 20_000}


def test_eight_months_at_once_into_an_empty_database_all_land(store: PostgresStore, tmp_path: Path) -> None:
    months = [Month(2021, number) for number in range(1, 9)]
    record = {month: make_month(tmp_path / str(month), 2000, month) for month in months}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda month: store.replace_month(YELLOW, record[month], tmp_path / str(month)), months))
    assert store.count_months("yellow_trips") == dict.fromkeys(months, 2000)


def test_a_load_does_not_wait_for_ever_for_another_of_the_same_month(
    postgres_url: str, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    hasty = PostgresStore(postgres_url, wait_seconds=0.05)
    hasty.replace_month(YELLOW, make_month(tmp_path / "m"), tmp_path / "m")
    with admin.transaction():
        admin.execute("SELECT pg_advisory_xact_lock(hashtextextended('nyc_tlc.yellow_trips_2021_01', 0))")
        with pytest.raises(TransientError, match="held a lock for too long"):
            hasty.replace_month(YELLOW, make_month(tmp_path / "m", 2), tmp_path / "m")


# --- readers


def test_a_reader_sees_no_month_then_the_old_one_then_the_new_one_and_never_waits(
    store: PostgresStore, postgres_url: str, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    old = make_month(tmp_path / "old", 30_000, fare_amount=1.0)
    new = make_month(tmp_path / "new", 40_000, fare_amount=2.0)
    other = make_month(tmp_path / "other", 10, Month(2020, 12), fare_amount=0.0)
    store.replace_month(YELLOW, other, tmp_path / "other")
    # a reader that had to wait for a lock for more than 1 ms would fail
    impatient = psycopg.connect(postgres_url, autocommit=True, options="-c lock_timeout=1")
    seen: list[Any] = []
    done = threading.Event()

    def poll() -> None:
        sql = "SELECT count(*), min(fare_amount), max(fare_amount) FROM nyc_tlc.yellow_trips WHERE fare_amount > 0"
        while not done.is_set():
            state = impatient.execute(sql).fetchone()
            if state != (seen or [None])[-1]:
                seen.append(state)

    with ThreadPoolExecutor() as pool:
        polling = pool.submit(poll)
        wait_for(lambda: seen or polling.done())
        with admin.transaction():  # somebody else reads and then goes to lunch
            admin.execute("SELECT count(*) FROM nyc_tlc.yellow_trips")
            store.replace_month(YELLOW, old, tmp_path / "old")
            wait_for(lambda: len(seen) > 1 or polling.done())
            store.replace_month(YELLOW, new, tmp_path / "new")
            wait_for(lambda: len(seen) > 2 or polling.done())
        done.set()
        polling.result()
    impatient.close()
    assert seen == [(0, None, None), (30_000, 1.0, 1.0), (40_000, 2.0, 2.0)]


def test_a_long_report_sees_the_old_month_to_its_end(
    store: PostgresStore, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    store.replace_month(YELLOW, make_month(tmp_path / "m", 10), tmp_path / "m")
    with admin.transaction():
        admin.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = admin.execute("SELECT count(*) FROM nyc_tlc.month_loads").fetchone()
        store.replace_month(YELLOW, make_month(tmp_path / "m", 20), tmp_path / "m")
        assert before == (1,)
        assert admin.execute("SELECT count(*) FROM nyc_tlc.yellow_trips").fetchone() == (10,)
    assert admin.execute("SELECT count(*) FROM nyc_tlc.yellow_trips").fetchone() == (20,)


def test_reloading_again_and_again_does_not_grow_the_table(
    store: PostgresStore, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    sizes = []
    for fare in range(4):
        store.replace_month(YELLOW, make_month(tmp_path / "m", 10_000, fare_amount=float(fare)), tmp_path / "m")
        (size,) = admin.execute("SELECT pg_relation_size('nyc_tlc.yellow_trips_2021_01')").fetchone() or (0,)
        sizes.append(size)
    assert max(sizes) <= 2.1 * sizes[0]


# --- dying


@pytest.mark.parametrize("there", [False, True], ids=["first load", "reload"])
@pytest.mark.parametrize("moment", ["copying", "attaching", "recording"])
def test_a_loader_killed_at_any_moment_leaves_the_old_month_and_the_next_load_repairs_it(
    moment: str, there: bool, store: PostgresStore, postgres_url: str, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    old = make_month(tmp_path / "old", 10, Month(2021, 1) if there else Month(2020, 12))
    store.replace_month(YELLOW, old, tmp_path / "old")
    before = (store.count_months("yellow_trips"), relations(admin))
    record = make_month(tmp_path / "new", MANY)
    # whoever holds these locks stops the loader at this very statement
    stop = {
        "copying": "SELECT 1",
        "attaching": "LOCK TABLE nyc_tlc.yellow_trips IN SHARE UPDATE EXCLUSIVE MODE",
        "recording": "LOCK TABLE nyc_tlc.month_loads IN SHARE MODE",
    }[moment]
    if moment == "attaching" and there:
        pytest.skip("a reload attaches nothing")
    with admin.transaction(), psycopg.connect(postgres_url, autocommit=True) as watch:
        admin.execute(stop)
        command = [sys.executable, "-m", "taxi_assets_tests.storage.made_months"]
        loader = subprocess.Popen([*command, postgres_url, str(tmp_path / "new"), record.to_json()], cwd=ROOT)
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'taxi_assets'"
        wait_for(lambda: is_copying(watch) if moment == "copying" else watch.execute(waiting).fetchone())
        loader.kill()
        loader.wait()
    wait_for(lambda: not admin.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'").fetchone())
    assert (store.count_months("yellow_trips"), relations(admin)) == before

    assert store.replace_month(YELLOW, record, tmp_path / "new").changed
    assert store.count_months("yellow_trips")[JANUARY] == MANY


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_a_server_that_restarts_or_crashes_during_a_load_is_a_passing_trouble(
    how: str, postgres: PostgresServer, store: PostgresStore, postgres_url: str, tmp_path: Path
) -> None:
    store.replace_month(YELLOW, make_month(tmp_path / "old", 10), tmp_path / "old")
    record = make_month(tmp_path / "new", MANY)
    with ThreadPoolExecutor() as pool, psycopg.connect(postgres_url, autocommit=True) as watch:
        load = pool.submit(store.replace_month, YELLOW, record, tmp_path / "new")
        wait_for(lambda: is_copying(watch))
        getattr(postgres, how)()
        with pytest.raises(TransientError, match=r"broke|restarting"):
            load.result()
    with contextlib.suppress(psycopg.OperationalError):
        watch.close()
    if how == "kill":
        with pytest.raises(TransientError, match="no connection to Postgres"):
            store.find_month("yellow", JANUARY)
        postgres.start()
    assert store.count_months("yellow_trips") == {JANUARY: 10}
    assert store.replace_month(YELLOW, record, tmp_path / "new").rows == MANY
    assert store.count_months("yellow_trips") == {JANUARY: MANY}
