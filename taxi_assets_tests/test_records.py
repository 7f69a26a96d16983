"""Records survive a round trip, and those that earlier releases stored are still read."""

from __future__ import annotations

import json

import pytest

from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, LakeObject, RawFile

STORED = {
    "file": "cleaned/yellow/yellow_tripdata_2021-01.0123abcd.parquet",
    "bytes": 26_000_000,
    "sha256": "0123abcd",
    "dataset": "yellow",
    "month": "2021-01",
    "source_url": "https://example.com/yellow_tripdata_2021-01.csv.gz",
    "source_format": "csv",
    "source_sha256": "4567cdef",
    "source_rows": 12,
    "cleaned_rows": 10,
    "dropped_rows": 1,
    "rejected_rows": 1,
    "recipe": "0a1b2c3d4e5f",
    "filled_passengers": 2,
    "rejects_file": "",
    "unknown_columns": {"robotaxi_fee": 3},
    "absent_columns": ["Airport_fee"],
    "oddities": {"negative_amount": 4},
    "trips_per_day": [5, 6],
    "a_field_that_is_gone": True,
}
"""A cleaned month as the release of October 2026 stored it."""


def test_a_record_of_the_earlier_release_is_read() -> None:
    record = CleanedFile.from_json(json.dumps(STORED))
    assert (record.month, record.transform_version) == (Month(2021, 1), "0a1b2c3d4e5f")
    assert record.anomalies == {"negative_amount": 4}
    assert (record.absent_columns, record.trips_per_day) == (("Airport_fee",), (5, 6))


def test_a_record_keeps_the_stored_names_so_that_the_earlier_release_can_read_it() -> None:
    record = CleanedFile.from_json(json.dumps(STORED))
    stored = json.loads(record.to_json())
    assert {name: stored[name] for name in STORED if name in stored} == {
        name: value for name, value in STORED.items() if name != "a_field_that_is_gone"
    }
    assert not {"transform_version", "anomalies"} & stored.keys()
    assert CleanedFile.from_json(record.to_json()) == record


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"month": "2021-01", "dataset": "yellow"}'])
def test_what_is_not_a_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"record|Expecting"):
        LakeObject.from_json(text)


def test_the_rows_that_a_month_had_before_are_read_under_their_older_name() -> None:
    stored = {
        name: STORED[name] for name in ("file", "bytes", "sha256", "dataset", "month", "source_rows", "source_url")
    }
    stored |= {"format": "csv", "compression": "gzip", "etag": "", "last_modified": "", "previous_rows": 5000}
    record = RawFile.from_json(json.dumps(stored))
    assert record.most_rows == 5000
    assert json.loads(record.to_json())["previous_rows"] == 5000
