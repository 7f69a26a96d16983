"""Checks of a cleaned month: what fails it, what only warns, and what is unusual against the months before."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile
from taxi_assets.transform.quality import CheckResult, of_cleaned
from taxi_assets_tests.transform.landing import TRIP, YELLOW_2019, Landed, csv, land


def checked(
    landed: Landed, folder: Path, before: list[CleanedFile] | None = None, limit: float = 1
) -> dict[str, CheckResult]:
    path = folder / "work" / landed.cleaned.file
    found = of_cleaned(DATASETS["yellow"], landed.cleaned, path, before or [], limit)
    return {result.check: result for result in found}


def month_with(strange: int, *, rows: int = 1000) -> CleanedFile:
    """Return a month's record with a number of negative fares, and nothing else of note."""
    return CleanedFile(
        dataset="yellow",
        month=Month(2020, 1),
        file="",
        bytes=0,
        sha256="",
        source_url="",
        source_format="csv",
        source_sha256="",
        source_rows=rows,
        cleaned_rows=rows,
        dropped_rows=0,
        rejected_rows=0,
        transform_version="",
        anomalies={"negative_amount": strange},
    )


def test_a_month_without_a_flaw_passes_every_check(tmp_path: Path) -> None:
    landed = land(csv([TRIP] * 3), tmp_path)
    assert [result for result in checked(landed, tmp_path, limit=0).values() if not result.passed] == []


@pytest.mark.parametrize(("limit", "goes_on"), [(0.25, True), (0.2499, False)])
def test_rejected_rows_warn_up_to_the_limit_and_fail_the_month_above_it(
    limit: float, goes_on: bool, tmp_path: Path
) -> None:
    found = checked(land(csv([*[TRIP] * 3, "damaged"]), tmp_path), tmp_path, limit=limit)

    assert (found["rejected"].passed, found["rejected"].blocking) == (False, False)
    assert "1 of 4 rows could not be read" in found["rejected"].text
    assert (found["ledger"].passed, found["ledger"].blocking) == (goes_on, True)
    assert "4 source rows = 3 cleaned + 0 dropped + 1 rejected; 25.0000% could not be read" in found["ledger"].text


def test_a_row_that_is_not_accounted_for_fails_the_month(tmp_path: Path) -> None:
    landed = land(csv([TRIP] * 3), tmp_path)
    lost = dataclasses.replace(landed, cleaned=dataclasses.replace(landed.cleaned, source_rows=4))

    result = checked(lost, tmp_path)["ledger"]

    assert (result.passed, result.blocking) == (False, True)
    assert "4 source rows are not 3 cleaned" in result.text


def test_an_unknown_column_warns_and_is_named(tmp_path: Path) -> None:
    result = checked(land(csv([f"{TRIP},7"], header=f"{YELLOW_2019},robotaxi_fee"), tmp_path), tmp_path)["schema"]

    assert (result.passed, result.blocking) == (False, False)
    assert "unknown column robotaxi_fee with 1 values was kept out" in result.text


@pytest.mark.parametrize(
    ("before", "strange", "unusual"),
    [
        ([], 500, False),
        ([10, 12, 11], 12, False),
        ([10, 12, 11], 40, True),
        ([10, 12, 500], 30, False),
        ([100, 120, 110], 30, True),
        ([100, 120, 110], 60, False),
        ([0, 0, 0], 2, False),
        ([0, 0, 0], 3, True),
        ([2, 2, 2], 0, False),
    ],
)
def test_an_anomaly_warns_where_its_share_is_threefold_more_or_less_than_the_median_before(
    before: list[int], strange: int, unusual: bool, tmp_path: Path
) -> None:
    landed = land(csv([TRIP]), tmp_path)
    record = dataclasses.replace(landed.cleaned, cleaned_rows=1000, anomalies={"negative_amount": strange})

    result = checked(dataclasses.replace(landed, cleaned=record), tmp_path, [month_with(n) for n in before])["oddities"]

    assert (result.passed, result.blocking) == (not unusual, False)
    assert ("negative_amount" in result.text) == unusual
    assert result.numbers == {"negative_amount": strange}
