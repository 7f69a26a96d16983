"""`taxi-assets ledger`: what is where, a line for each month, and what `--verify` finds that no count shows."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from taxi_assets.cli.main import main
from taxi_assets.contracts import DATASETS
from taxi_assets.demo.sample import blocks
from taxi_assets.ledger_row import LedgerRow
from taxi_assets.months import Month
from taxi_assets.reconciliation import Ledger
from taxi_assets.settings import Settings
from taxi_assets.storage.lake.folder import FolderLake
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets.storage.warehouse.duckdb import DuckDBWarehouse
from taxi_assets_tests.reports.landed import Place
from taxi_assets_tests.transform import landing

YELLOW = DATASETS["yellow"]
MONTHS = [Month(2021, number) for number in (1, 2, 3)]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Three months of 100, 200 and 300 rows, where the default settings look for them."""
    place = Place(tmp_path / "data")
    for number, month in enumerate(MONTHS, 1):
        place.land("yellow", str(month), 100 * number)
    return place


def rows_of(capsys: pytest.CaptureFixture[str], *, status: int, verified: bool = False) -> dict[str, dict[str, Any]]:
    """Return the months of `ledger --json`."""
    assert main(["ledger", "yellow", "--json", *(["--verify"] if verified else [])]) == status
    return {row["month"]: row for row in json.loads(capsys.readouterr().out)}


def object_of(place: Place, month: str) -> Path:
    return place.folder / f"lake/data/yellow/yellow_tripdata_{month}.parquet"


