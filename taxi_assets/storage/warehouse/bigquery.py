"""BigQuery: the warehouse of the gcp profile. BigQuery loads months from the bucket; no row passes this machine.

A load job with WRITE_TRUNCATE into `table$YYYYMM` replaces one month as a whole or leaves it as it was, is free of
charge. How a job is started once stands in `bigquery_jobs`, what was loaded in `bigquery_loads`, what a table looks
like in `bigquery_tables`, and what the place must be like in `bigquery_dataset`.
"""

from __future__ import annotations

import functools
import re
import uuid
from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa
from google.api_core import exceptions as api
from google.cloud import bigquery

from taxi_assets.contracts.model import SOURCE_MONTH, Column, Dataset, table_of
from taxi_assets.contracts.schemas import bigquery_fields
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.records import LakeObject, TableMonth
from taxi_assets.storage.google.access import LABELS
from taxi_assets.storage.google.errors import mapped_errors
from taxi_assets.storage.warehouse import bigquery_jobs as jobs
from taxi_assets.storage.warehouse.bigquery_dataset import BigQueryDataset
from taxi_assets.storage.warehouse.bigquery_loads import LOADS, MonthLoads
from taxi_assets.storage.warehouse.bigquery_tables import check_expiration, ensure_table
from taxi_assets.storage.warehouse.guard import check_object

MAX_LOAD_JOBS = 50
"""Load jobs of one object into one month; each further one follows a failure that someone looked at."""


