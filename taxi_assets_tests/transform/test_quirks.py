"""Quirks of a CSV file that are not about its trips cost no row, and nothing is dropped silently."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from taxi_assets.months import Month
from taxi_assets.transform.header import UnknownHeaderError
from taxi_assets.transform.rules import CleaningRules
from taxi_assets_tests.transform.landing import KEEP, TRIP, YELLOW_2019, Landed, csv, land, trip

THREE = [TRIP, trip(passenger_count=3, store_and_fwd_flag="Y"), trip(passenger_count="", tip_amount="")]


def assert_three_trips(landed: Landed, fault: str = "") -> None:
    assert landed.cleaned.source_rows == landed.cleaned.cleaned_rows == 3, (fault, landed.rejects)
    assert landed.column("passenger_count") == [2, 3, None]
    assert landed.column("store_and_fwd_flag") == ["N", "Y", "N"]
    assert landed.column("tip_amount") == [2.0, 2.0, None]
    assert landed.column("congestion_surcharge") == [2.5, 2.5, 2.5]


@pytest.mark.parametrize(
    ("quirk", "content"),
    {
        "LF": csv(THREE, end="\n"),
        "CRLF": csv(THREE, end="\r\n"),
        "CR only": csv(THREE, end="\r"),
        "no end after the last row": csv(THREE).rstrip(),
        "mixed line ends": f"{YELLOW_2019}\n{THREE[0]}\r\n{THREE[1]}\r{THREE[2]}\n".encode(),
        "blank second line": f"{YELLOW_2019}\n\r\n{THREE[0]}\r\n{THREE[1]}\r\n{THREE[2]}\r\n".encode(),
        "blank lines everywhere": b"\n\r\n" + csv(THREE, end="\r\n\n\n"),
        "byte-order mark": b"\xef\xbb\xbf" + csv(THREE),
        "extra commas": csv([f"{line},," for line in THREE]),
        "extra commas in some rows": csv([f"{THREE[0]},,", THREE[1], f"{THREE[2]},"]),
        "spaces after commas in the header": csv(THREE, header=YELLOW_2019.replace(",", ", ")),
        "names in capitals with spaces": csv(THREE, header=YELLOW_2019.upper() + " "),
        "quoted header": csv(THREE, header=",".join(f'"{name}"' for name in YELLOW_2019.split(","))),
        "everything quoted": csv(
            [",".join(f'"{text}"' for text in line.split(",")) for line in THREE],
            header=",".join(f'"{name}"' for name in YELLOW_2019.split(",")),
        ),
        "some fields quoted": csv([THREE[0].replace(",N,", ',"N",'), THREE[1], f'"1"{THREE[2][1:]}']),
        "spaces around values": csv([line.replace(",", " , ") for line in THREE]),
        "whole numbers with a fraction of zero": csv(
            [
                line.replace(",161,", ",161.0,")
                for line in (THREE[0], trip(passenger_count="3.0", store_and_fwd_flag="Y"))
            ]
            + [THREE[2]]
        ),
        "pandas' index": csv([f"{n},{line}" for n, line in enumerate(THREE)], header=f",{YELLOW_2019}"),
        "stray index by name": csv([f"{n},{line}" for n, line in enumerate(THREE)], header=f"Unnamed: 0,{YELLOW_2019}"),
    }.items(),
)
def test_a_quirk_of_the_file_costs_no_row_and_no_value(quirk: str, content: bytes, tmp_path: Path) -> None:
    landed = land(content, tmp_path)
    assert_three_trips(landed, quirk)
    assert landed.cleaned.unknown_columns == {}


def test_an_unknown_column_is_kept_out_and_named_with_the_number_of_its_values(tmp_path: Path) -> None:
    lines = [f"{line},{value},x" for line, value in zip(THREE, ["", "4.5", " "], strict=True)]

    landed = land(csv(lines, header=f"{YELLOW_2019},robotaxi_fee,License"), tmp_path)

    assert_three_trips(landed)
    assert landed.cleaned.unknown_columns == {"robotaxi_fee": 1, "License": 3}
    assert "robotaxi_fee" not in landed.table.column_names


def test_an_unrecognized_header_is_refused_and_says_what_is_missing_and_what_is_unknown(tmp_path: Path) -> None:
    header = YELLOW_2019.replace("total_amount", "grand_total").replace("trip_distance", "trip_km")

    with pytest.raises(UnknownHeaderError) as caught:
        land(csv(THREE, header=header), tmp_path)

    assert "it lacks trip_distance, total_amount" in caught.value.message
    assert "unknown names: trip_km, grand_total" in caught.value.message
    assert "contracts/yellow.py" in caught.value.remedy
    assert "yellow 2021-01" in caught.value.location


def test_another_datasets_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownHeaderError, match="unrecognized green header"):
        land(csv(THREE), tmp_path, "green")


def test_columns_that_the_month_should_have_and_lacks_are_named(tmp_path: Path) -> None:
    assert land(csv(THREE), tmp_path / "1", month=Month(2021, 1)).cleaned.absent_columns == ()
    lines = [line.replace("2021-01", "2025-01") for line in THREE]
    later = land(csv(lines), tmp_path / "2", month=Month(2025, 1)).cleaned
    assert later.absent_columns == ("Airport_fee", "cbd_congestion_fee")


def test_a_header_alone_is_a_month_without_trips(tmp_path: Path) -> None:
    landed = land(csv([]), tmp_path)
    assert (landed.cleaned.source_rows, landed.table.num_rows) == (0, 0)


def test_fhv_of_2018_takes_whichever_of_its_two_base_columns_has_a_value(tmp_path: Path) -> None:
    header = '"Pickup_DateTime","Dispatching_base_number","Dispatching_base_num"'
    rows = ['"2018-01-30 21:06:50","B1",""', '"2018-01-30 21:06:50","","B2"', '"2018-01-30 21:06:50","B3","B3"']
    bad = '"2018-01-30 21:06:50","B4","B5"'

    landed = land(csv([*rows, bad], header=header), tmp_path, "fhv", Month(2018, 1))

    assert landed.column("dispatching_base_num") == ["B1", "B2", "B3"]
    assert [(r["line_number"], r["column"], r["reason"]) for r in landed.rejects] == [
        (
            5,
            "dispatching_base_num",
            "Dispatching_base_number and Dispatching_base_num give two different values",
        )
    ]


@pytest.mark.parametrize(
    ("code", "texts"),
    {
        1: ["CRD", "Credit", "CREDIT", "Cre", " credit ", "1", "1.0", "Credit card"],
        2: ["CASH", "Cash", "CSH", "Cas"],
        3: ["No Charge", "NOC", "No ", "No charge"],
        4: ["Dispute", "DIS", "Dis"],
        5: ["UNK", "NA ", "Unknown"],
        6: ["Voided trip"],
        0: ["0", "Flex Fare trip"],
    }.items(),
)
def test_every_spelling_of_a_payment_is_todays_code(code: int, texts: list[str], tmp_path: Path) -> None:
    landed = land(csv([trip(payment_type=text) for text in texts]), tmp_path)
    assert landed.column("payment_type") == [code] * len(texts)


def test_vendors_of_2009_are_todays_codes_and_an_unknown_one_is_rejected(tmp_path: Path) -> None:
    landed = land(csv([trip(VendorID=text) for text in ("CMT", "VTS", "DDS", "6", "XYZ")]), tmp_path)
    assert landed.column("VendorID") == [1, 2, 3, 6]
    assert landed.rejects[0]["reason"] == "'XYZ' is not a whole number or a known code (cmt, vts, dds)"


@pytest.mark.parametrize(
    ("rules", "passengers", "dropped", "filled"),
    [
        (KEEP, [2, 0, None], 0, 0),
        (None, [2, 0, None], 0, 0),
        (CleaningRules("zero"), [2, 0, 0], 0, 1),
        (CleaningRules("zero", drop_zero_passengers=True), [2], 2, 0),
        (CleaningRules("keep", drop_zero_passengers=True), [2, None], 1, 0),
    ],
)
def test_the_tutorials_rules_fill_and_drop_and_are_counted_apart(
    rules: CleaningRules | None, passengers: list[int | None], dropped: int, filled: int, tmp_path: Path
) -> None:
    lines = [TRIP, trip(passenger_count=0), trip(passenger_count=""), trip(passenger_count="many")]

    landed = land(csv(lines), tmp_path, rules=rules)

    assert landed.column("passenger_count") == passengers
    assert (landed.cleaned.dropped_rows, landed.cleaned.filled_passengers) == (dropped, filled)
    assert landed.cleaned.rejected_rows == 1


def test_a_month_with_an_empty_column_is_cleaned_without_importing_pandas(
    tmp_path: Path,
) -> None:
    published = tmp_path / "month.csv"
    published.write_bytes(csv([trip(congestion_surcharge="", tpep_dropoff_datetime="")] * 3))
    assert subprocess.check_output([sys.executable, "-c", CLEAN, published, tmp_path]).split() == [b"3", b"False"]


CLEAN = """
import sys
from pathlib import Path
from taxi_assets.contracts import DATASETS
from taxi_assets.months import Month
from taxi_assets.source.client import Source
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets.transform.clean import clean_month
published, folder = map(Path, sys.argv[1:])
staging = StagingArea(folder / "work")
raw, _ = Source(published.as_uri(), "", "csv").fetch("yellow", Month(2021, 1), staging)
cleaned, _ = clean_month(DATASETS["yellow"], raw, staging)
print(cleaned.cleaned_rows, "pandas" in sys.modules)
"""
