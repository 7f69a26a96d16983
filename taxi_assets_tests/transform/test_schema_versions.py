"""Every schema version lands its rows with the values that an independent reading finds."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.months import Month
from taxi_assets_tests.transform.landing import Landed, land, land_file
from taxi_assets_tests.transform.schema_versions import SCHEMA_VERSIONS, SchemaVersion, read_by_hand


def expected_rows(rows: list[dict[str, Any]], dataset: str, month: Month) -> list[dict[str, Any]]:
    """Give rows that were read by hand the columns that their schema version did not have."""
    columns = [column.name for column in DATASETS[dataset].columns]
    assert all(name in columns for row in rows for name in row)
    return [
        dict.fromkeys(columns) | row | {"source_row": number, "source_month": month.first_day}
        for number, row in enumerate(rows, 1)
    ]


@pytest.mark.parametrize("version", SCHEMA_VERSIONS, ids=str)
def test_each_value_is_the_one_that_is_read_by_hand(version: SchemaVersion, tmp_path: Path) -> None:
    landed = land(version.content, tmp_path, version.dataset, version.month)

    assert landed.rows == expected_rows(read_by_hand(version.content, version), version.dataset, version.month)
    assert landed.rejects == []
    assert landed.cleaned.unknown_columns == {}


@pytest.mark.parametrize("version", SCHEMA_VERSIONS, ids=str)
def test_a_header_is_mapped_in_any_order_and_case(version: SchemaVersion, tmp_path: Path) -> None:
    lines = [row.split(",") for row in (version.header, *version.rows)]
    width = len(lines[0])
    shuffled = "".join(
        ",".join((name.upper() if n == 0 else name) for name in reversed(line[:width])) + "\r\n"
        for n, line in enumerate(lines)
    )

    content, shuffled = (text.replace(str(version.month), "2030-01") for text in (version.content.decode(), shuffled))

    landed = land(shuffled.encode(), tmp_path, version.dataset, Month(2030, 1))

    assert landed.rows == expected_rows(read_by_hand(content.encode(), version), version.dataset, Month(2030, 1))


@pytest.fixture(scope="module")
def heads(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict[str, str], Landed]]:
    """Every head of a monthly CSV, landed, with its line of EXPECTED.csv."""
    with (real_data / "EXPECTED.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["file"].startswith("heads-")]
    assert len(lines) == 308
    landed = []
    for number, line in enumerate(lines):
        dataset, _, month = Path(line["file"]).stem.split("_")
        folder = tmp_path_factory.mktemp(f"head{number}")
        landed.append((line, land_file(real_data / line["file"], dataset, Month.parse(month), folder)))
    return landed


def test_every_head_lands_its_complete_rows_and_a_cut_one_never_vanishes(
    heads: list[tuple[dict[str, str], Landed]],
) -> None:
    for line, landed in heads:
        complete, cut, record = int(line["complete_rows"]), int(line["cut_last_row"]), landed.cleaned
        assert record.source_rows == complete + cut, line
        assert record.cleaned_rows + record.rejected_rows == record.source_rows, line
        assert record.cleaned_rows in (complete, complete + cut), line
        assert record.rejected_rows == len(landed.rejects) <= cut, line
        assert not record.unknown_columns, line
        assert not record.absent_columns, line


def test_every_value_of_every_head_is_the_one_that_is_read_by_hand(
    heads: list[tuple[dict[str, str], Landed]], real_data: Path
) -> None:
    schema_versions = {(version.dataset, version.header): version for version in SCHEMA_VERSIONS}
    for line, landed in heads:
        content = (real_data / line["file"]).read_bytes()
        month = landed.cleaned.month
        version = schema_versions[landed.cleaned.dataset, content.splitlines()[0].decode()]
        if int(line["cut_last_row"]):
            content = content[: content.rindex(b"\n") + 1]
        whole = expected_rows(read_by_hand(content, version), version.dataset, month)
        assert landed.rows[: len(whole)] == whole, line


def test_all_schema_versions_of_a_dataset_have_one_schema(heads: list[tuple[dict[str, str], Landed]]) -> None:
    for dataset in DATASETS:
        tables = [landed.table for _, landed in heads if landed.cleaned.dataset == dataset]
        assert len({str(table.schema.remove_metadata()) for table in tables}) == 1
