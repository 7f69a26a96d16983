"""Months of made-up trips in TLC's CSV formats, for the demo, the tests and the benchmarks.

The same seed gives the same bytes. Rush hours, weekends, popular zones, fares by distance and tips by card are as in
the real city; so are the blocks of rows without passenger count, and the odd ones. Statistics of New York they are not.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from isal import igzip

from taxi_assets.contracts import DATASETS, fold
from taxi_assets.contracts.metered import CONGESTION, IMPROVEMENT
from taxi_assets.demo.headers import header_of
from taxi_assets.demo.zones import NUMBERS
from taxi_assets.months import Month

_BATCH = 200_000
_HOURS = np.array(
    [34, 24, 17, 11, 9, 10, 22, 38, 48, 49, 48, 50, 53, 53, 57, 60, 56, 66, 76, 78, 72, 68, 64, 50], float
)
_NULL_BLOCK = 0.04
_NULL_BLOCK_SINCE = Month(2019, 1)
_ZONES = np.array(NUMBERS)
_VENDORS = np.array(["", "CMT", "VTS"])
_PAYMENTS_2009 = np.array(["", "Credit", "CASH", "No Charge", "Dispute"])
_PAYMENTS_2010 = np.array(["", "CRD", "CSH", "NOC", "DIS"])
"""Texts that yellow files had for the codes until 2014."""

DAMAGED = (
    b"this line is not a trip",
    b"2,2021-01-05 08:00:00,2021-01-05 08:1",
    b'1,"2021-01-05 08:00:00,2021-01-05 08:10:00,1,2.1,1,N,161,162,1,9.5,0,0.5,2,0,0.3,12.3,2.5',
)
"""Lines as broken transfers leave them: no trip, cut off, a quotation mark that never closes."""


def write_month(path: Path, dataset: str, month: Month, rows: int, *, damaged: int = 0) -> Path:
    """Write a month as `.csv` or `.csv.gz`, by the path's ending.

    Args:
        path: Where to write.
        dataset: `yellow`, `green`, `fhv` or `fhvhv`.
        month: Decides the dates and, with the dataset, the header and the seed; none before the dataset's first.
        rows: Rows that can be read.
        damaged: Further rows that cannot.

    Returns:
        The path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        if path.suffix != ".gz":
            file.writelines(blocks(dataset, month, rows, damaged))
            return path
        open_gzip: Any = igzip.IGzipFile  # it has no type hints
        with open_gzip(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            for block in blocks(dataset, month, rows, damaged):
                packed.write(block)
    return path


def blocks(dataset: str, month: Month, rows: int, damaged: int = 0) -> Iterator[bytes]:
    """Yield the bytes of a month's CSV file in blocks."""
    header = header_of(dataset, month)
    yield header.text.encode() + (b"\n\r\n" if header.blank else b"\r\n")
    names = _column_names(dataset, header.text)
    quotes: Any = "all_valid" if header.quoted else "none"
    for columns in trips(dataset, month, rows):
        sink = pa.BufferOutputStream()
        pa.csv.write_csv(
            pa.table({str(n): columns[name] for n, name in enumerate(names)}),
            sink,
            pa.csv.WriteOptions(include_header=False, quoting_style=quotes),
        )
        yield sink.getvalue().to_pybytes().replace(b"\n", b",,\r\n" if header.wide else b"\r\n")
    for number in range(damaged):
        yield DAMAGED[number % len(DAMAGED)] + b"\r\n"


def trips(dataset: str, month: Month, rows: int) -> Iterator[dict[str, Any]]:
    """Yield a month's trips in batches: columns by their names in lower case, those of every dataset."""
    payments = None
    if dataset == "yellow" and month.year < 2015:
        payments = _PAYMENTS_2009 if month.year == 2009 else _PAYMENTS_2010
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(f"{dataset} {month}".encode())))
    for start in range(0, rows, _BATCH):
        yield _trips(rng, month, start, min(_BATCH, rows - start), rows, payments)


def _column_names(dataset: str, header: str) -> list[str]:
    """Return the name in `_trips` for each name of a header; "" for a column's second name, which TLC left empty."""
    known = {
        name: column.name.lower().removeprefix("tpep_").removeprefix("lpep_")
        for column in DATASETS[dataset].columns
        for name in column.names
    }
    names = [known[fold(name)] for name in header.split(",")]
    return ["" if name in names[:n] else name for n, name in enumerate(names)]


