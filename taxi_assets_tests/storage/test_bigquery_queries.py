"""Queries to BigQuery: how often a busy service is asked, what they scan, what they may do."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest

from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse
from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.storage.months import JANUARY

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


def test_a_mistake_in_a_query_is_permanent(warehouse: BigQueryWarehouse) -> None:
    with pytest.raises(PermanentError, match="Google refused the request"):
        warehouse.query("SELEKT 1")
