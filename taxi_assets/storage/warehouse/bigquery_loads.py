"""`month_loads`: which object each month of a BigQuery table was loaded from, as in DuckDB and Postgres.

BigQuery forgets its jobs after about six months. This table does not: with it, a month that is loaded stays untouched
for ever, and the ledger knows what a table was loaded from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from google.api_core import exceptions as api
from google.cloud import bigquery

from taxi_assets.months import Month
from taxi_assets.records import LakeObject
from taxi_assets.storage.google.access import LABELS

LOADS = "month_loads"
_COLUMNS = {
    "table_name": "STRING",
    "source_month": "DATE",
    "loaded_rows": "INT64",
    "object": "STRING",
    "object_sha256": "STRING",
    "source_sha256": "STRING",
    "recipe": "STRING",
    "job": "STRING",
    "loaded_at": "TIMESTAMP",
}


@dataclass(frozen=True)
class MonthLoad:
    """The latest load of a month: the table's rows after it, the object's checksum, the job (`project:location.id`)."""

    rows: int
    sha256: str
    job: str


@dataclass(frozen=True)
class MonthLoads:
    """The table of loads; `run_query` runs SQL with parameters and returns its rows."""

    client: bigquery.Client
    table: bigquery.TableReference
    run_query: Callable[..., Any]
    request_options: dict[str, Any]

    def latest(self, table: str, months: Collection[Month] | None = None) -> dict[Month, MonthLoad]:
        """Return the latest load of each month of a table, by default of all; of those that are recorded."""
        sql = (
            f"SELECT source_month, loaded_rows, object_sha256, job FROM `{self.table}` "
            f"WHERE table_name = @table {'' if months is None else 'AND source_month IN UNNEST(@months)'} "
            "ORDER BY loaded_at"
        )
        parameters: list[Any] = [bigquery.ScalarQueryParameter("table", "STRING", table)]
        if months is not None:
            days = [month.first_day for month in months]
            parameters.append(bigquery.ArrayQueryParameter("months", "DATE", days))
        try:
            return {Month.of(day): MonthLoad(*load) for day, *load in self.run_query(sql, parameters)}
        except api.NotFound:
            return {}

    def add(self, table: str, stored: LakeObject, job: str) -> None:
        """Record a load."""
        values: tuple[Any, ...] = (
            table, stored.month.first_day, stored.rows, stored.file, stored.sha256, stored.source_sha256,
            stored.transform_version, job,
        )  # fmt: skip
        parameters = [
            bigquery.ScalarQueryParameter(name, kind, value)
            for (name, kind), value in zip(_COLUMNS.items(), values, strict=False)
        ]
        names = ", ".join(_COLUMNS)
        sql = (
            f"INSERT INTO `{self.table}` ({names}) "
            f"VALUES ({', '.join(f'@{each.name}' for each in parameters)}, CURRENT_TIMESTAMP())"
        )
        try:
            self.run_query(sql, parameters)
        except api.NotFound:
            new = bigquery.Table(self.table, schema=[bigquery.SchemaField(*column) for column in _COLUMNS.items()])
            new.description, new.labels = "Which object each month of a table was loaded from.", LABELS
            self.client.create_table(new, exists_ok=True, **self.request_options)
            self.run_query(sql, parameters)
