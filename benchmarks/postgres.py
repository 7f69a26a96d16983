"""The ways into Postgres: this project's COPY of CSV, and the tutorial's pandas `to_sql`.

Both are timed from a month that is ready to the table's commit; reading the CSV and cleaning it are not counted.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.product import month_of
from benchmarks.ways import timed

URL = "BENCH_POSTGRES_URL"
CHUNK = 100_000
"""Rows that the tutorial reads and loads at a time."""


@contextlib.contextmanager
def servers() -> Iterator[dict[str, str]]:
    """Run PostgreSQL, with fsync, as it is used; give the variable with which a way finds it."""
    from taxi_assets_tests.servers.postgres import postgres_server

    with postgres_server(durable=True) as server:
        yield {URL: server.url}


def load_by_copy(source: Path, folder: Path) -> dict[str, Any]:
    """This project's load: a partition by COPY, indexed, counted, attached; every row, none dropped."""
    import psycopg

    from taxi_assets.contracts import DATASETS
    from taxi_assets.source.client import Source
    from taxi_assets.storage.staging.local import StagingArea
    from taxi_assets.storage.warehouse.postgres import PostgresStore
    from taxi_assets.transform.clean import clean_month

    yellow, staging, url = DATASETS["yellow"], StagingArea(folder / "work"), os.environ[URL]
    raw, _ = Source(f"file://{source}", "", "csv").fetch(*month_of(source), staging)
    cleaned, _ = clean_month(yellow, raw, staging)
    with psycopg.connect(url) as connection:
        connection.execute("DROP SCHEMA IF EXISTS nyc_tlc CASCADE")
    result: dict[str, Any] = {}
    with timed(result):
        loaded = PostgresStore(url).replace_month(
            yellow, cleaned, staging.path(cleaned.file), drop_zero_passengers=False
        )
    return result | {"rows": loaded.rows}


def load_by_to_sql(source: Path, folder: Path) -> dict[str, Any]:  # noqa: ARG001 - every way takes a folder
    """The tutorial's load: `to_sql`, 100,000 rows at a time."""
    import pandas as pd
    import sqlalchemy

    engine = sqlalchemy.create_engine(os.environ[URL].replace("postgresql://", "postgresql+psycopg2://"))
    result: dict[str, Any] = {"rows": 0}
    for frame in pd.read_csv(source, iterator=True, chunksize=CHUNK, low_memory=False):
        for name in ("tpep_pickup_datetime", "tpep_dropoff_datetime"):
            frame[name] = pd.to_datetime(frame[name])
        with timed(result):
            if not result["rows"]:
                frame.head(0).to_sql("yellow_taxi_trips", engine, if_exists="replace")
            frame.to_sql("yellow_taxi_trips", engine, if_exists="append")
        result["rows"] += len(frame)
    return result
