"""The DuckDB warehouse: months as they were put into the lake, damage that is named, and queries that only read."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.contracts.zones import ZONE_COLUMNS
from taxi_assets.errors import PermanentError, QueryError
from taxi_assets.months import Month
from taxi_assets.records import LakeObject
from taxi_assets.storage.lake.folder import FolderLake
from taxi_assets.storage.limits import ResourceLimits
from taxi_assets.storage.warehouse.duckdb import DuckDBWarehouse
from taxi_assets_tests.storage.made_months import JANUARY, make_month

YELLOW = DATASETS["yellow"]
FEBRUARY = JANUARY.plus(1)


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(tmp_path / "warehouse.duckdb", "nyc_tlc", ResourceLimits(512, 2))


def put(folder: Path, rows: int = 1000, month: Month = JANUARY, dataset: Dataset = YELLOW, **values: Any) -> LakeObject:
    """Put a month into a lake in `folder`."""
    folder.mkdir(exist_ok=True)
    cleaned = make_month(folder / "m", rows, month, dataset, **values)
    return FolderLake(folder / "lake").put(cleaned, folder / "m", accept_row_count=True)


def change(warehouse: DuckDBWarehouse, sql: str) -> None:
    """Do something to the file behind the project's back."""
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute(sql)


def test_a_small_table_stays_as_it_is_if_its_new_file_cannot_be_loaded(
    warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"LocationID": pa.array([1, 2], pa.int64())}), tmp_path / "zones.parquet")
    columns = [column for column in ZONE_COLUMNS if column.name == "LocationID"]
    assert warehouse.replace_table("taxi_zones", columns, (tmp_path / "zones.parquet").as_uri()) == 2
    (tmp_path / "zones.parquet").write_bytes(b"")
    with pytest.raises(PermanentError, match=r"the file cannot be loaded into nyc_tlc\.taxi_zones") as caught:
        warehouse.replace_table("taxi_zones", columns, (tmp_path / "zones.parquet").as_uri())
    assert caught.value.location == (tmp_path / "zones.parquet").as_uri()
    assert warehouse.query("SELECT count(*) AS n FROM nyc_tlc.taxi_zones")["n"].to_pylist() == [2]


def test_a_lake_that_cannot_be_read_is_not_taken_for_one_without_the_month(tmp_path: Path) -> None:
    put(tmp_path)
    lake = FolderLake(tmp_path / "lake")
    assert lake.landed_rows("yellow", JANUARY) == 1000
    assert lake.landed_rows("yellow", FEBRUARY) == 0
    shutil.rmtree(tmp_path / "lake/data/yellow")
    (tmp_path / "lake/data/yellow").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        lake.landed_rows("yellow", JANUARY)


# --- months