def _trips(
    rng: np.random.Generator, month: Month, start: int, count: int, rows: int, payments: np.ndarray | None
) -> dict[str, Any]:
    """Return columns of made-up trips; `payments` are the text codes if the month has any.

    Only `rng.random` is used, whose stream numpy keeps; the rest is arithmetic.
    """
    u = rng.random((12, count))
    days = (month.plus(1).first_day - month.first_day).days
    weekdays = np.array([date.fromordinal(month.first_day.toordinal() + d).weekday() for d in range(days)])
    by_day = np.where(weekdays == 4, 1.15, np.where(weekdays == 5, 1.1, np.where(weekdays == 6, 0.85, 1.0)))
    day = _pick(u[0], by_day)
    second = day * 86_400 + _pick(u[1], _HOURS) * 3600 + (u[2] * 3600).astype(np.int64)
    miles = np.round(np.exp(0.55 + 0.8 * np.sqrt(-2 * np.log1p(-u[3])) * np.cos(2 * np.pi * u[4])), 2)
    ride = (180 + miles * 200 * (0.6 + 0.8 * u[5])).astype(np.int64)
    fare = np.round((2.5 + 2.5 * miles + 0.5 * ride / 60) * 2) / 2
    night = (second // 3600 % 24 >= 20) | (second // 3600 % 24 < 6)
    extra = np.where(night, 0.5, 0.0)
    card = u[6] < 0.7
    tip = np.where(card, np.round(fare * 0.3 * u[7], 2), 0.0)
    tolls = np.where(miles > 12, 6.12, 0.0)
    congestion = np.where(CONGESTION.expected_in(month), 2.5, 0.0) * (u[8] < 0.92)
    improvement = np.full(count, 0.3 if IMPROVEMENT.expected_in(month) else 0.0)
    total = np.round(fare + extra + 0.5 + tip + tolls + improvement + congestion, 2)
    payment = np.where(card, 1, np.where(u[6] < 0.99, 2, np.where(u[6] < 0.996, 3, 4)))
    vendor = 1 + (u[9] < 0.66).astype(np.int64)
    passengers = _pick(u[10], np.array([2, 72, 14, 4, 2, 4, 2], float))
    number = np.arange(start, start + count)
    refund = number % 401 == 7
    second = np.where(number % 1999 == 11, -86_400 * 3, second)  # a pickup before the month
    base = np.datetime64(month.first_day.isoformat(), "s")
    missing = (number >= rows * (1 - _NULL_BLOCK)) & (month >= _NULL_BLOCK_SINCE)
    zones = _ZONES[_squared(u[11])], _ZONES[_squared(u[11] * 7919 % 1)]

    def nulled(values: Any) -> pa.Array:
        return pa.array(values, mask=missing)

    return {
        "vendorid": pa.array(vendor) if payments is None else _VENDORS[vendor],
        "pickup_datetime": _times(base + second),
        "dropoff_datetime": _times(base + second + np.where(number % 997 == 5, -60, ride)),
        "passenger_count": nulled(passengers),
        "trip_distance": miles,
        "ratecodeid": nulled(np.where(miles > 17, 2, 1)),
        "store_and_fwd_flag": nulled(np.where(number % 151 == 3, "Y", "N")),
        "pulocationid": zones[0],
        "dolocationid": zones[1],
        **_coordinates(zones[0], "pickup"),
        **_coordinates(zones[1], "dropoff"),
        "payment_type": nulled(payment) if payments is None else payments[payment],
        "fare_amount": np.where(refund, -fare, fare),
        "extra": extra,
        "mta_tax": np.full(count, 0.5),
        "tip_amount": tip,
        "tolls_amount": tolls,
        "ehail_fee": pa.nulls(count, pa.float64()),
        "improvement_surcharge": improvement,
        "total_amount": np.where(refund, -total, total),
        "trip_type": nulled(np.where(number % 50 == 1, 2, 1)),
        "congestion_surcharge": nulled(congestion),
        "hvfhs_license_num": np.where(u[9] < 0.7, "HV0003", "HV0005"),
        "dispatching_base_num": np.where(u[9] < 0.5, "B02764", "B02510"),
        "airport_fee": np.zeros(count),
        "cbd_congestion_fee": np.zeros(count),
        "request_source": pa.nulls(count, pa.string()),
        "affiliated_base_number": np.where(u[9] < 0.5, "B02764", "B02510"),
        "sr_flag": pa.array(np.ones(count, np.int64), mask=u[8] < 0.9),
        "": pa.nulls(count, pa.string()),
    }


def _squared(u: np.ndarray) -> np.ndarray:
    """Return positions of zones; the first have most trips."""
    return np.asarray((len(_ZONES) * u**2).astype(np.int64))


def _pick(u: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return indexes drawn by weight, from uniform numbers."""
    return np.minimum(np.searchsorted(np.cumsum(weights) / weights.sum(), u, side="right"), len(weights) - 1)


def _times(moments: np.ndarray) -> pa.Array:
    return pa.array(moments).cast(pa.timestamp("s"))


def _coordinates(zone: np.ndarray, end: str) -> dict[str, np.ndarray]:
    return {
        f"{end}_longitude": np.round(-74.02 + zone % 37 * 0.006, 6),
        f"{end}_latitude": np.round(40.58 + zone % 53 * 0.006, 6),
    }
