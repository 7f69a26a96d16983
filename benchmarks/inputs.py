"""The inputs: made-up months with as many rows as real ones, as TLC's CSV and as Parquet with TLC's types of 2024.

`python -m benchmarks.inputs FOLDER DATASET MONTHS ROWS ROW_GROUP` makes them in a process of its own: on Linux, a
child's peak memory counts from its parent's, and the benchmark that measures must stay small.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_assets.months import Month, parse_months

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 1_048_576
"""Rows of a row group in TLC's files of 2024."""
TEMPLATE = "{dataset}_tripdata_{year}-{month:02}"


@dataclass(frozen=True)
class Input:
    """A month's file.

    Attributes:
        dataset: Its dataset.
        month: Its month.
        rows: Its rows.
        row_group: Rows of each row group of a Parquet file; 0 for gzipped CSV.
    """

    dataset: str
    month: Month
    rows: int
    row_group: int = 0

    @property
    def file(self) -> str:
        """The file's name."""
        stem = TEMPLATE.format(dataset=self.dataset, year=self.month.year, month=self.month.month)
        return stem + suffix(parquet=bool(self.row_group))


INPUTS = {
    "CSV": Input("yellow", Month(2021, 1), 1_369_765),
    "Parquet": Input("yellow", Month(2024, 4), 3_400_000, ROW_GROUP),
    "CSV, large": Input("yellow", Month(2021, 1), 16_437_180),
    "Parquet, one row group": Input("yellow", Month(2024, 1), 12_700_000, 12_700_000),
    "Parquet, fhvhv": Input("fhvhv", Month(2024, 1), 20_000_000, ROW_GROUP),
}
"""As many rows as January 2021 has, as months of 2024 have, twelve times January, the most of a row group, of fhvhv."""

SMALL_ROWS = 10_000
"""Rows of a small month."""

_TIMES, _TEXT = "timestamp[us]", "large_string"
_YELLOW_2024 = {
    "VendorID": "int32",
    "tpep_pickup_datetime": _TIMES,
    "tpep_dropoff_datetime": _TIMES,
    "passenger_count": "int64",
    "trip_distance": "double",
    "RatecodeID": "int64",
    "store_and_fwd_flag": _TEXT,
    "PULocationID": "int32",
    "DOLocationID": "int32",
    "payment_type": "int64",
    "fare_amount": "double",
    "extra": "double",
    "mta_tax": "double",
    "tip_amount": "double",
    "tolls_amount": "double",
    "improvement_surcharge": "double",
    "total_amount": "double",
    "congestion_surcharge": "double",
    "Airport_fee": "double",
}
_FHVHV_2024 = {
    "hvfhs_license_num": _TEXT,
    "dispatching_base_num": _TEXT,
    "originating_base_num": _TEXT,
    "request_datetime": _TIMES,
    "on_scene_datetime": _TIMES,
    "pickup_datetime": _TIMES,
    "dropoff_datetime": _TIMES,
    "PULocationID": "int32",
    "DOLocationID": "int32",
    "trip_miles": "double",
    "trip_time": "int64",
    "base_passenger_fare": "double",
    "tolls": "double",
    "bcf": "double",
    "sales_tax": "double",
    "congestion_surcharge": "double",
    "airport_fee": "double",
    "tips": "double",
    "driver_pay": "double",
    "shared_request_flag": _TEXT,
    "shared_match_flag": _TEXT,
    "access_a_ride_flag": _TEXT,
    "wav_request_flag": _TEXT,
    "wav_match_flag": _TEXT,
}
TYPES_2024 = {"yellow": _YELLOW_2024, "fhvhv": _FHVHV_2024}
"""Columns and Arrow types of TLC's Parquet files of 2024."""


def suffix(*, parquet: bool) -> str:
    """Return how a month's file name ends."""
    return ".parquet" if parquet else ".csv.gz"


def make(folder: Path, dataset: str, months: str, rows: int, row_group: int = 0) -> Path:
    """Make months' files in a process of its own; return their folder."""
    words = [str(folder), dataset, months, str(rows), str(row_group)]
    subprocess.run([sys.executable, "-m", "benchmarks.inputs", *words], check=True)
    return folder


