"""The ways that others offer on this machine: the tutorial's, and those of other libraries.

A way takes a month's CSV or Parquet file and an empty folder, and returns `seconds`, the time of its work without
imports and start-up, and `bytes` of the file it made. The tutorial's way is kept as the tutorial has it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCHEMA = {
    "VendorID": "BIGINT",
    "tpep_pickup_datetime": "TIMESTAMP",
    "tpep_dropoff_datetime": "TIMESTAMP",
    "passenger_count": "BIGINT",
    "trip_distance": "DOUBLE",
    "RatecodeID": "BIGINT",
    "store_and_fwd_flag": "VARCHAR",
    "PULocationID": "BIGINT",
    "DOLocationID": "BIGINT",
    "payment_type": "BIGINT",
    "fare_amount": "DOUBLE",
    "extra": "DOUBLE",
    "mta_tax": "DOUBLE",
    "tip_amount": "DOUBLE",
    "tolls_amount": "DOUBLE",
    "improvement_surcharge": "DOUBLE",
    "total_amount": "DOUBLE",
    "congestion_surcharge": "DOUBLE",
}
"""Types of the CSV's columns; Parquet has its own."""
DLT_CHUNK = 100_000
"""Rows of a batch for dlt. Its defaults, 1,000 of Parquet and 5,000 of CSV, take 1.7 and 1.2 times the time."""


@contextlib.contextmanager
def timed(result: dict[str, Any]) -> Iterator[None]:
    """Add the time that passes to the result."""
    start = time.perf_counter()
    yield
    result["seconds"] = result.get("seconds", 0.0) + time.perf_counter() - start


def tutorial_pandas(source: Path, folder: Path) -> dict[str, Any]:
    """The tutorial's flow: read with pandas, fix types, write gzip Parquet, read it back, fill passenger counts."""
    import pandas as pd

    result: dict[str, Any] = {}
    with timed(result):
        frame = pd.read_csv(source, low_memory=False)
        frame["tpep_pickup_datetime"] = pd.to_datetime(frame["tpep_pickup_datetime"])
        frame["tpep_dropoff_datetime"] = pd.to_datetime(frame["tpep_dropoff_datetime"])
        path = folder / "tutorial.parquet"
        frame.to_parquet(path, compression="gzip")
        frame = pd.read_parquet(path)
        frame["passenger_count"] = frame["passenger_count"].fillna(0)
    return result | {"bytes": path.stat().st_size}


def polars_stream(source: Path, folder: Path) -> dict[str, Any]:
    """polars, streaming."""
    import polars as pl

    result: dict[str, Any] = {}
    path = folder / "polars.parquet"
    with timed(result):
        if source.suffix == ".parquet":
            frame = pl.scan_parquet(source)
        else:
            frame = pl.scan_csv(source, try_parse_dates=True, infer_schema_length=10_000)
        frame.sink_parquet(path, compression="zstd")
    return result | {"bytes": path.stat().st_size}


def duckdb_copy(source: Path, folder: Path) -> dict[str, Any]:
    """DuckDB's COPY with types given: the floor that nothing else does more than."""
    import duckdb

    result: dict[str, Any] = {}
    path = folder / "duckdb.parquet"
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in SCHEMA.items())
    csv, parquet = f"read_csv('{source}', header = true, columns = {{{columns}}})", f"read_parquet('{source}')"
    rows = parquet if source.suffix == ".parquet" else csv
    with timed(result):
        duckdb.execute(f"COPY (SELECT * FROM {rows}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    return result | {"bytes": path.stat().st_size}


def pyarrow_stream(source: Path, folder: Path) -> dict[str, Any]:
    """The CSV or Parquet reader of pyarrow, batch by batch into a Parquet writer."""
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    result: dict[str, Any] = {}
    path = folder / "pyarrow.parquet"
    kinds = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "VARCHAR": pa.string(), "TIMESTAMP": pa.timestamp("us")}
    types = {name: kinds[kind] for name, kind in SCHEMA.items()}
    with timed(result):
        if source.suffix == ".parquet":
            file = pq.ParquetFile(source)
            schema, batches = file.schema_arrow, file.iter_batches(122_880)
        else:
            reader = pc.open_csv(source, convert_options=pc.ConvertOptions(column_types=types))
            schema, batches = reader.schema, reader
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
    return result | {"bytes": path.stat().st_size}


def dlt_to_duckdb(source: Path, folder: Path) -> dict[str, Any]:
    """The library dlt into DuckDB, as fast as its documentation says: Arrow batches, Parquet as the loader's files."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt
    from dlt.sources.filesystem import filesystem, read_csv_duckdb, read_parquet

    result: dict[str, Any] = {}
    with timed(result):
        if source.suffix == ".parquet":
            reader = read_parquet(chunksize=DLT_CHUNK, use_pyarrow=True)
        else:
            reader = read_csv_duckdb(chunk_size=DLT_CHUNK, use_pyarrow=True)
        pipeline = dlt.pipeline(
            "bench",
            pipelines_dir=str(folder / "dlt"),
            destination=dlt.destinations.duckdb(str(folder / "dlt.duckdb")),
            dataset_name="nyc_tlc",
        )
        files = filesystem(f"file://{source.parent}", file_glob=source.name)
        pipeline.run(files | reader, table_name="trips", loader_file_format="parquet")
    return result