def test_a_total_and_the_places_stand_below_the_months(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger"]) == 0
    shown = capsys.readouterr().out
    (total,) = (line for line in shown.splitlines() if line.startswith("total"))
    assert total.split() == ["total", "3", "months", "600", "600", "0", "0", "600", "600"]
    assert f"lake:      {place.folder / 'lake'}" in shown
    assert f"warehouse: {place.folder / 'warehouse.duckdb'}, schema nyc_tlc" in shown
    assert f"staging:   {place.folder / 'work'}" in shown
    assert "seconds" not in shown  # the ledger does not know how long a month took


def test_verifying_what_is_not_there_fails(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ledger", "yellow", "2021-03..2021-05", "--verify"]) == 1
    assert "yellow 2021-04..2021-05 is in no store" in capsys.readouterr().err
    assert main(["ledger", "yellow", "2021-03..2021-05"]) == main(["ledger", "yellow", "2021-03", "--verify"]) == 0
    monkeypatch.setenv("TAXI_DATA_DIR", str(tmp_path / "unmounted"))
    capsys.readouterr()
    assert main(["ledger", "--verify"]) == 1
    shown = capsys.readouterr()
    assert "nothing has landed here, so there is nothing to verify" in shown.err
    assert str(tmp_path / "unmounted") in shown.out
    assert main(["ledger", "fhv", "2022"]) == 0
    assert "nothing of fhv 2022 has landed yet; to land it: taxi-assets run fhv 2022" in capsys.readouterr().out


def test_a_damaged_object_concerns_its_own_line_only(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    object_of(place, "2021-02").write_bytes(b"PAR1 no more PAR1")
    for verified in (False, True):
        rows = rows_of(capsys, status=1, verified=verified)
        assert [(month, row["status"]) for month, row in rows.items()] == [
            ("2021-01", "landed"),
            ("2021-02", "failed"),
            ("2021-03", "landed"),
        ]
        assert "the object is not a readable Parquet file" in rows["2021-02"]["error"]
        assert rows["2021-02"]["table_rows"] == 200


def test_an_object_that_somebody_put_into_the_lake_is_in_the_ledger(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    object_of(place, "2021-03").rename(object_of(place, "2021-04"))
    rows = rows_of(capsys, status=1)
    assert "yellow 2021-03 is not in the lake" in rows["2021-03"]["error"]
    assert rows["2021-04"]["status"] == "not_loaded"
    assert rows["2021-04"]["object_rows"] == 300


def test_a_month_whose_object_and_table_are_someone_elses_has_landed_and_is_told(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    path = object_of(place, "2021-02")
    pq.write_table(pq.read_table(path).slice(0, 190).replace_schema_metadata(None), path)
    stored = place.lake.find("yellow", MONTHS[1])
    assert stored
    place.warehouse.replace_month(YELLOW, stored)
    for verified in (False, True):
        row = rows_of(capsys, status=0, verified=verified)["2021-02"]
        assert (row["status"], row["cleaned_rows"], row["object_rows"], row["table_rows"]) == ("landed", 200, 190, 190)
        assert row["notes"] == "someone else put the object in the lake"
    with duckdb.connect(str(place.warehouse.path)) as connection:
        connection.execute("DELETE FROM nyc_tlc.yellow_trips WHERE source_month = '2021-02-01' AND rowid % 2 = 0")
    assert rows_of(capsys, status=1, verified=True)["2021-02"]["status"] == "failed"


def test_months_that_are_not_loaded_yet_are_no_failure_and_are_told_together(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    for month in ("2021-04", "2021-05", "2021-07"):
        shutil.copy(object_of(place, "2021-03"), object_of(place, month))
    assert main(["ledger"]) == 0
    shown, months = capsys.readouterr().out, "yellow 2021-04..2021-05,2021-07"
    assert len(re.findall(r"^yellow +2021-0[457] +not loaded ", shown, re.MULTILINE)) == 3
    assert (
        f"{months}: in the lake, not loaded into the warehouse yet\nwhat to do: taxi-assets run {months} --from-lake\n"
        in shown
    )
    assert "the same for" not in shown


def test_a_month_that_is_only_cleaned_is_no_failure_until_it_is_missing_where_it_was(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    object_of(place, "2021-02").unlink()
    with duckdb.connect(str(place.warehouse.path)) as connection:
        connection.execute("DELETE FROM nyc_tlc.yellow_trips WHERE source_month = '2021-02-01'")
        connection.execute("DELETE FROM nyc_tlc.month_loads WHERE source_month = '2021-02-01'")
    row = rows_of(capsys, status=0)["2021-02"]
    assert (row["status"], row["cleaned_rows"], row["object_rows"], row["table_rows"]) == ("not_loaded", 200, 0, 0)
    assert row["error"] == (
        "yellow 2021-02: cleaned, but neither in the lake nor loaded into the warehouse yet\n"
        "what to do: taxi-assets run yellow 2021-02"
    )
    assert rows_of(capsys, status=1, verified=True)["2021-02"]["status"] == "not_loaded"
    object_of(place, "2021-03").unlink()
    assert rows_of(capsys, status=1)["2021-03"]["status"] == "failed"


@pytest.mark.parametrize(("damaged", "status"), [(0, 0), (5, 1)])
def test_a_month_that_was_cleaned_again_and_did_not_reach_the_lake_has_not_landed(
    damaged: int, status: int, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    content = b"".join(blocks("yellow", MONTHS[1], 150, damaged))
    landing.land(content, place.folder, "yellow", MONTHS[1])
    row = rows_of(capsys, status=status)["2021-02"]
    assert (row["cleaned_rows"], row["object_rows"], row["table_rows"]) == (150, 200, 200)
    if damaged:  # 5 of 155 rows: more than the limit of 1%
        assert row["status"] == "failed"
        assert "3.2258% could not be read, the limit is 1.0000%" in row["error"]
    else:
        assert row["status"] == "not_loaded"
        assert row["error"] == (
            "yellow 2021-02: the cleaned file and the object in the lake are different versions\n"
            "what to do: taxi-assets run yellow 2021-02"
        )
    assert "2021-02" in rows_of(capsys, status=1, verified=True)


def test_a_lost_object_is_told_whatever_a_check_says_of_the_cleaned_file(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    landing.land(b"".join(blocks("yellow", MONTHS[1], 150, 5)), place.folder, "yellow", MONTHS[1])
    object_of(place, "2021-02").unlink()
    assert rows_of(capsys, status=1)["2021-02"]["error"].startswith("yellow 2021-02 is not in the lake\n")


def test_a_month_that_vanished_from_the_warehouse_has_failed(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with duckdb.connect(str(place.warehouse.path)) as connection:
        connection.execute("DELETE FROM nyc_tlc.yellow_trips WHERE source_month = '2021-02-01'")
    row = rows_of(capsys, status=1)["2021-02"]
    assert row["status"] == "failed"
    assert row["error"].startswith("yellow 2021-02 was loaded into the warehouse, and is not there any more")


def test_where_nothing_has_landed_the_folders_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("nothing has landed yet")
    assert f"lake:      {tmp_path / 'data' / 'lake'}" in out
    assert err == f"taxi-assets: TAXI_DATA_DIR names a folder that does not exist yet: {tmp_path / 'data'}\n"


def test_a_table_with_other_rows_than_the_object_is_seen_without_verifying(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with duckdb.connect(str(place.warehouse.path)) as connection:
        connection.execute("DELETE FROM nyc_tlc.yellow_trips WHERE source_month = '2021-03-01' AND rowid % 300 = 7")
    rows = rows_of(capsys, status=1)
    assert rows["2021-03"]["error"].startswith("yellow 2021-03: the object has 300 rows, the table 29")
    assert rows["2021-01"]["status"] == "landed"


def test_verifying_reads_the_values_of_the_table(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert rows_of(capsys, status=0, verified=True).keys() == {"2021-01", "2021-02", "2021-03"}
    with duckdb.connect(str(place.warehouse.path)) as connection:
        connection.execute(
            "UPDATE nyc_tlc.yellow_trips SET fare_amount = fare_amount + 0.01 WHERE source_month = '2021-02-01' AND "
            "rowid IN (SELECT min(rowid) FROM nyc_tlc.yellow_trips WHERE source_month = '2021-02-01')"
        )
    assert rows_of(capsys, status=0)["2021-02"]["status"] == "landed"
    rows = rows_of(capsys, status=1, verified=True)
    assert {month: row["error"] for month, row in rows.items()} == {
        "2021-01": "",
        "2021-02": "the table has other values than the object\nwhat to do: taxi-assets run yellow 2021-02 --reload",
        "2021-03": "",
    }


def test_a_missing_file_is_told_with_what_to_do(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.staging.path(place.record("yellow", "2021-02").file).unlink()
    error = rows_of(capsys, status=1, verified=True)["2021-02"]["error"]
    assert error.startswith("the cleaned file is missing or has another size")
    assert error.endswith("\nwhat to do: taxi-assets run yellow 2021-02 --reload")


def test_causes_are_in_one_line_and_what_to_do_is_below(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    object_of(place, "2021-02").unlink()
    place.staging.path(place.record("yellow", "2021-02").file).unlink()
    error = rows_of(capsys, status=1, verified=True)["2021-02"]["error"]
    assert error.startswith("yellow 2021-02 is not in the lake; the cleaned file is missing or has another size")
    assert error.count("\n") == error.count("\nwhat to do: ") == 1


def test_without_the_work_folder_what_it_knew_is_not_shown_as_zero_and_the_months_cannot_be_verified(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(place.folder / "work")
    assert main(["ledger"]) == 0
    shown = capsys.readouterr().out
    cells = [line.split() for line in shown.splitlines() if line.startswith("yellow  2021")]
    assert cells[0] == ["yellow", "2021-01", "landed", "-", "100", "-", "-", "100", "100"]
    assert shown.count("the cleaned file is missing") == 1
    assert "yellow 2021-01..2021-03: the cleaned file is missing" in shown
    with duckdb.connect(str(place.warehouse.path)) as connection:
        connection.execute("UPDATE nyc_tlc.yellow_trips SET fare_amount = 7 WHERE source_month = '2021-02-01'")
    rows = rows_of(capsys, status=1, verified=True)
    missing = "the raw file is missing or has another size; the cleaned file is missing or has another size"
    assert rows["2021-02"]["error"].startswith(f"{missing}; the table has other values than the object\n")
    assert rows["2021-01"]["error"].startswith(f"{missing}\n")


def test_a_warehouse_that_is_lost_is_found_by_verifying(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.warehouse.path.unlink()
    assert main(["ledger"]) == 0
    assert "in the lake, not loaded into the warehouse yet" in capsys.readouterr().out
    assert main(["ledger", "--verify"]) == 1


def test_the_same_error_of_several_months_is_told_once(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    for month in ("2021-01", "2021-02"):
        object_of(place, month).unlink()
    assert main(["ledger"]) == 1
    shown = capsys.readouterr().out
    assert shown.count("is not in the lake") == 1
    assert "the same for: yellow 2021-02\n" in shown
    assert "what to do: land the rest, or see why it fails: taxi-assets run yellow 2021-01..2021-02\n" in shown


def test_where_only_the_demos_months_are_it_says_how_to_see_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = tmp_path / "data" / "demo"
    demo.mkdir(parents=True)
    (demo / "warehouse.duckdb").touch()
    monkeypatch.chdir(tmp_path)
    assert main(["ledger"]) == 0
    assert "for the demo's months: TAXI_DATA_DIR=data/demo taxi-assets ledger" in capsys.readouterr().err
    assert main(["query", "SELECT 1"]) == 1
    assert "TAXI_DATA_DIR=data/demo taxi-assets query" in capsys.readouterr().err


def test_a_damaged_warehouse_is_reported_with_what_to_do(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    path = place.warehouse.path
    content = bytearray(path.read_bytes())
    for at in range(0, len(content), 512):
        content[at] ^= 0xFF
    path.write_bytes(content)
    assert main(["ledger", "yellow", "--verify"]) == 1
    said = capsys.readouterr().err
    assert "the warehouse file is damaged" in said
    assert "move it away and run the months again with --from-lake" in said


def test_stores_are_asked_only_for_the_months_that_are_needed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    count = DuckDBWarehouse.count_months

    def counted(self: DuckDBWarehouse, table: str, months: Any = None) -> dict[Month, int]:
        asked.append(months)
        return count(self, table, months)

    def listed(*_: object) -> None:
        pytest.fail("a store was listed for one month")

    monkeypatch.setattr(DuckDBWarehouse, "count_months", counted)
    monkeypatch.setattr(StagingArea, "months", listed)
    monkeypatch.setattr(FolderLake, "versions", listed)

    found = Ledger(Settings.from_environment()).rows(YELLOW, [MONTHS[1], Month(2019, 5)])

    assert {month: row.table_rows for month, row in found.items()} == {MONTHS[1]: 200}
    assert asked == [[MONTHS[1], Month(2019, 5)]]


def test_the_help_says_what_verifying_proves(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "in DuckDB and Postgres, the very values of its object" in said
    assert "For Google's stores it relies on the checksums and counts that they report." in said


def test_numbers_are_rounded_in_json() -> None:
    assert LedgerRow("yellow", "2021-01", seconds=1.23456789).to_dict()["seconds"] == 1.235
