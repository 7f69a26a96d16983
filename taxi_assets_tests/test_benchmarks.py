"""The benchmarks measure what they say; `make bench` itself takes minutes, and needs packages that tests do not."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import tables
from benchmarks.inputs import INPUTS, Input, write
from benchmarks.measure import Figure, median
from benchmarks.plan import LARGE, WAYS, plan
from benchmarks.product import month_of
from benchmarks.targets import ARCHIVE, FIRST, GROWTH_TARGETS, LAST, LEDGER, PAGE, TARGETS, TICKS, Target
from taxi_assets.contracts import DATASETS
from taxi_assets.definitions import build_definitions
from taxi_assets.months import Month
from taxi_assets.settings import Settings
from taxi_assets.source.client import Source
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets.transform.clean import clean_month
from taxi_assets_tests.documents import ROOT

COMMANDS = ("1 month", "13 months", "24 first", "24 unchanged")

TLC_2024 = {
    "yellow": {
        "VendorID": pa.int32(),
        "tpep_pickup_datetime": pa.timestamp("us"),
        "passenger_count": pa.int64(),
        "store_and_fwd_flag": pa.large_string(),
        "Airport_fee": pa.float64(),
    },
    "fhvhv": {
        "hvfhs_license_num": pa.large_string(),
        "request_datetime": pa.timestamp("us"),
        "PULocationID": pa.int32(),
        "trip_time": pa.int64(),
        "base_passenger_fare": pa.float64(),
    },
}
"""Columns as TLC's own files of January 2024 have them."""


@pytest.mark.parametrize(("dataset", "columns"), [("yellow", 19), ("fhvhv", 24)])
def test_a_parquet_input_has_tlcs_types_and_its_row_groups_and_is_cleaned_whole(
    tmp_path: Path, dataset: str, columns: int
) -> None:
    month = Month(2024, 1)
    path = write(tmp_path / Input(dataset, month, 2500, 1000).file, dataset, month, 2500, 1000)
    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    assert len(schema) == columns
    assert {name: schema.field(name).type for name in TLC_2024[dataset]} == TLC_2024[dataset]
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [1000, 1000, 500]
    staging, url = StagingArea(tmp_path / "work"), f"file://{path}"
    raw, _ = Source(url, url, "parquet").fetch(*month_of(path), staging)
    cleaned, _ = clean_month(DATASETS[dataset], raw, staging)
    assert (raw.source_rows, cleaned.cleaned_rows, cleaned.rejected_rows) == (2500, 2500, 0)
    assert cleaned.unknown_columns == {}


def test_the_file_of_an_input_says_its_dataset_and_month() -> None:
    for given in INPUTS.values():
        assert month_of(Path(given.file)) == (given.dataset, given.month)


def test_the_largest_months_are_measured_once_and_not_at_all_when_quick() -> None:
    first, second, quick = plan(0, quick=False), plan(1, quick=False), plan(0, quick=True)
    assert {given for _, given in first} == set(INPUTS)
    assert second == [step for step in first if step[1] not in LARGE and step[0] != "to_sql"][::-1]
    assert quick == second[::-1]


def test_every_target_gets_its_value_from_what_is_measured() -> None:
    keys = [*plan(0, quick=False), *((name, "small") for name in COMMANDS)]
    figures = {key: Figure(wall=2.0, memory=300.0, work=1.0, bytes=4) for key in keys}
    text = tables.ways(figures)
    assert [target.name for target in TARGETS if f"| {target.name} |" not in text] == []
    grown = {(name, ARCHIVE): Figure(1.0) for name in (FIRST, LAST, LEDGER, PAGE, *TICKS.values())}
    text = tables.growth(grown, 604)
    assert [target.name for target in GROWTH_TARGETS if f"| {target.name} |" not in text] == []


def test_the_sensors_and_schedules_whose_ticks_are_measured_exist() -> None:
    repository = build_definitions(Settings.from_environment({})).get_repository_def()
    names = {each.name for each in [*repository.sensor_defs, *repository.schedule_defs]}
    assert set(TICKS) <= names


def test_a_target_is_met_by_its_goal_and_kept_by_its_limit() -> None:
    least = Target("", lambda _: 0.0, limit=8, least=True)
    assert [least.outcome(value) for value in (7.9, 8)] == ["missed", "met"]
    both = Target("", lambda _: 0.0, limit=1.25, goal=0.75)
    assert [both.outcome(value) for value in (0.75, 0.76, 1.26)] == ["met", "within the limit", "missed"]
    goal = Target("", lambda _: 0.0, goal=2)
    assert [goal.outcome(value) for value in (2, 2.1)] == ["met", "missed"]


def test_figures_are_medians_and_replace_only_what_stands_between_their_marks(tmp_path: Path) -> None:
    figure = median([Figure(1.0, 10), Figure(9.0, 30), Figure(2.0, 20)])
    assert figure == Figure(2.0, 20)
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- growth -->\nold\n<!-- /growth -->\n<!-- figures -->\nb\n<!-- /figures -->\nc\n")
    tables.renew(page, "growth", "new\n")
    assert page.read_text() == "a\n<!-- growth -->\nnew\n<!-- /growth -->\n<!-- figures -->\nb\n<!-- /figures -->\nc\n"


def test_the_page_explains_every_way() -> None:
    page = (ROOT / "docs/performance.md").read_text("utf-8")
    first = {name for row in re.findall(r"^\| ([^|]+) \| [^|]+ \|$", page, re.MULTILINE) for name in row.split(", ")}
    assert {name.split(",")[0] for name in [*WAYS, *COMMANDS]} <= first