def test_only_the_months_that_are_asked_for_are_counted(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    assert warehouse.count_months("yellow_trips", [JANUARY]) == {}
    for n in range(3):
        warehouse.replace_month(YELLOW, put(tmp_path, 10 + n, JANUARY.plus(n)))

    assert warehouse.count_months("yellow_trips") == {JANUARY: 10, FEBRUARY: 11, JANUARY.plus(2): 12}
    assert warehouse.count_months("yellow_trips", [FEBRUARY, Month(2019, 1)]) == {FEBRUARY: 11}
    assert warehouse.count_months("yellow_trips", []) == {}


def test_an_unchanged_month_is_loaded_again_on_request_only(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    stored = put(tmp_path)
    assert warehouse.replace_month(YELLOW, stored).changed
    change(warehouse, "UPDATE nyc_tlc.yellow_trips SET fare_amount = 0.01")
    assert not warehouse.replace_month(YELLOW, stored).changed
    assert warehouse.verify_month(YELLOW, stored) == ["the table has other values than the object"]

    assert warehouse.replace_month(YELLOW, stored, reload=True).changed
    assert warehouse.verify_month(YELLOW, stored) == []


def test_an_older_release_lands_its_months_in_a_table_that_a_later_one_widened(
    warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    warehouse.replace_month(YELLOW, put(tmp_path))
    earlier = dataclasses.replace(YELLOW, columns=YELLOW.columns[:-2])
    change(warehouse, "ALTER TABLE nyc_tlc.yellow_trips ADD COLUMN mine INTEGER")

    stored = put(tmp_path, 7, FEBRUARY, earlier)
    loaded = warehouse.replace_month(earlier, stored)

    assert (loaded.rows, loaded.unknown_columns) == (7, (*(c.name for c in YELLOW.columns[-2:]), "mine"))
    assert warehouse.verify_month(earlier, stored) == []
    assert warehouse.replace_month(YELLOW, put(tmp_path, 999)).unknown_columns == ("mine",)


def test_a_required_column_that_the_contract_does_not_know_is_refused(
    warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    change(warehouse, "CREATE SCHEMA nyc_tlc; CREATE TABLE nyc_tlc.yellow_trips (VendorID VARCHAR, mine INT NOT NULL)")
    with pytest.raises(PermanentError) as caught:
        warehouse.replace_month(YELLOW, put(tmp_path))
    assert "VendorID is VARCHAR, not BIGINT" in caught.value.message
    assert "mine is INTEGER, not in the contract, and NOT NULL" in caught.value.message


def test_a_table_that_the_project_has_not_loaded_has_no_months_on_record(warehouse: DuckDBWarehouse) -> None:
    change(warehouse, "CREATE SCHEMA nyc_tlc; CREATE TABLE nyc_tlc.yellow_trips (source_month DATE)")
    assert warehouse.find_month("yellow", JANUARY) is None
    assert warehouse.loaded_checksums("yellow_trips") == {}


# --- verification and damage


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE nyc_tlc.yellow_trips SET fare_amount = 1e-9 WHERE tpep_pickup_datetime = '2021-01-01 00:00:05'",
        "UPDATE nyc_tlc.yellow_trips SET tip_amount = 0 WHERE tpep_pickup_datetime = '2021-01-01 00:00:05'",
        "UPDATE nyc_tlc.yellow_trips SET tpep_pickup_datetime = '2021-01-01' WHERE second(tpep_pickup_datetime) < 3",
        "UPDATE nyc_tlc.yellow_trips SET extra = tolls_amount, tolls_amount = extra",
    ],
    ids=["a value", "a zero for NULL", "rows become twins of another", "columns swapped"],
)
def test_a_changed_value_is_found_though_no_count_changed(
    damage: str, warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    stored = put(tmp_path, extra=1.0, tolls_amount=2.0)
    warehouse.replace_month(YELLOW, stored)
    assert warehouse.verify_month(YELLOW, stored) == []

    change(warehouse, damage)

    assert warehouse.verify_month(YELLOW, stored) == ["the table has other values than the object"]


def test_rows_in_another_order_are_the_same_month(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    stored = put(tmp_path, store_and_fwd_flag=["", "N", None, "né"] * 250, trip_distance=[0.1, float("nan")] * 500)
    warehouse.replace_month(YELLOW, stored)
    change(
        warehouse,
        "CREATE TABLE t AS FROM nyc_tlc.yellow_trips; DELETE FROM nyc_tlc.yellow_trips; "
        "INSERT INTO nyc_tlc.yellow_trips FROM t ORDER BY tpep_pickup_datetime DESC",
    )
    assert warehouse.verify_month(YELLOW, stored) == []


@pytest.mark.parametrize("part", ["the header", "the blocks", "all of it", "its end"])
def test_a_damaged_file_is_reported_as_such_with_what_to_do(
    part: str, warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    stored = put(tmp_path, 300_000, fare_amount=[n / 7 for n in range(300_000)])
    warehouse.replace_month(YELLOW, stored)
    content = bytearray(warehouse.path.read_bytes())
    size = len(content)
    start, end = {"the header": (0, 64), "the blocks": (12_288, size), "all of it": (0, size), "its end": (0, 0)}[part]
    for at in range(start, end, 8 if part == "the header" else 4096):
        content[at] ^= 0xFF
    warehouse.path.write_bytes(content[: size // 2] if part == "its end" else content)

    def verify() -> object:
        return warehouse.verify_month(YELLOW, stored)

    def count() -> object:
        return warehouse.query("SELECT sum(fare_amount) FROM nyc_tlc.yellow_trips")

    for use in (verify, count, lambda: warehouse.replace_month(YELLOW, stored, reload=True)):
        with pytest.raises(PermanentError, match="the warehouse file is damaged") as caught:
            use()
        assert "move it away and run the months again with --from-lake" in caught.value.remedy

    warehouse.path.unlink()
    assert warehouse.replace_month(YELLOW, stored).changed
    assert warehouse.verify_month(YELLOW, stored) == []


def test_a_new_file_has_the_format_that_every_supported_python_reads(
    warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    warehouse.replace_month(YELLOW, put(tmp_path))
    with duckdb.connect(str(warehouse.path)) as connection:
        ((tags,),) = connection.execute("SELECT tags FROM duckdb_databases() WHERE path IS NOT NULL").fetchall()
    assert tags == {"storage_version": "v1.5.0+"}


def test_a_file_of_a_later_duckdb_is_reported_as_such_and_is_not_called_damaged(
    warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.path.touch()
    text = (
        "IO Error: Trying to read a database file with version number 69, but we can only read versions between 64 "
        "and 68.\nThe database file was created with a newer version of DuckDB."
    )

    def refuse(*_: object, **__: object) -> None:
        raise duckdb.IOException(text)

    monkeypatch.setattr(duckdb, "connect", refuse)
    with pytest.raises(PermanentError, match="written by a later DuckDB than") as caught:
        warehouse.count_months("yellow_trips")
    assert "use the Python version that wrote it" in caught.value.remedy


# --- queries


@pytest.mark.parametrize(
    "sql",
    [
        "COPY nyc_tlc.yellow_trips TO '{outside}'",
        "COPY (SELECT 1) TO '{outside}'",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT content FROM read_text('{secret}')",
        "FROM '{secret}'",
        "FROM glob('/*')",
        "ATTACH '{outside}' AS x",
        "EXPORT DATABASE '{outside}'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "DELETE FROM nyc_tlc.yellow_trips",
        "DROP TABLE nyc_tlc.yellow_trips",
        "CREATE TEMP TABLE x AS SELECT 1",
        "EXPLAIN ANALYZE DELETE FROM nyc_tlc.yellow_trips",
        "WITH gone AS (SELECT 1) DELETE FROM nyc_tlc.yellow_trips",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE nyc_tlc.yellow_trips",
        "PRAGMA database_list",
        "CHECKPOINT",
        "",
        "-- nothing",
    ],
)
def test_a_query_reads_the_warehouse_and_nothing_else(sql: str, warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    warehouse.replace_month(YELLOW, put(tmp_path / "lake"))
    (tmp_path / "secret.csv").write_text("password\nhunter2\n")
    before = sorted(path for path in tmp_path.rglob("*"))

    with pytest.raises(QueryError, match="the query cannot be answered") as caught:
        warehouse.query(sql.format(outside=tmp_path / "outside", secret=tmp_path / "secret.csv"))

    assert "hunter2" not in str(caught.value)
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert warehouse.count_months("yellow_trips") == {JANUARY: 1000}


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT count(*) FROM nyc_tlc.yellow_trips", 1),
        ("WITH one AS (SELECT 1) FROM one;", 1),
        ("VALUES (1), (2)", 2),
        ("DESCRIBE nyc_tlc.yellow_trips", len(YELLOW.table_columns)),
        ("EXPLAIN SELECT 1", 1),
        ("SELECT 1 -- a semicolon ; in a comment", 1),
        ("SELECT VendorID FROM nyc_tlc.yellow_trips WHERE false", 0),
    ],
)
def test_whatever_only_reads_is_answered(sql: str, rows: int, warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    warehouse.replace_month(YELLOW, put(tmp_path))
    assert warehouse.query(sql).num_rows == warehouse.query(sql, limit=3).num_rows + max(0, rows - 3) == rows


def test_a_large_answer_is_fetched_no_further_than_it_is_shown(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    warehouse.replace_month(YELLOW, put(tmp_path))
    assert warehouse.query("SELECT range FROM range(1_000_000_000_000)", limit=3)["range"].to_pylist() == [0, 1, 2]


def test_a_query_larger_than_memory_spills_to_disk_though_it_may_touch_no_file(
    warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    warehouse.replace_month(YELLOW, put(tmp_path))
    small = DuckDBWarehouse(warehouse.path, "nyc_tlc", ResourceLimits(300, 1))
    sql = "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY md5(range::VARCHAR)) AS n FROM range(4_000_000))"
    assert small.query(sql).to_pylist() == [{"max(n)": 4_000_000}]


def test_a_refused_query_names_the_tables_that_exist(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    warehouse.replace_month(YELLOW, put(tmp_path))
    warehouse.replace_table("taxi_zones", [YELLOW.columns[0]], _one_column(tmp_path).as_uri())
    with pytest.raises(QueryError, match="Table with name trips does not exist") as caught:
        warehouse.query("SELECT * FROM trips")
    assert "the tables are nyc_tlc.taxi_zones, nyc_tlc.yellow_trips;" in caught.value.remedy


@pytest.mark.parametrize("sql", ["SELECT checksum FROM nyc_tlc.yellow_trips", "SELECT 'Corrupt'::INTEGER"])
def test_a_refused_query_does_not_make_the_file_a_damaged_one(
    sql: str, warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    warehouse.replace_month(YELLOW, put(tmp_path))
    with pytest.raises(QueryError, match="the query cannot be answered"):
        warehouse.query(sql)


def _one_column(folder: Path) -> Path:
    duckdb.sql("SELECT 1::BIGINT AS VendorID").write_parquet(str(folder / "zones"))
    return folder / "zones"


# --- the lake


def test_an_object_with_a_month_that_does_not_exist_in_its_name_stops_nobody(tmp_path: Path) -> None:
    stored = put(tmp_path)
    lake = FolderLake(tmp_path / "lake")
    shutil.copy(lake.path(stored), lake.path(stored).with_name("yellow_tripdata_2018-13.parquet"))
    assert list(lake.versions("yellow")) == [JANUARY]


def test_a_cleaned_file_with_under_half_of_an_objects_rows_replaces_it_only_if_a_person_accepts_that(
    tmp_path: Path,
) -> None:
    lake, before = FolderLake(tmp_path / "lake"), put(tmp_path)
    cleaned = make_month(tmp_path / "few", 499)
    with pytest.raises(PermanentError, match="the cleaned file has 499 rows, under half of the 1,000") as caught:
        lake.put(cleaned, tmp_path / "few")
    assert "taxi-assets run yellow 2021-01 --accept-row-count" in caught.value.remedy
    found = lake.find("yellow", JANUARY)
    assert found is not None
    assert (found.rows, found.sha256) == (1000, before.sha256)
    assert lake.put(make_month(tmp_path / "half", 500), tmp_path / "half").rows == 500
    assert lake.put(cleaned, tmp_path / "few", accept_row_count=True).rows == 499


@pytest.mark.parametrize("damage", ["no Parquet file", "from elsewhere"])
def test_an_object_that_is_damaged_or_from_elsewhere_gives_way_to_any_month(damage: str, tmp_path: Path) -> None:
    lake, stored = FolderLake(tmp_path / "lake"), put(tmp_path)
    lake.path(stored).write_bytes(b"PAR1 damaged PAR1")
    if damage == "from elsewhere":
        duckdb.sql("SELECT 1 AS VendorID FROM range(5000)").write_parquet(str(lake.path(stored)))
    assert lake.landed_rows("yellow", JANUARY) == 0
    assert lake.put(make_month(tmp_path / "few", 1), tmp_path / "few").rows == 1


@pytest.mark.parametrize("made_here", [True, False])
@pytest.mark.parametrize(("rows", "why"), [(0, "the object has no rows"), (499, "499 rows, under half of the 1,000")])
def test_an_object_erases_neither_a_month_nor_most_of_it_unless_a_person_accepts_that(
    warehouse: DuckDBWarehouse, tmp_path: Path, rows: int, why: str, made_here: bool
) -> None:
    warehouse.replace_month(YELLOW, put(tmp_path))
    new = dataclasses.replace(put(tmp_path / "new", rows), source_sha256="ab" * 32 if made_here else "")
    with pytest.raises(PermanentError, match=why):
        warehouse.replace_month(YELLOW, new)
    assert warehouse.count_months("yellow_trips") == {JANUARY: 1000}
    with pytest.raises(PermanentError, match=why):
        warehouse.replace_month(YELLOW, new, reload=True)
    if rows:
        assert warehouse.replace_month(YELLOW, new, accept_row_count=True).rows == 499


def test_a_table_that_grew_by_other_hands_is_mended_by_the_next_load(
    warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    stored = put(tmp_path)
    warehouse.replace_month(YELLOW, stored)
    for _ in range(2):
        change(warehouse, "INSERT INTO nyc_tlc.yellow_trips SELECT * FROM nyc_tlc.yellow_trips")
    assert warehouse.count_months("yellow_trips") == {JANUARY: 4000}
    assert warehouse.replace_month(YELLOW, stored).changed
    assert warehouse.count_months("yellow_trips") == {JANUARY: 1000}