class BigQueryWarehouse(BigQueryDataset):
    """Tables in a BigQuery dataset; see `taxi_assets.storage.warehouse.duckdb.DuckDBWarehouse`."""

    def check(self, lake: Any) -> None:
        """See `Warehouse.check`: the dataset is where the settings say, and can be loaded from the bucket."""
        self.check_access()
        bucket = lake.describe_bucket()
        self.check_bucket(lake.bucket, bucket.location, is_region=bucket.is_region)

    def replace_month(
        self, dataset: Dataset, stored: LakeObject, *, reload: bool = False, accept_row_count: bool = False
    ) -> TableMonth:
        """See `Warehouse.replace_month`."""
        partition = partition_of(dataset.table, stored.month)
        location = f"{dataset.name} {stored.month}, {stored.file} into {self.schema}.{partition}"
        with mapped_errors(location):
            table = self.ensure_table(dataset)
            check_expiration(table, stored.month)
            rows = self._count_rows(partition)
            load = self._loads.latest(dataset.table, [stored.month]).get(stored.month)
            known = {column.name.lower() for column in dataset.table_columns}
            extra = tuple(field.name for field in table.schema if field.name.lower() not in known)
            if not reload and load and (load.sha256, load.rows, rows) == (stored.sha256, stored.rows, stored.rows):
                return self._record(dataset, stored, load.job, extra, changed=False)
            check_object(stored, load.rows if load else rows, location, accepted=accept_row_count)
            job, changed = self._load(partition, table.schema, stored, location, reload=reload)
            job_name = f"{self.access.project}:{self.location}.{job.job_id}"
            self._loads.add(dataset.table, stored, job_name)
            return self._record(dataset, stored, job_name, extra, changed=changed, numbers=jobs.cost(job))

    def _load(
        self, partition: str, schema: Sequence[Any], stored: LakeObject, location: str, *, reload: bool
    ) -> tuple[Any, bool]:
        """Load a month once; return the job that did it, and whether it was started here.

        The job's identifier derives from table, month and the object's generation. BigQuery takes an identifier once,
        so a request that is sent twice, or by two runs, loads once. A failed job keeps its identifier too; the next
        attempt has the next number. A reload has identifiers of its own.
        """
        version = f"{stored.generation}-reload-{uuid.uuid4().hex}" if reload else stored.generation
        for number in range(1, MAX_LOAD_JOBS + 1):
            job_id = f"{self.schema}-{partition.replace('$', '-')}-{version}-{number}"
            job, started = self._load_once(job_id, partition, schema, stored)
            if job is None:
                continue
            failure = jobs.wait(job, self.access.retry)
            rows = self._count_rows(partition) if failure is None else 0
            if failure is None and rows == stored.rows:
                return job, started
            if started:  # an earlier run reported the failure of its own job
                raise jobs.load_error(job, failure, location) if failure else _wrong_rows(rows, stored, location)
        raise PermanentError(
            f"{MAX_LOAD_JOBS} load jobs of this object have failed, or are not this account's to see",
            location=location,
            remedy="remove the object and put the month into the lake again",
        )

    def replace_table(self, name: str, columns: Sequence[Column], uri: str) -> int:
        """See `Warehouse.replace_table`; the file is an object."""
        schema = [bigquery.SchemaField.from_api_repr(each) for each in bigquery_fields(columns)]
        config = jobs.replace_config(schema, create=bigquery.CreateDisposition.CREATE_IF_NEEDED, labels=LABELS)
        location, job_id = f"{uri} into {self.schema}.{name}", f"{self.schema}-{name}-{uuid.uuid4().hex}"
        with mapped_errors(location):
            job, _ = jobs.start(self._client, job_id, uri, self._reference(name), config, **self._job_options)
            failure = jobs.wait(job, self.access.retry)
            if failure is not None:
                raise jobs.load_error(job, failure, location)
            return self._count_rows(name)

    def has_table(self, name: str) -> bool:
        """See `Warehouse.has_table`."""
        with mapped_errors(f"{self.schema}.{name}"):
            self.location  # noqa: B018 - raises if there is no dataset; a missing table is no error
            try:
                self._client.get_table(self._reference(name), **self.access.request_options)
            except api.NotFound:
                return False
        return True

    def count_months(self, table: str, months: Collection[Month] | None = None) -> dict[Month, int]:
        """See `Warehouse.count_months`; by the table's metadata: no row is scanned."""
        view = f"`{self.access.project}.{self.schema}.INFORMATION_SCHEMA.PARTITIONS`"
        sql = f"SELECT partition_id, total_rows FROM {view} WHERE table_name = @name AND total_rows > 0"
        with mapped_errors(f"{self.schema}.{table}"):
            found = {
                Month(int(partition[:4]), int(partition[4:])): int(rows)
                for partition, rows in self._run_query(sql, [bigquery.ScalarQueryParameter("name", "STRING", table)])
                if re.fullmatch(r"\d{6}", partition)  # not __NULL__, not __UNPARTITIONED__
            }
        return {month: found[month] for month in sorted(found) if months is None or month in months}

    def find_month(self, dataset: str, month: Month, stored: LakeObject | None = None) -> TableMonth | None:
        """See `Warehouse.find_month`.

        Of months that an earlier release loaded, no checksum is recorded: it is `stored`'s if that has as many rows.
        """
        table = table_of(dataset)
        with mapped_errors(f"{dataset} {month}, {self.schema}.{table}"):
            rows = self._count_rows(partition_of(table, month))
            if not rows:
                return None
            load = self._loads.latest(table, [month]).get(month)
        sha256 = load.sha256 if load and load.rows == rows else ""
        if load is None and stored is not None and stored.rows == rows:
            sha256 = stored.sha256
        return TableMonth(
            dataset=dataset,
            month=month,
            file=f"{self.schema}.{table}",
            bytes=stored.bytes if stored and stored.sha256 == sha256 else 0,
            sha256=sha256,
            rows=rows,
            changed=False,
            job=load.job if load else "",
        )

    def loaded_checksums(self, table: str) -> dict[Month, str]:
        """See `Warehouse.loaded_checksums`."""
        with mapped_errors(f"{self.schema}.{LOADS}"):
            return {month: load.sha256 for month, load in self._loads.latest(table).items()}

    def verify_month(self, dataset: Dataset, stored: LakeObject) -> list[str]:
        """See `Warehouse.verify_month`; compares what the table was loaded from, and its rows: no value is read."""
        loaded = self.find_month(dataset.name, stored.month, stored)
        if loaded is None:
            return ["the table has no rows of the month"]
        wrong = []
        if loaded.rows != stored.rows:
            wrong.append(f"the table has {loaded.rows:,} rows of the month, the object {stored.rows:,}")
        if loaded.sha256 != stored.sha256:
            wrong.append("the table was loaded from other bytes than the object has")
        return wrong

    def read_month(self, dataset: str, month: Month) -> pa.Table:
        """Return a month's rows."""
        table = self._full_name(table_of(dataset))
        return self.query(f"SELECT * FROM {table} WHERE {SOURCE_MONTH.name} = ?", [month.first_day])

    def ensure_table(self, dataset: Dataset) -> bigquery.Table:
        """Return a dataset's table, created or widened if need be; see `bigquery_tables.ensure_table`."""
        with mapped_errors(f"{self.schema}.{dataset.table}"):
            reference = self._reference(dataset.table)
            return ensure_table(self._client, reference, dataset, **self.access.request_options)

    def _load_once(self, job_id: str, table: str, schema: Sequence[Any], stored: LakeObject) -> tuple[Any, bool]:
        """Find a load job by its identifier, or start it; return it, and whether it was started here.

        The job is None if there is one that this account may not see.
        """
        try:
            if job := jobs.find(self._client, job_id, **self._job_options):
                return job, False
            labels = LABELS | {"dataset": stored.dataset, "month": str(stored.month)}
            config = jobs.replace_config(schema, create="CREATE_NEVER", labels=labels)
            return jobs.start(self._client, job_id, stored.file, self._reference(table), config, **self._job_options)
        except api.Forbidden as error:
            if re.search(r"bigquery\.jobs\.get\b|Access Denied: Job\b", str(error)):
                return None, False
            raise

    @property
    def _job_options(self) -> dict[str, Any]:
        return {"location": self.location, **self.access.request_options}

    @functools.cached_property
    def _loads(self) -> MonthLoads:
        return MonthLoads(self._client, self._reference(LOADS), self._run_query, self.access.request_options)

    def _count_rows(self, table: str) -> int:
        """Return the rows of a table, or of a partition of it, by its metadata; 0 if there is none."""
        self.location  # noqa: B018 - raises if there is no dataset; a missing table has no rows
        try:
            return int(self._client.get_table(self._reference(table), **self.access.request_options).num_rows or 0)
        except api.NotFound:
            return 0

    def _record(
        self, dataset: Dataset, stored: LakeObject, job: str, unknown_columns: tuple[str, ...], **more: Any
    ) -> TableMonth:
        return TableMonth(
            dataset=dataset.name,
            month=stored.month,
            file=f"{self.schema}.{dataset.table}",
            bytes=stored.bytes,
            sha256=stored.sha256,
            rows=stored.rows,
            unknown_columns=unknown_columns,
            job=job,
            **more,
        )


def partition_of(table: str, month: Month) -> str:
    """Return the name of a month's partition, as `yellow_trips$202101`."""
    return f"{table}${month.year}{month.month:02}"


def _wrong_rows(rows: int, stored: LakeObject, location: str) -> PermanentError:
    return PermanentError(
        f"the table has {rows:,} rows of {stored.month}, the object {stored.rows:,}",
        location=location,
        remedy="put the month into the lake and load it again",
    )
