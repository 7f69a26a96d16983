"""Checks of a cleaned month: what fails it, what only warns, and what is unusual against the months before."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile
from taxi_assets.transform import quality
from taxi_assets.transform.quality import CheckResult
from taxi_assets_tests.transform.landing import TRIP, YELLOW_2019, Landed, csv, land, trip


def checked(
    landed: Landed, folder: Path, before: list[CleanedFile] | None = None, limit: float = 1
) -> dict[str, CheckResult]:
    path, cleaned = folder / "work" / landed.cleaned.file, landed.cleaned
    return {
        "ledger": quality.check_ledger(cleaned, pq.read_metadata(path).num_rows, limit),
        "schema": quality.check_schema(DATASETS["yellow"], cleaned, path),
        "rejected": quality.check_rejected(cleaned),
        "anomalies": quality.check_anomalies(cleaned, before or []),
    }


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


@pytest.mark.parametrize(
    ("before", "rows", "passed"),
    [
        *((None, 3, True), (3, 3, True), (1000, 900, True), (1000, 1500, True)),
        *((1000, 899, False), (1000, 1501, False), (3, 0, False)),
    ],
)
def test_a_file_with_far_fewer_or_more_rows_than_before_warns_and_one_without_rows_fails(
    before: int | None, rows: int, passed: bool, tmp_path: Path
) -> None:
    raw = dataclasses.replace(land(csv([TRIP] * 3), tmp_path).raw, source_rows=rows, most_rows=before)
    result = quality.check_not_empty(raw)
    assert result.passed == passed
    assert result.blocking == (rows not in (899, 1501))
    assert ("the month had 1,000 before" in result.text) == (rows in (899, 1501))


def test_a_csv_that_ends_in_the_middle_of_a_line_lands_and_warns(tmp_path: Path) -> None:
    whole = csv([TRIP] * 3)
    assert whole.endswith(b"\n")
    assert quality.check_not_empty(land(whole, tmp_path).raw).passed
    landed = land(whole[:-20], tmp_path)
    result = quality.check_not_empty(landed.raw)
    assert (result.passed, result.blocking, landed.raw.source_rows) == (False, False, 3)
    assert result.text == "3 data lines; the last line of the file has no line end, so that it may have been cut off"
    assert quality.notes_of(landed.cleaned) == list(quality.source_doubts(landed.raw)) != []


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
    assert "unknown column robotaxi_fee with 1 values was left out" in result.text


@pytest.mark.parametrize(
    ("before", "strange", "unusual"),
    [
        ([], 50_000, False),
        ([1000, 1200, 1100] * 2, 1200, False),
        ([1000, 1200, 1100] * 2, 4000, True),
        ([1000, 1200, 1100], 4000, False),  # fewer than six months to compare with
        ([1000, 1200, 50_000] * 2, 3000, False),
        ([10_000, 12_000, 11_000] * 2, 3000, False),  # a month that improved
        ([0, 0, 0] * 2, 200, False),
        ([0, 0, 0] * 2, 300, True),
    ],
)
def test_an_anomaly_warns_where_its_share_has_risen_threefold_over_the_median_before(
    before: list[int], strange: int, unusual: bool, tmp_path: Path
) -> None:
    landed, rows = land(csv([TRIP]), tmp_path), 100_000
    record = dataclasses.replace(landed.cleaned, cleaned_rows=rows, anomalies={"negative_amount": strange})
    months = [month_with(n, rows=rows) for n in before]

    result = checked(dataclasses.replace(landed, cleaned=record), tmp_path, months)["anomalies"]

    assert (result.passed, result.blocking) == (not unusual, False)
    assert ("negative_amount" in result.text) == unusual
    assert result.numbers == {"negative_amount": strange}


def test_a_first_month_has_none_to_be_compared_with(tmp_path: Path) -> None:
    text = checked(land(csv([TRIP]), tmp_path), tmp_path)["anomalies"].text
    assert text == "not compared: none of the 12 months before has landed"


def test_a_month_of_few_rows_is_never_unusual(tmp_path: Path) -> None:
    landed = land(csv([TRIP]), tmp_path)
    record = dataclasses.replace(landed.cleaned, cleaned_rows=1000, anomalies={"negative_amount": 900})

    assert checked(dataclasses.replace(landed, cleaned=record), tmp_path, [month_with(1)] * 6)["anomalies"].passed


def test_a_month_above_the_limit_says_why_with_an_example_its_line_and_the_whole_path_of_its_rejects(
    tmp_path: Path,
) -> None:
    landed = land(csv([TRIP, trip(trip_distance="far"), trip(tpep_pickup_datetime="2021 Jan 05")]), tmp_path)
    path = f"{tmp_path}/work/{landed.cleaned.rejects_file}"

    result = quality.check_ledger(landed.cleaned, 1, 0.5, path)

    for words in (
        "trip_distance: not a number (1 row, first 'far' in line 3)",
        "tpep_pickup_datetime: not a date and time (1 row, first '2021 Jan 05' in line 4)",
        path,
    ):
        assert words in result.text
        assert words in quality.check_rejected(landed.cleaned, path).text
        with pytest.raises(PermanentError, match=re.escape(words)):
            quality.require_ledger(landed.cleaned, 0.5, path)
    assert "far" not in quality.check_ledger(landed.cleaned, 1, 0.9, path).text


def test_times_in_utc_pass_the_schema_check_which_says_how_they_were_read(tmp_path: Path) -> None:
    result = checked(land(csv([trip(tpep_pickup_datetime="2021-01-05T08:00:00Z")]), tmp_path), tmp_path)["schema"]
    assert result.passed
    assert "tpep_pickup_datetime: marked UTC, read as wall time" in result.text


def test_accepted_drift_is_shown(tmp_path: Path) -> None:
    header = YELLOW_2019.replace("congestion_surcharge", "cong_fee")
    landed = land(csv([TRIP], header=header), tmp_path, accepted_drift=("cong_fee",))
    result = checked(landed, tmp_path)["schema"]
    assert (result.passed, result.blocking) == (False, False)
    assert "accepted drift: cong_fee" in result.text
