"""A row that cannot be read is kept whole, with its line number, the column, and a reason; its neighbors land."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxi_assets_tests.transform.landing import TRIP, csv, land, trip

AFTER = trip(total_amount=99)


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("this line is not a trip", None, "it has 1 fields, the header names 18"),
        (TRIP[:40], None, "it has 3 fields, the header names 18"),
        (" ", None, "it has 1 fields, the header names 18"),
        (TRIP + ",,7", None, "it has values beyond the last column that the header names"),
        (TRIP.replace("N", '"N'), None, "it is not UTF-8 text with matching quotes"),
        (TRIP.replace("N", '"N"x'), None, "it is not UTF-8 text with matching quotes"),
        (TRIP.replace("N", "\0"), None, "it is not UTF-8 text with matching quotes"),
        (trip(passenger_count=2.5), "passenger_count", "'2.5' is not a whole number"),
        (trip(passenger_count="0x10"), "passenger_count", "'0x10' is not a whole number"),
        (trip(passenger_count="1_000"), "passenger_count", "'1_000' is not a whole number"),
        (
            trip(passenger_count="99999999999999999999"),
            "passenger_count",
            "'99999999999999999999' is not a whole number",
        ),
        (trip(trip_distance="far"), "trip_distance", "'far' is not a number"),
        (trip(trip_distance="-nan"), "trip_distance", "'-nan' is not a number"),
        (trip(trip_distance="inf"), "trip_distance", "'inf' is not a number"),
        (trip(trip_distance="1e999"), "trip_distance", "'1e999' is not a number"),
        (
            trip(tpep_pickup_datetime="2021-02-30 00:00:00"),
            "tpep_pickup_datetime",
            "'2021-02-30 00:00:00' is not a date and time",
        ),
        (
            trip(tpep_pickup_datetime="0000-01-01 00:00:00"),
            "tpep_pickup_datetime",
            "'0000-01-01 00:00:00' is not a date and time",
        ),
        (
            trip(tpep_pickup_datetime="2021-01-05 08:1"),
            "tpep_pickup_datetime",
            "'2021-01-05 08:1' is not a date and time",
        ),
        (
            trip(tpep_dropoff_datetime="2021-01-05 08:00:00-05:00"),
            "tpep_dropoff_datetime",
            "'2021-01-05 08:00:00-05:00' is not a date and time",
        ),
        (trip(tpep_dropoff_datetime="infinity"), "tpep_dropoff_datetime", "'infinity' is not a date and time"),
        (trip(tpep_pickup_datetime=" "), "tpep_pickup_datetime", "it has no value"),
        (
            trip(VendorID="XYZ", total_amount="x"),
            "VendorID",
            "'XYZ' is not a whole number or a known code (cmt, vts, dds)",
        ),
    ],
)
def test_a_bad_line_is_rejected_whole_and_its_neighbors_land(
    line: str, column: str | None, reason: str, tmp_path: Path
) -> None:
    landed = land(csv([TRIP, "", line, AFTER]), tmp_path)

    assert landed.rejects == [{"line_number": 4, "column": column, "reason": reason, "raw_text": line}]
    assert landed.column("total_amount") == [12.3, 99.0]
    assert (landed.cleaned.source_rows, landed.cleaned.rejected_rows) == (3, 1)
    assert landed.cleaned.rejected_share == 1 / 3


def test_bytes_that_are_not_utf8_are_shown_escaped(tmp_path: Path) -> None:
    content = csv([TRIP, "@", AFTER]).replace(b"@", TRIP.encode().replace(b"N", b"\xff"))

    landed = land(content, tmp_path)

    assert landed.rejects[0]["raw_text"] == TRIP.replace("N", "\\xff")
    assert landed.column("total_amount") == [12.3, 99.0]


def test_a_quotation_mark_that_never_closes_takes_no_other_line_with_it(tmp_path: Path) -> None:
    lines = [
        TRIP,
        TRIP.replace("N", '"N'),
        *[trip(passenger_count=n) for n in range(5)],
        TRIP.replace("N", 'N"'),
        AFTER,
    ]

    landed = land(csv(lines), tmp_path)

    assert [reject["line_number"] for reject in landed.rejects] == [3]
    assert landed.column("passenger_count") == [2, 0, 1, 2, 3, 4, 2, 2]
    assert landed.column("store_and_fwd_flag")[-2:] == ['N"', "N"]


@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r"])
def test_line_numbers_are_those_of_an_editor_in_a_file_of_several_megabytes(ending: str, tmp_path: Path) -> None:
    lines = [trip(passenger_count=n % 7) for n in range(30_000)]
    bad = {1, 9_999, 15_000, 15_001, 29_999}
    for number in bad:
        lines[number] = f"bad line {number}"

    landed = land(csv(["", *lines], end=ending), tmp_path)

    assert [(r["line_number"], r["raw_text"]) for r in landed.rejects] == [
        (n + 3, f"bad line {n}") for n in sorted(bad)
    ]
    assert landed.column("passenger_count") == [n % 7 for n in range(30_000) if n not in bad]


def test_a_file_of_nothing_but_bad_lines_lands_none_and_loses_none(tmp_path: Path) -> None:
    landed = land(csv([f"bad {n}" for n in range(1000)]), tmp_path)
    assert (landed.cleaned.cleaned_rows, landed.cleaned.rejected_rows, len(landed.rejects)) == (0, 1000, 1000)


def test_a_month_with_nothing_to_reject_has_no_rejects_file(tmp_path: Path) -> None:
    landed = land(csv([TRIP]), tmp_path)
    assert landed.cleaned.rejects_file == ""
    assert not list((tmp_path / "work").rglob("*rejects*"))
