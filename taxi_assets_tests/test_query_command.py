"""`taxi-assets query`: every value as it is, in a terminal, a pipe, CSV and JSON; and nothing but questions."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from taxi_assets.cli import query
from taxi_assets.cli.main import main
from taxi_assets.contracts import DATASETS
from taxi_assets.settings import Settings
from taxi_assets.storage.factory import build_bigquery, build_warehouse
from taxi_assets.storage.lake.folder import FolderLake
from taxi_assets_tests.storage.made_months import make_month

LONG = "x" * 300


@pytest.fixture(autouse=True)
def month(tmp_path: Path) -> None:
    """A month of 60 rows in the warehouse, with texts of every length."""
    texts = [LONG, "", None, '[bold]a, "b"\nc[/]', "né 🚕"] * 12
    record = make_month(tmp_path / "m", 60, store_and_fwd_flag=texts, trip_distance=0.1, extra=float("nan"))
    stored = FolderLake(tmp_path / "lake").put(record, tmp_path / "m")
    build_warehouse(Settings.from_environment()).replace_month(DATASETS["yellow"], stored)


def in_terminal(monkeypatch: pytest.MonkeyPatch, sql: str, width: int) -> str:
    """Return what a terminal of that width shows."""
    screen = io.StringIO()
    monkeypatch.setattr(
        query, "out", Console(file=screen, force_terminal=True, width=width, soft_wrap=True, no_color=True)
    )
    assert main(["query", sql]) == 0
    return screen.getvalue()


def test_a_pipe_gets_every_value_whole_on_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    names = ", ".join(f"store_and_fwd_flag AS c{n}" for n in range(20))
    assert main(["query", f"SELECT {names} FROM nyc_tlc.yellow_trips WHERE length(store_and_fwd_flag) > 99"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 13
    assert all(line.split() == [LONG] * 20 for line in lines[1:])


def test_a_row_wider_than_the_terminal_is_shown_one_value_below_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    sql = "SELECT VendorID, store_and_fwd_flag, trip_distance FROM nyc_tlc.yellow_trips LIMIT 1"
    shown = in_terminal(monkeypatch, sql, 80).splitlines()
    assert [line.split() for line in shown[1:]] == [
        ["VendorID", "1"],
        ["store_and_fwd_flag", LONG],
        ["trip_distance", "0.1"],
    ]
    _, row = in_terminal(monkeypatch, sql, 400).splitlines()
    assert row.split() == ["1", LONG, "0.1"]


def test_a_table_ends_after_fifty_rows_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    main(["query", "SELECT VendorID FROM nyc_tlc.yellow_trips"])
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 51
    assert "the first 50 rows, --csv and --json print all" in err
    main(["query", "SELECT VendorID FROM nyc_tlc.yellow_trips LIMIT 50"])
    assert len(capsys.readouterr().out.splitlines()) == 51


def test_tables_need_no_schema_before_their_name(capsys: pytest.CaptureFixture[str]) -> None:
    main(["query", "SHOW TABLES", "--csv"])
    assert "yellow_trips" in capsys.readouterr().out.splitlines()
    main(["query", "SELECT count(*) FROM yellow_trips", "--csv"])
    assert capsys.readouterr().out.splitlines()[1] == "60"


def test_csv_has_every_row_and_every_value_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    sql = "SELECT store_and_fwd_flag AS flag, trip_distance, source_month AS flag FROM nyc_tlc.yellow_trips"
    main(["query", sql, "--csv"])
    header, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == ["flag", "trip_distance", "flag"]
    assert len(rows) == 60
    assert rows[3] == ['[bold]a, "b"\nc[/]', "0.1", "2021-01-01"]


def test_json_has_every_row_and_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    sql = (
        "SELECT store_and_fwd_flag AS flag, extra, source_month, sum(VendorID) OVER () AS trips, trip_distance AS flag "
        "FROM nyc_tlc.yellow_trips"
    )
    main(["query", sql, "--json"])
    rows = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert len(rows) == 60
    assert rows[4] == {"flag": "né 🚕", "extra": None, "source_month": "2021-01-01", "trips": 60, "flag:1": 0.1}
    assert rows[2]["flag"] is None


@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "DROP TABLE nyc_tlc.yellow_trips", "COPY (SELECT 1) TO 'x.csv'"])
def test_anything_but_one_query_is_refused(
    sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["query", sql]) == 2
    said = capsys.readouterr().err
    assert "give one SELECT" in said
    assert "the tables are nyc_tlc.yellow_trips;" in said
    assert not (tmp_path / "x.csv").exists()


def test_a_query_may_begin_with_a_comment_and_no_rows_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "--trips\nSELECT\n1 AS one", "--json"]) == 0
    assert capsys.readouterr().out == '[{"one": 1}]\n'
    assert main(["query", "-- none\nSELECT 1 AS one WHERE false"]) == 0
    assert "no rows" in capsys.readouterr().err
    assert main(["query", "--cvs", "SELECT 1"]) == 2
    assert "No such option '--cvs'" in capsys.readouterr().err


@pytest.mark.parametrize("sql", ["", " ; "])
def test_an_empty_query_is_told_as_that(sql: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", sql]) == 2
    assert "the query is empty\nwhat to do: give one SELECT" in capsys.readouterr().err


def test_the_help_names_what_else_may_be_asked_and_it_may(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "--help"]) == 0
    assert "SHOW TABLES, or DESCRIBE or SUMMARIZE and" in " ".join(capsys.readouterr().out.split())
    assert main(["query", "DESCRIBE yellow_trips", "--csv"]) == 0
    assert "VendorID," in capsys.readouterr().out


def test_a_query_to_bigquery_says_first_what_it_scans(cloud: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    warehouse = build_bigquery(cloud)
    warehouse.create_dataset()
    warehouse.ensure_table(DATASETS["yellow"])
    assert main(["query", f"SELECT count(*) AS trips FROM {cloud.warehouse_schema}.yellow_trips", "--json"]) == 0
    said = capsys.readouterr()
    assert said.out == '[{"trips": 0}]\n'
    assert re.fullmatch(r"BigQuery scans [\d.]+ GB\n", said.err)
