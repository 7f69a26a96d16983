"""BigQuery: the warehouse of the gcp profile. Months are loaded from the bucket; no row passes through this machine.

A load job with WRITE_TRUNCATE into `table$YYYYMM` replaces one month as a whole or leaves it as it was, is free of
charge, and needs no DML. How a job is started once stands in `bigquery_jobs`, what a table must look like in
`bigquery_tables`, and what errors mean in `google_errors`.
"""

from __future__ import annotations

import functools
import re
import uuid
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from taxi_assets.contracts.model import SOURCE_MONTH, Column, Dataset, table_of
from taxi_assets.contracts.schemas import bigquery_fields
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.records import LakeObject, TableMonth
from taxi_assets.storage.google.access import LABELS, GoogleAccess
from taxi_assets.storage.google.errors import different_locations, explained, lacking
from taxi_assets.storage.warehouse import bigquery_jobs as jobs
from taxi_assets.storage.warehouse.bigquery_tables import check_kept, ensure_table, reconciled

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud import bigquery

MAX_LOAD_JOBS = 50
"""Load jobs of one object into one month; each further one follows a failure that someone looked at."""


TABLE_PERMISSIONS = ["bigquery.tables." + verb for verb in ("get", "getData", "update", "updateData")]
"""What loading into a table needs; replacing a month by a load job counts as updating the table."""


