"""The ways that are compared on this machine alone: the tutorial's, other libraries', this project's.

A way takes a month's CSV and an empty folder, and returns `seconds`, the time of its work without imports and
start-up, and `bytes` of the file it made. The tutorial's way is kept as the tutorial has it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
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
MONTH = "2021-01"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


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
        pl.scan_csv(source, try_parse_dates=True, infer_schema_length=10_000).sink_parquet(path, compression="zstd")
    return result | {"bytes": path.stat().st_size}


def duckdb_copy(source: Path, folder: Path) -> dict[str, Any]:
    """DuckDB's COPY with types given: the floor that nothing else does more than."""
    import duckdb

    result: dict[str, Any] = {}
    path = folder / "duckdb.parquet"
    with timed(result):
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in SCHEMA.items())
        duckdb.execute(
            f"COPY (SELECT * FROM read_csv('{source}', header = true, columns = {{{columns}}})) "
            f"TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
        )
    return result | {"bytes": path.stat().st_size}


def pyarrow_stream(source: Path, folder: Path) -> dict[str, Any]:
    """The CSV reader of pyarrow, batch by batch into a Parquet writer."""
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    result: dict[str, Any] = {}
    path = folder / "pyarrow.parquet"
    kinds = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "VARCHAR": pa.string(), "TIMESTAMP": pa.timestamp("us")}
    types = {name: kinds[kind] for name, kind in SCHEMA.items()}
    with timed(result):
        reader = pc.open_csv(source, convert_options=pc.ConvertOptions(column_types=types))
        with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
    return result | {"bytes": path.stat().st_size}


def cleaning(source: Path, folder: Path) -> dict[str, Any]:
    """This project's cleaning step: contract, rejects, ledger, anomalies, checksum, atomic publication."""
    from taxi_assets.contracts import DATASETS
    from taxi_assets.months import Month
    from taxi_assets.source.client import Source
    from taxi_assets.storage.staging.local import StagingArea
    from taxi_assets.transform.clean import clean_month

    staging = StagingArea(folder / "work")
    raw, _ = Source(f"file://{source}", "", "csv").fetch("yellow", Month.parse(MONTH), staging)
    result: dict[str, Any] = {}
    with timed(result):
        cleaned, _ = clean_month(DATASETS["yellow"], raw, staging)
    return result | {"bytes": cleaned.bytes, "rows": cleaned.cleaned_rows, "rejected": cleaned.rejected_rows}


def local_chain(source: Path, folder: Path) -> dict[str, Any]:
    """This project's whole local chain with Dagster: download by HTTP, clean, lake, DuckDB table, every check."""
    return run_chain(source, folder, {})


def run_chain(source: Path, folder: Path, profile: dict[str, str]) -> dict[str, Any]:
    """Run this project's chain on a month that a local server gives; a first month of 100 rows is start-up.

    Args:
        source: The month's file.
        folder: Of Dagster's history and the data.
        profile: Settings beside those of the source and the folder.
    """
    import dagster as dg

    from taxi_assets.definitions import build_definitions
    from taxi_assets.demo.sample import write_month
    from taxi_assets.demo.server import serving
    from taxi_assets.instance.home import use_dagster_home
    from taxi_assets.months import Month
    from taxi_assets.settings import Settings

    month = Month.parse(MONTH)
    served = folder / "served"
    write_month(served / f"yellow_{month.plus(-1)}.csv.gz", "yellow", month.plus(-1), 100)
    (served / f"yellow_{month}.csv.gz").symlink_to(source)
    result: dict[str, Any] = {}
    with serving(served) as address:
        url = f"{address}/{{dataset}}_{{year}}-{{month:02}}.csv.gz"
        own = {"TAXI_CSV_URL": url, "TAXI_SOURCE": "csv", "TAXI_DATA_DIR": str(folder / "data")}
        settings = Settings.from_environment(own | profile)
        use_dagster_home(settings)
        job = build_definitions(settings).resolve_job_def("yellow_everything")
        with dg.DagsterInstance.get() as instance:
            job.execute_in_process(partition_key=f"{month.plus(-1)}-01", instance=instance, run_config=_QUIET)
            with timed(result):
                job.execute_in_process(partition_key=f"{month}-01", instance=instance, run_config=_QUIET)
    return result


WAYS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "tutorial pandas": tutorial_pandas,
    "polars": polars_stream,
    "duckdb COPY": duckdb_copy,
    "pyarrow": pyarrow_stream,
    "cleaning": cleaning,
    "local chain": local_chain,
}
