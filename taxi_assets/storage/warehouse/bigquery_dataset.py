"""The BigQuery dataset as a place: where it is, whether the account may use it, and how queries run in it."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from google.api_core import exceptions as api
from google.cloud import bigquery

from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import PermanentError, QueryError
from taxi_assets.storage.google.access import LABELS, GoogleAccess
from taxi_assets.storage.google.errors import different_locations, is_busy, map_error, mapped_errors, permission_error
from taxi_assets.storage.warehouse.bigquery_tables import check_expiration, reconciled

TABLE_PERMISSIONS = ["bigquery.tables." + verb for verb in ("get", "getData", "update", "updateData")]
"""What loading into a table needs; replacing a month by a load job counts as updating the table."""


class BigQueryDataset:
    """A BigQuery dataset, `schema`, and the account that uses it."""

    def __init__(self, access: GoogleAccess, schema: str) -> None:
        self.access, self.schema = access, schema

    def create_dataset(self) -> bool:
        """Create the BigQuery dataset if there is none; return whether it was created."""
        with mapped_errors(self._setting):
            try:
                self.location  # noqa: B018 - raises NotFound if there is no dataset
            except api.NotFound:
                new = bigquery.Dataset(bigquery.DatasetReference(self.access.project, self.schema))
                new.location, new.labels = self.access.location, LABELS
                new.description = "Trips of New York's taxis, from the files of the Taxi & Limousine Commission."
                self._client.create_dataset(new, exists_ok=True, **self.access.request_options)
                return True
        return False

    def check_access(self) -> None:
        """Refuse a dataset that is not where the settings say, and an account that may not start jobs."""
        with mapped_errors(self._setting):
            if self.location.upper() != self.access.location.upper():
                raise PermanentError(
                    f"the BigQuery dataset is in {self.location}, not in {self.access.location}",
                    location=self._setting,
                    remedy=f"set TAXI_BQ_LOCATION={self.location}, or TAXI_WAREHOUSE_SCHEMA to another dataset",
                )
            dry = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False, labels=LABELS)
            self._client.query("SELECT 1", job_config=dry, retry=self.access.retry, job_retry=None)

    def check_bucket(self, bucket: str, bucket_location: str, *, is_region: bool) -> None:
        """Refuse a bucket in another location, from which BigQuery cannot load into this dataset."""
        location = f"bucket {bucket} (TAXI_GCS_BUCKET), BigQuery dataset {self.access.project}.{self.schema}"
        with mapped_errors(location):
            if not _can_load(bucket_location, self.location, is_region=is_region):
                raise different_locations(bucket_location, self.location, location)

    def check_table(self, dataset: Dataset) -> bool:
        """Return whether a dataset's table is there; change nothing.

        Raises:
            PermanentError: It differs from the contract, drops old months, or the account lacks permissions.
        """
        location = f"{self.access.project}.{self.schema}.{dataset.table}"
        with mapped_errors(location):
            try:
                table = self._client.get_table(self._reference(dataset.table), **self.access.request_options)
            except api.NotFound:
                return False
            held = self._client.test_iam_permissions(table, TABLE_PERMISSIONS, **self.access.request_options)
        missing = [name for name in TABLE_PERMISSIONS if name not in held.get("permissions", [])]
        if missing:
            raise permission_error(missing, location)
        reconciled(table, dataset)
        check_expiration(table, dataset.first_month)
        return True

    def query(
        self, sql: str, parameters: Sequence[Any] = (), *, max_bytes: int | None = None, limit: int | None = None
    ) -> pa.Table:
        """See `Warehouse.query`; `nyc_tlc.yellow_trips` is a table of the project.

        `max_bytes` limits what a person's query may scan. BigQuery refuses it, free of charge, if it would scan more,
        and it is refused here if it is no SELECT.
        """
        types = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING"}
        values = [bigquery.ScalarQueryParameter(None, types.get(type(v), "DATE"), v) for v in parameters]
        if max_bytes is not None:
            self.dry_run_bytes(sql)
        with _query_errors(sql):
            rows = self._run_query(sql, values, max_bytes=max_bytes, limit=limit)
            return rows.to_arrow(create_bqstorage_client=False)

    def dry_run_bytes(self, sql: str) -> int:
        """Return how many bytes a query would scan, without running it; refuse what is no SELECT."""
        config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False, labels=LABELS)
        with _query_errors(sql):
            job = self._client.query(
                sql, job_config=config, location=self.location, retry=self.access.retry, job_retry=None
            )
        if job.statement_type != "SELECT":
            raise QueryError(
                f"this is no query but {job.statement_type or 'something else'}; only a SELECT is run here",
                location=sql,
                remedy="write one SELECT. To change tables, use the console or `bq query`",
            )
        return int(job.total_bytes_processed or 0)

    @functools.cached_property
    def location(self) -> str:
        """Where the BigQuery dataset is."""
        reference = bigquery.DatasetReference(self.access.project, self.schema)
        return str(self._client.get_dataset(reference, **self.access.request_options).location)

    @functools.cached_property
    def _client(self) -> bigquery.Client:
        return self.access.bigquery()

    @property
    def _setting(self) -> str:
        return f"BigQuery dataset {self.access.project}.{self.schema} (TAXI_WAREHOUSE_SCHEMA)"

    def _full_name(self, table: str) -> str:
        return f"`{self.access.project}.{self.schema}.{table}`"

    def _reference(self, table: str) -> bigquery.TableReference:
        return bigquery.DatasetReference(self.access.project, self.schema).table(table)

    def _run_query(
        self, sql: str, parameters: Sequence[Any] = (), *, max_bytes: int | None = None, limit: int | None = None
    ) -> Any:
        """Run a query and return its rows; a job that BigQuery gives up is run again, up to `attempts` times.

        `job_retry=None`, because the library's own retries jobs in silence for up to 40 minutes.
        """
        config = bigquery.QueryJobConfig(query_parameters=list(parameters), labels=LABELS)
        if max_bytes is not None:
            config.maximum_bytes_billed = max_bytes
        waits = self.access.waits()
        while True:
            job = self._client.query(
                sql, job_config=config, location=self.location, retry=self.access.retry, job_retry=None
            )
            try:
                return job.result(retry=self.access.retry, job_retry=None, max_results=limit)
            except api.GoogleAPICallError as error:
                # a request was tried often enough by itself; only the job's own failure is worth another job
                if job.error_result is None or not is_busy(error) or (wait := next(waits, None)) is None:
                    raise
                time.sleep(wait)


@contextlib.contextmanager
def _query_errors(sql: str) -> Iterator[None]:
    """Map Google's errors; what is wrong with the query itself becomes a `QueryError`."""
    remedy = "correct the query; tables are named as nyc_tlc.yellow_trips"
    with mapped_errors(sql, remedy):
        try:
            yield
        except (api.BadRequest, api.NotFound) as error:
            mapped = map_error(error, sql, remedy)
            if isinstance(mapped, PermanentError):
                raise QueryError(mapped.message, location=sql, remedy=mapped.remedy) from None
            raise


NOT_IN_EU = ("EUROPE-WEST2", "EUROPE-WEST6")
"""London and Zurich: regions of Europe that the multi-region EU does not contain."""


def _can_load(bucket: str, dataset: str, *, is_region: bool) -> bool:
    """Whether BigQuery loads from a bucket's location into a dataset's.

    From Google's documentation of loading from Cloud Storage, location considerations: from anywhere into US; into EU
    from its regions; into a region from the same one. Which multi-regions contain a region is left to BigQuery.
    """
    bucket, dataset = bucket.upper(), dataset.upper()
    if not bucket or dataset in ("US", bucket):
        return True
    if dataset == "EU":
        return bucket.startswith("EUR") and bucket not in NOT_IN_EU
    return not is_region