class BigQueryWarehouse:
    """Tables in a BigQuery dataset; see `taxi_assets.storage.warehouse.duckdb.DuckDBWarehouse`.

    Args:
        access: How Google is reached.
        schema: The BigQuery dataset of the tables.
    """

    def __init__(self, access: GoogleAccess, schema: str) -> None:
        self.access, self.schema = access, schema

    def check(self, lake: Any) -> None:
        """See `Warehouse.check`: the dataset is where the settings say, and can be loaded from the bucket."""
        self.look()
        bucket = lake.look()
        self.check_bucket(lake.bucket, bucket.location, region=bucket.region)

    def replace_month(self, dataset: Dataset, stored: LakeObject) -> TableMonth:
        """Make the table hold, for the object's month, exactly the object's rows; nothing if it already does.

        The job's identifier derives from table, month and the object's generation: BigQuery takes an identifier once,
        so that a request sent twice, or by two runs, loads once. A failed job keeps its identifier too; the next
        attempt has the next number.

        Raises:
            PermanentError: The object or the table does not fit the contract, or something may not be done; the month
                that was there stays.
            TransientError: BigQuery is busy or the link broke.
        """
        name, location = f"{dataset.table}${stored.month.year}{stored.month.month:02}", f"{dataset.name} {stored.month}"
        location = f"{location}, {stored.file} into {self.schema}.{name}"
        with explained(location):
            table = self.ensure_table(dataset)
            check_kept(table, stored.month)
            for number in range(1, MAX_LOAD_JOBS + 1):
                job_id = f"{self.schema}-{name.replace('$', '-')}-{stored.generation}-{number}"
                job, started = self._load_once(job_id, name, table.schema, stored)
                if job is None:
                    continue
                failure = jobs.outcome(job, self.access.retry)
                rows = self._count(dataset.table, stored.month) if failure is None else 0
                if failure is None and rows == stored.rows:
                    return self._record(dataset, stored, rows, job, changed=started)
                if started:  # the failure of an earlier run's job was told then
                    raise jobs.failed(job, failure, location) if failure else _other_rows(rows, stored, location)
        raise PermanentError(
            f"{MAX_LOAD_JOBS} load jobs of this object have failed, or belong to others who may not be asked",
            location=location,
            remedy=f"materialise {dataset.name}/gcs_object for {stored.month} again, after removing the object",
        )

    def replace_table(self, name: str, columns: Sequence[Column], uri: str) -> int:
        """Make a small table hold exactly the rows of a Parquet object; return their number."""
        from google.cloud import bigquery

        schema = [bigquery.SchemaField.from_api_repr(each) for each in bigquery_fields(columns)]
        config = jobs.replacing(schema, create=bigquery.CreateDisposition.CREATE_IF_NEEDED)
        location, job_id = f"{uri} into {self.schema}.{name}", f"{self.schema}-{name}-{uuid.uuid4().hex}"
        with explained(location):
            job, _ = jobs.start(
                self._client, job_id, uri, self._reference(name), config,
                location=self.location, request_options=self.access.request_options,
            )  # fmt: skip
            failure = jobs.outcome(job, self.access.retry)
            if failure is not None:
                raise jobs.failed(job, failure, location)
            return self._one(f"SELECT COUNT(*) FROM {self._full(name)}")

    def has_table(self, name: str) -> bool:
        """Return whether the schema has a table of that name."""
        from google.api_core import exceptions as api

        with explained(f"{self.schema}.{name}"):
            self.location  # noqa: B018 - says so if there is no dataset; a missing table is no error
            try:
                self._client.get_table(self._reference(name), **self.access.request_options)
            except api.NotFound:
                return False
        return True

    def count_months(self, table: str, months: Collection[Month] | None = None) -> dict[Month, int]:
        """Return how many rows each month of a table has, by counting them; empty if there is no table.

        A count reads one column, 8 bytes a row, of the months asked for: a few cents for all of TLC's trips.

        Args:
            table: Name of the table.
            months: Months to count, by default all.
        """
        from google.api_core import exceptions as api
        from google.cloud import bigquery

        location = "" if months is None else f"WHERE {SOURCE_MONTH.name} IN UNNEST(@months)"
        sql = f"SELECT {SOURCE_MONTH.name}, COUNT(*) FROM {self._full(table)} {location} GROUP BY 1 ORDER BY 1"
        days = [] if months is None else [bigquery.ArrayQueryParameter("months", "DATE", [m.first_day for m in months])]
        with explained(f"{self.schema}.{table}"):
            self.location  # noqa: B018 - says so if there is no dataset; a missing table is no error
            try:
                return {Month.of(day): rows for day, rows in self._ask(sql, days)}
            except api.NotFound:
                return {}

    def find_month(self, dataset: str, month: Month, stored: LakeObject | None = None) -> TableMonth | None:
        """Return what the warehouse holds of a month; None if it has no row of it.

        Args:
            dataset: Name of the dataset.
            month: The month.
            stored: The month's object, whose checksum and size become those of the month if it was loaded from it.
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
        table = self._full(table_of(dataset))
        return self.query(f"SELECT * FROM {table} WHERE {SOURCE_MONTH.name} = ?", [month.first_day])

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query; `nyc_tlc.yellow_trips` is a table of the project."""
        from google.cloud import bigquery

        kinds = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING"}
        values = [bigquery.ScalarQueryParameter(None, kinds.get(type(v), "DATE"), v) for v in parameters]
        with explained(sql, remedy="correct the query; tables are named as nyc_tlc.yellow_trips"):
            return self._ask(sql, values).to_arrow(create_bqstorage_client=False)

    def ensure_table(self, dataset: Dataset) -> bigquery.Table:
        """Return a dataset's table, made or widened if need be.

        Raises:
            PermanentError: It differs from the contract in another way than lacking new nullable columns.
        """
        with explained(f"{self.schema}.{dataset.table}"):
            reference = self._reference(dataset.table)
            return ensure_table(self._client, reference, dataset, **self.access.request_options)

    def make(self) -> bool:
        """Make the BigQuery dataset if there is none; return whether it was made.

        Raises:
            PermanentError: It may not be made.
        """
        from google.api_core import exceptions as api
        from google.cloud import bigquery

        with explained(f"BigQuery dataset {self.access.project}.{self.schema} (TAXI_WAREHOUSE_SCHEMA)"):
            try:
                self.location  # noqa: B018 - says so if there is no dataset
            except api.NotFound:
                new = bigquery.Dataset(bigquery.DatasetReference(self.access.project, self.schema))
                new.location, new.labels = self.access.location, LABELS
                new.description = "Trips of New York's taxis, from the files of the Taxi & Limousine Commission."
                self._client.create_dataset(new, exists_ok=True, **self.access.request_options)
                return True
        return False

    def look_at_table(self, dataset: Dataset) -> bool:
        """See that a dataset's table can be loaded into; return whether there is one. Nothing is changed.

        Raises:
            PermanentError: It differs from the contract, drops old months, or permissions are lacking.
        """
        from google.api_core import exceptions as api

        location = f"{self.access.project}.{self.schema}.{dataset.table}"
        with explained(location):
            try:
                table = self._client.get_table(self._reference(dataset.table), **self.access.request_options)
            except api.NotFound:
                return False
            held = self._client.test_iam_permissions(table, TABLE_PERMISSIONS, **self.access.request_options)
        absent = [name for name in TABLE_PERMISSIONS if name not in held.get("permissions", [])]
        if absent:
            raise lacking(absent, location)
        reconciled(table, dataset)
        check_kept(table, dataset.first_month)
        return True

    def look(self) -> None:
        """Try what loading needs: the BigQuery dataset is where the settings say, and jobs may be started.

        Raises:
            PermanentError: It is not so.
        """
        from google.cloud import bigquery

        location = f"BigQuery dataset {self.access.project}.{self.schema} (TAXI_WAREHOUSE_SCHEMA)"
        with explained(location):
            if self.location.upper() != self.access.location.upper():
                raise PermanentError(
                    f"the BigQuery dataset is in {self.location}, not in {self.access.location}",
                    location=location,
                    remedy=f"set TAXI_BQ_LOCATION={self.location}, or TAXI_WAREHOUSE_SCHEMA to another dataset",
                )
            dry = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
            self._client.query("SELECT 1", job_config=dry, retry=self.access.retry, job_retry=None)

    def check_bucket(self, bucket: str, location: str, *, region: bool) -> None:
        """Refuse a bucket from which BigQuery cannot load into this dataset.

        Raises:
            PermanentError: It is in another location.
        """
        location = f"bucket {bucket} (TAXI_GCS_BUCKET), BigQuery dataset {self.access.project}.{self.schema}"
        with explained(location):
            if not _within(location, self.location, region=region):
                raise different_locations(location, self.location, location)

    @functools.cached_property
    def location(self) -> str:
        """Where the BigQuery dataset is."""
        from google.cloud import bigquery

        reference = bigquery.DatasetReference(self.access.project, self.schema)
        found = self._client.get_dataset(reference, **self.access.request_options)
        return str(found.location)

    @functools.cached_property
    def _client(self) -> bigquery.Client:
        return self.access.bigquery()

    def _full(self, table: str) -> str:
        return f"`{self.access.project}.{self.schema}.{table}`"

    def _reference(self, table: str) -> bigquery.TableReference:
        from google.cloud import bigquery

        return bigquery.DatasetReference(self.access.project, self.schema).table(table)

    def _load_once(self, job_id: str, table: str, schema: Sequence[Any], stored: LakeObject) -> tuple[Any, bool]:
        """Find a load job by its identifier, or start it; return it, and whether it was started here.

        The job is None if there is one that this account may not look at.
        """
        from google.api_core import exceptions as api

        place: Any = {"location": self.location, "patience": self.access.request_options}
        try:
            if job := jobs.find(self._client, job_id, **place):
                return job, False
            labels = {"dataset": stored.dataset, "month": str(stored.month)}
            config = jobs.replacing(schema, create="CREATE_NEVER", labels=labels)
            return jobs.start(self._client, job_id, stored.file, self._reference(table), config, **place)
        except api.Forbidden as error:
            if re.search(r"bigquery\.jobs\.get\b|Access Denied: Job\b", str(error)):
                return None, False
            raise

    def _count(self, table: str, month: Month) -> int:
        return self._one(f"SELECT COUNT(*) FROM {self._full(table)} WHERE {SOURCE_MONTH.name} = ?", month)

    def _one(self, sql: str, month: Month | None = None) -> int:
        from google.cloud import bigquery

        values = [bigquery.ScalarQueryParameter(None, "DATE", month.first_day)] if month else []
        ((number,),) = self._ask(sql, values)
        return int(number)

    def _ask(self, sql: str, parameters: Sequence[Any]) -> Any:
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(query_parameters=list(parameters))
        job = self._client.query(sql, job_config=config, location=self.location, retry=self.access.retry)
        return job.result(retry=self.access.retry)

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


def _other_rows(rows: int, stored: LakeObject, location: str) -> PermanentError:
    return PermanentError(
        f"the table has {rows:,} rows of {stored.month}, the object {stored.rows:,}",
        location=location,
        remedy=f"materialise {stored.dataset}/gcs_object and what follows it for {stored.month} again",
    )


def _within(bucket: str, dataset: str, *, region: bool) -> bool:
    """Whether BigQuery loads from a bucket's location into a dataset's.

    From Google's documentation of loading from Cloud Storage, location considerations: from anywhere into US; into EU
    from its regions; into a region from the same one. What multi-regions hold a region is left to BigQuery.
    """
    bucket, dataset = bucket.upper(), dataset.upper()
    if not bucket or dataset in ("US", bucket):
        return True
    if dataset == "EU":
        return bucket.startswith("EUR")
    return not region
