"""Values on their way through PostgreSQL's COPY and back: the same, however odd or long, in bounded memory."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.storage.warehouse.postgres import PostgresStore
from taxi_assets_tests.storage.made_months import JANUARY, make_month

pytest_plugins = ["taxi_assets_tests.servers.fixtures_postgres"]

YELLOW = DATASETS["yellow"]


@pytest.fixture
def store(postgres_url: str) -> PostgresStore:
    return PostgresStore(postgres_url)


def test_every_kind_of_value_comes_back_as_it_went(store: PostgresStore, tmp_path: Path) -> None:
    times = [datetime(1, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 999_999), datetime(9999, 12, 31), None]  # noqa: DTZ001
    record = make_month(
        tmp_path / "m",
        8,
        VendorID=[0, -1, 2**63 - 1, -(2**63), None, 1, 2, 3],
        passenger_count=[1, None, 2, None, 3, 4, 5, 6],
        trip_distance=[0.1, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308, None],
        store_and_fwd_flag=["", "N", None, 'say "no",\r\n', "né 🚕", "NULL", "\\N", "x" * 3_000_000],
        tpep_dropoff_datetime=[*times, *times],
    )
    store.replace_month(YELLOW, record, tmp_path / "m")

    sent, got = pq.read_table(tmp_path / "m"), store.read_month(YELLOW, JANUARY)
    assert got.schema.types == sent.schema.types
    assert [repr(column.to_pylist()) for column in got.columns] == [repr(c.to_pylist()) for c in sent.columns]


def test_a_month_of_texts_too_long_for_one_piece_arrives_whole(store: PostgresStore, tmp_path: Path) -> None:
    record = make_month(tmp_path / "m", 20_000, store_and_fwd_flag=["N"] * 9_999 + ["é" * 100_000] + ["Y"] * 10_000)
    store.replace_month(YELLOW, record, tmp_path / "m")

    assert (
        store.read_month(YELLOW, JANUARY)["store_and_fwd_flag"] == pq.read_table(tmp_path / "m")["store_and_fwd_flag"]
    )


def test_dates_and_numbers_are_exact_whatever_the_servers_defaults(postgres_url: str, tmp_path: Path) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        for setting in ("datestyle = 'German, DMY'", "extra_float_digits = 0", "client_encoding = 'LATIN1'"):
            name = admin.info.dbname
            admin.execute(f'ALTER DATABASE "{name}" SET {setting}')
    store, record = PostgresStore(postgres_url), make_month(tmp_path / "m", 3, trip_distance=0.1 + 0.2, extra=1e22)
    store.replace_month(YELLOW, record, tmp_path / "m")

    sent, got = pq.read_table(tmp_path / "m"), store.read_month(YELLOW, JANUARY)
    assert [column.to_pylist() for column in got.columns] == [column.to_pylist() for column in sent.columns]