def write(path: Path, dataset: str, month: Month, rows: int, row_group: int = ROW_GROUP) -> Path:
    """Write a month as CSV or Parquet, by the path's ending."""
    from taxi_assets.demo.sample import write_month

    if path.suffix != ".parquet":
        return write_month(path, dataset, month, rows)
    return write_parquet(path, dataset, month, rows, row_group)


def write_parquet(path: Path, dataset: str, month: Month, rows: int, row_group: int) -> Path:
    """Write a month as TLC wrote its Parquet files in 2024."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {_TIMES: pa.timestamp("us"), _TEXT: pa.large_string(), "double": pa.float64()}
    fields = TYPES_2024[dataset].items()
    schema = pa.schema([(name, kinds.get(kind) or pa.type_for_alias(kind)) for name, kind in fields])
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in _row_groups(dataset, month, rows, row_group, schema):
            writer.write_table(table, row_group_size=row_group)
    return path


def _row_groups(dataset: str, month: Month, rows: int, row_group: int, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield tables of as many rows as a row group has."""
    import pyarrow as pa

    from taxi_assets.demo.sample import trips

    waiting = schema.empty_table()
    for trip in trips(dataset, month, rows):
        columns = {**trip, **(_fhvhv(trip) if dataset == "fhvhv" else _yellow(trip))}
        arrays = [_column(columns[field.name.lower()], field.type) for field in schema]
        waiting = pa.concat_tables([waiting, pa.Table.from_arrays(arrays, schema=schema)])
        if waiting.num_rows >= row_group:
            yield waiting[:row_group]
            waiting = waiting[row_group:]
    if waiting.num_rows:
        yield waiting


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    return (values if isinstance(values, pa.Array) else pa.array(values)).cast(kind)


def _yellow(trip: dict[str, Any]) -> dict[str, Any]:
    """Return what a yellow row of 2024 has and a made-up trip has not."""
    return {
        "tpep_pickup_datetime": trip["pickup_datetime"],
        "tpep_dropoff_datetime": trip["dropoff_datetime"],
        "airport_fee": (trip["tolls_amount"] > 0) * 1.75,
    }


def _fhvhv(trip: dict[str, Any]) -> dict[str, Any]:
    """Return what an fhvhv row of 2024 has and a made-up trip has not."""
    import numpy as np
    import pyarrow as pa

    times = [trip[name].to_numpy(zero_copy_only=False) for name in ("pickup_datetime", "dropoff_datetime")]
    fare, second = np.abs(trip["fare_amount"]), times[0].astype("int64") % 60
    shared = np.where(second % 29 == 1, "Y", "N")
    return {
        "originating_base_num": pa.array(trip["dispatching_base_num"], mask=second % 4 == 1),
        "request_datetime": pa.array(times[0] - (120 + 4 * second)),
        "on_scene_datetime": pa.array(times[0] - second, mask=second % 4 == 1),
        "trip_miles": trip["trip_distance"],
        "trip_time": (times[1] - times[0]).astype("int64"),
        "base_passenger_fare": fare,
        "tolls": trip["tolls_amount"],
        "bcf": np.round(fare * 0.03, 2),
        "sales_tax": np.round(fare * 0.08875, 2),
        "airport_fee": (trip["tolls_amount"] > 0) * 2.5,
        "tips": trip["tip_amount"],
        "driver_pay": np.round(fare * 0.8, 2),
        "shared_request_flag": shared,
        "shared_match_flag": shared,
        "access_a_ride_flag": np.where(second % 59 == 1, "Y", " "),
        "wav_request_flag": np.where(second % 53 == 1, "Y", "N"),
        "wav_match_flag": np.where(second % 13 == 1, "Y", "N"),
    }


def _main(folder: str, dataset: str, months: str, rows: str, row_group: str) -> None:
    for month in parse_months(months):
        wanted = Input(dataset, month, int(rows), int(row_group))
        write(Path(folder, wanted.file), dataset, month, wanted.rows, wanted.row_group)


if __name__ == "__main__":
    _main(*sys.argv[1:])
