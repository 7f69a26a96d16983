"""Queries to BigQuery: how often a busy service is asked, what they scan, what they may do."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest

from taxi_assets.errors import PermanentError, QueryError, TransientError
from taxi_assets.storage.lake.gcs import GcsLake
from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse
from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.storage.months import JANUARY, YELLOW, cleaned_month

BUSY = [
    (503, "backendError", "Error encountered during execution. Retrying may solve the problem."),
    (429, "rateLimitExceeded", "Too many requests."),
    (403, "rateLimitExceeded", "Exceeded rate limits: too many concurrent queries for this project."),
]


def with_attempts(warehouse: BigQueryWarehouse, attempts: int) -> BigQueryWarehouse:
    return BigQueryWarehouse(dataclasses.replace(warehouse.access, attempts=attempts), warehouse.schema)


def query_jobs(bigquery: BigQueryServer) -> int:
    return sum(line.startswith("POST ") and line.endswith("/jobs?prettyPrint=false") for line in bigquery.front.asked)


@pytest.mark.parametrize(("status", "reason", "message"), BUSY)
def test_a_query_is_tried_as_often_as_the_settings_say(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse, status: int, reason: str, message: str
) -> None:
    one = with_attempts(warehouse, 3)
    bigquery.front.refuse(status, reason, message, when="/jobs", times=2)
    assert one.query("SELECT 1 AS n").to_pylist() == [{"n": 1}]
    bigquery.front.refuse(status, reason, message, when="/jobs", times=9)
    bigquery.front.asked.clear()
    began = time.monotonic()
    with pytest.raises(TransientError, match="does not answer as it should"):
        one.query("SELECT 1 AS n")
    assert time.monotonic() - began < 10
    assert query_jobs(bigquery) == 3


@pytest.mark.parametrize("reason", ["rateLimitExceeded", "backendError", "jobBackendError", "jobInternalError"])
def test_a_query_job_that_bigquery_gives_up_is_run_again_as_often_as_the_settings_say(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse, reason: str
) -> None:
    one = with_attempts(warehouse, 3)
    bigquery.front.fail_queries = [(reason, "Please try again.")] * 2
    assert one.query("SELECT 1 AS n").to_pylist() == [{"n": 1}]
    bigquery.front.fail_queries = [(reason, "Please try again.")] * 9
    began = time.monotonic()
    with pytest.raises(TransientError, match=r"does not answer as it should.*Please try again"):
        one.query("SELECT 1 AS n")
    assert time.monotonic() - began < 10
    assert len(bigquery.front.fail_queries) == 9 - 3


def test_every_read_of_a_warehouse_ends_after_the_attempts(
    bigquery: BigQueryServer, warehouse: BigQueryWarehouse
) -> None:
    one = with_attempts(warehouse, 2)
    reads: list[Any] = [
        lambda: one.count_months("yellow_trips"),
        lambda: one.find_month("yellow", JANUARY),
        lambda: one.read_month("yellow", JANUARY),
    ]
    assert one.location == "EU"
    for read in reads:
        bigquery.front.reset()
        bigquery.front.refuse(503, "backendError", "Busy.", times=50)
        with pytest.raises(TransientError):
            read()
        assert len(bigquery.front.refusals) == 50 - 2


def test_what_a_query_would_scan_is_known_before(warehouse: BigQueryWarehouse, lake: GcsLake, tmp_path: Path) -> None:
    warehouse.replace_month(YELLOW, lake.put(*cleaned_month(tmp_path)))
    assert warehouse.dry_run_bytes(f"SELECT * FROM {warehouse.schema}.yellow_trips") >= 10_000_000
    assert warehouse.dry_run_bytes("SELECT 1") == 0


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("DELETE FROM {schema}.yellow_trips WHERE TRUE", "DELETE"),
        ("INSERT INTO {schema}.yellow_trips (VendorID) VALUES (1)", "INSERT"),
        ("CREATE TABLE {schema}.mine (a INT64)", "CREATE_TABLE"),
        ("DROP TABLE {schema}.yellow_trips", "DROP_TABLE"),
        ("SELECT 1; DROP TABLE {schema}.yellow_trips", "SCRIPT"),
    ],
)
def test_what_is_no_query_is_told_so_before_it_runs(warehouse: BigQueryWarehouse, sql: str, kind: str) -> None:
    warehouse.ensure_table(YELLOW)
    with pytest.raises(PermanentError, match=f"no query but {kind}"):
        warehouse.dry_run_bytes(sql.format(schema=warehouse.schema))
    assert warehouse.has_table("yellow_trips")


def test_a_query_that_would_scan_more_than_its_limit_is_refused(
    warehouse: BigQueryWarehouse, lake: GcsLake, tmp_path: Path
) -> None:
    warehouse.replace_month(YELLOW, lake.put(*cleaned_month(tmp_path)))
    sql = f"SELECT COUNT(*) AS n FROM {warehouse.schema}.yellow_trips WHERE source_month = '2021-01-01'"
    with pytest.raises(PermanentError, match="the query would scan more than its limit"):
        warehouse.query(sql, max_bytes=1_000_000)
    assert warehouse.query(sql, max_bytes=10**9).to_pylist() == [{"n": 100}]


def test_no_more_rows_are_fetched_than_asked_for(warehouse: BigQueryWarehouse) -> None:
    assert warehouse.query("SELECT n FROM UNNEST([1, 2, 3, 4]) AS n", limit=2).num_rows == 2


def test_a_persons_query_changes_nothing(warehouse: BigQueryWarehouse) -> None:
    warehouse.ensure_table(YELLOW)
    with pytest.raises(QueryError, match="no query but DROP_TABLE"):
        warehouse.query(f"DROP TABLE {warehouse.schema}.yellow_trips", max_bytes=10**9)
    assert warehouse.has_table("yellow_trips")


@pytest.mark.parametrize("sql", ["SELEKT 1", "SELECT nothing FROM nowhere.at_all"])
def test_a_mistake_in_a_query_is_its_authors(warehouse: BigQueryWarehouse, sql: str) -> None:
    for max_bytes in (None, 10**9):
        with pytest.raises(QueryError) as caught:
            warehouse.query(sql, max_bytes=max_bytes)
        assert caught.value.location == sql
