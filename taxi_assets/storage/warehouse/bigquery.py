"""BigQuery: the warehouse of the gcp profile. BigQuery loads months from the bucket; no row passes this machine.

A load job with WRITE_TRUNCATE into `table$YYYYMM` replaces one month as a whole or leaves it as it was, is free of
charge, and needs no DML. How a job is started once stands in `bigquery_jobs`, what a table looks like in
`bigquery_tables`, and what the place must be like in `bigquery_dataset`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from taxi_assets.contracts.model import SOURCE_MONTH, Column, Dataset, table_of
from taxi_assets.contracts.schemas import bigquery_fields
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.records import LakeObject, TableMonth
from taxi_assets.storage.google.errors import mapped_errors
from taxi_assets.storage.warehouse import bigquery_jobs as jobs
from taxi_assets.storage.warehouse.bigquery_dataset import BigQueryDataset
from taxi_assets.storage.warehouse.bigquery_tables import check_expiration, ensure_table

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud import bigquery

MAX_LOAD_JOBS = 50
"""Load jobs of one object into one month; each further one follows a failure that someone looked at."""


class BigQueryWarehouse(BigQueryDataset):
    """Tables in a BigQuery dataset; see `taxi_assets.storage.warehouse.duckdb.DuckDBWarehouse`."""

    def replace_month(self, dataset: Dataset, stored: LakeObject) -> TableMonth:
        """Make the table hold, for the object's month, exactly the object's rows; do nothing if it already does.

        The job's identifier derives from table, month and the object's generation. BigQuery takes an identifier once,
        so a request that is sent twice, or by two runs, loads once. A failed job keeps its identifier too; the next
        attempt has the next number.

        Raises:
            PermanentError: The object or the table does not fit the contract, or the account lacks a permission; the
                old month stays.
            TransientError: BigQuery is busy or the link broke.
        """
        name = f"{dataset.table}${stored.month.year}{stored.month.month:02}"
        location = f"{dataset.name} {stored.month}, {stored.file} into {self.schema}.{name}"
        with mapped_errors(location):
            table = self.ensure_table(dataset)
            check_expiration(table, stored.month)
            for number in range(1, MAX_LOAD_JOBS + 1):
                job_id = f"{self.schema}-{name.replace('$', '-')}-{stored.generation}-{number}"
                job, started = self._load_once(job_id, name, table.schema, stored)
                if job is None:
                    continue
                failure = jobs.wait(job, self.access.retry)
                rows = self._count(dataset.table, stored.month) if failure is None else 0
                if failure is None and rows == stored.rows:
                    return self._record(dataset, stored, rows, job, changed=started)
                if started:  # an earlier run reported the failure of its own job
                    raise jobs.load_error(job, failure, location) if failure else _wrong_rows(rows, stored, location)
        raise PermanentError(
            f"{MAX_LOAD_JOBS} load jobs of this object have failed, or are not this account's to see",
            location=location,
            remedy="remove the object and put the month into the lake again",
        )

    def replace_table(self, name: str, columns: Sequence[Column], uri: str) -> int:
        """Make a small table hold exactly the rows of a Parquet object; return their number."""
        from google.cloud import bigquery

        schema = [bigquery.SchemaField.from_api_repr(each) for each in bigquery_fields(columns)]
        config = jobs.replace_config(schema, create=bigquery.CreateDisposition.CREATE_IF_NEEDED)
        location, job_id = f"{uri} into {self.schema}.{name}", f"{self.schema}-{name}-{uuid.uuid4().hex}"
        with mapped_errors(location):
            job, _ = jobs.start(
                self._client, job_id, uri, self._reference(name), config,
                location=self.location, request_options=self.access.request_options,
            )  # fmt: skip
            failure = jobs.wait(job, self.access.retry)
            if failure is not None:
                raise jobs.load_error(job, failure, location)
            return self._query_number(f"SELECT COUNT(*) FROM {self._full_name(name)}")

    def has_table(self, name: str) -> bool:
        """Return whether the schema has a table of that name."""
        from google.api_core import exceptions as api

        with mapped_errors(f"{self.schema}.{name}"):
            self.location  # noqa: B018 - raises if there is no dataset; a missing table is no error
            try:
                self._client.get_table(self._reference(name), **self.access.request_options)
            except api.NotFound:
                return False
        return True

    def count_months(self, table: str, months: Collection[Month] | None = None) -> dict[Month, int]:
        """Count the rows of each month of a table; empty if there is no table.

        A count reads one column, 8 bytes a row, of the months asked for: a few cents for all of TLC's trips.

        Args:
            table: Name of the table.
            months: Months to count, by default all.
        """
        from google.api_core import exceptions as api
        from google.cloud import bigquery

        condition = "" if months is None else f"WHERE {SOURCE_MONTH.name} IN UNNEST(@months)"
        sql = f"SELECT {SOURCE_MONTH.name}, COUNT(*) FROM {self._full_name(table)} {condition} GROUP BY 1 ORDER BY 1"
        days = [] if months is None else [bigquery.ArrayQueryParameter("months", "DATE", [m.first_day for m in months])]
        with mapped_errors(f"{self.schema}.{table}"):
            self.location  # noqa: B018 - raises if there is no dataset; a missing table is no error
            try:
                return {Month.of(day): rows for day, rows in self._run_query(sql, days)}
            except api.NotFound:
                return {}

    def find_month(self, dataset: str, month: Month, stored: LakeObject | None = None) -> TableMonth | None:
        """Return what the warehouse holds of a month; None if it has no row of it.

        Args:
            dataset: Name of the dataset.
            month: The month.
            stored: The month's object; its checksum and size become the record's if the month was loaded from it.
        """
        rows = self.count_months(table_of(dataset), [month]).get(month, 0)
        if not rows:
            return None
        same = stored is not None and stored.rows == rows
        return TableMonth(
            dataset=dataset,
            month=month,
            file=f"{self.schema}.{table_of(dataset)}",
            bytes=stored.bytes if stored and same else 0,
            sha256=stored.sha256 if stored and same else "",
            rows=rows,
            changed=False,
        )

    def read_month(self, dataset: str, month: Month) -> pa.Table:
        """Return a month's rows."""
        table = self._full_name(table_of(dataset))
        return self.query(f"SELECT * FROM {table} WHERE {SOURCE_MONTH.name} = ?", [month.first_day])

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query; `nyc_tlc.yellow_trips` is a table of the project."""
        from google.cloud import bigquery

        types = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING"}
        values = [bigquery.ScalarQueryParameter(None, types.get(type(v), "DATE"), v) for v in parameters]
        with mapped_errors(sql, remedy="correct the query; tables are named as nyc_tlc.yellow_trips"):
            return self._run_query(sql, values).to_arrow(create_bqstorage_client=False)

    def ensure_table(self, dataset: Dataset) -> bigquery.Table:
        """Return a dataset's table, created or widened if need be.

        Raises:
            PermanentError: It differs from the contract in more than missing nullable columns.
        """
        with mapped_errors(f"{self.schema}.{dataset.table}"):
            reference = self._reference(dataset.table)
            return ensure_table(self._client, reference, dataset, **self.access.request_options)

    def _load_once(self, job_id: str, table: str, schema: Sequence[Any], stored: LakeObject) -> tuple[Any, bool]:
        """Find a load job by its identifier, or start it; return it, and whether it was started here.

        The job is None if there is one that this account may not see.
        """
        from google.api_core import exceptions as api

        options: Any = {"location": self.location, "request_options": self.access.request_options}
        try:
            if job := jobs.find(self._client, job_id, **options):
                return job, False
            labels = {"dataset": stored.dataset, "month": str(stored.month)}
            config = jobs.replace_config(schema, create="CREATE_NEVER", labels=labels)
            return jobs.start(self._client, job_id, stored.file, self._reference(table), config, **options)
        except api.Forbidden as error:
            if re.search(r"bigquery\.jobs\.get\b|Access Denied: Job\b", str(error)):
                return None, False
            raise

    def _count(self, table: str, month: Month) -> int:
        return self._query_number(f"SELECT COUNT(*) FROM {self._full_name(table)} WHERE {SOURCE_MONTH.name} = ?", month)

    def _query_number(self, sql: str, month: Month | None = None) -> int:
        from google.cloud import bigquery

        values = [bigquery.ScalarQueryParameter(None, "DATE", month.first_day)] if month else []
        ((number,),) = self._run_query(sql, values)
        return int(number)

    def _record(self, dataset: Dataset, stored: LakeObject, rows: int, job: Any, *, changed: bool) -> TableMonth:
        return TableMonth(
            dataset=dataset.name,
            month=stored.month,
            file=f"{self.schema}.{dataset.table}",
            bytes=stored.bytes,
            sha256=stored.sha256,
            rows=rows,
            changed=changed,
            job=f"{self.access.project}:{self.location}.{job.job_id}",
            numbers=jobs.cost(job),
        )


def _wrong_rows(rows: int, stored: LakeObject, location: str) -> PermanentError:
    return PermanentError(
        f"the table has {rows:,} rows of {stored.month}, the object {stored.rows:,}",
        location=location,
        remedy="put the month into the lake and load it again",
    )
