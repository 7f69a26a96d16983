"""Load jobs of BigQuery: how one is started once, and what its failure says of file, column and reason."""

from __future__ import annotations

import concurrent.futures
import re
import uuid
from collections.abc import Sequence
from typing import Any

from google.api_core import exceptions as api
from google.cloud import bigquery

from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.storage.google.errors import is_busy, map_error

MAX_LOAD_SECONDS = 3600.0
"""Seconds to wait for a load job; TLC's largest month is 611 MB, and BigQuery loads such in a minute."""

_COLUMN = re.compile(r"\b(?:[Cc]olumn|[Ff]ield)(?:: *| +(?='))'?(\w+)")


def replace_config(schema: Sequence[Any], *, create: str, labels: dict[str, str]) -> bigquery.LoadJobConfig:
    """Return the configuration of a job that replaces its destination as a whole by a Parquet object's rows.

    `schema` has the destination's own fields: without them, a file's optional columns would not fit REQUIRED ones.
    """
    config = bigquery.LoadJobConfig(
        schema=list(schema),
        source_format=bigquery.SourceFormat.PARQUET,
        write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
        create_disposition=create,
    )
    config.labels = labels
    return config


def find(client: bigquery.Client, job_id: str, **options: Any) -> Any:
    """Return a job, None if there is none; `options` are its location, and time limit and retry of the request."""
    try:
        return client.get_job(job_id, **options)
    except api.NotFound:
        return None


def start(
    client: bigquery.Client,
    job_id: str,
    uri: str,
    table: bigquery.TableReference,
    config: bigquery.LoadJobConfig,
    **options: Any,
) -> tuple[Any, bool]:
    """Start a load job, unless there is one of that identifier; return it, and whether this request started it.

    The options are those of `find`.
    """
    config.labels = config.labels | {"request": uuid.uuid4().hex}
    try:
        return client.load_table_from_uri(uri, table, job_id=job_id, job_config=config, **options), True
    except api.Conflict:  # another run was first, or the answer to our own first request was lost
        job = client.get_job(job_id, **options)
        return job, (job.labels or {}).get("request") == config.labels["request"]


def wait(job: Any, retry: Any) -> Exception | None:
    """Wait for a job; return its error, None if it succeeded. Raises an error of the request itself."""
    try:
        job.result(timeout=MAX_LOAD_SECONDS, retry=retry)
    except concurrent.futures.TimeoutError:
        return TransientError(f"the load job has not ended after {MAX_LOAD_SECONDS:.0f} s")
    except api.GoogleAPICallError as error:
        if job.error_result is None:  # the request failed, not the job
            raise
        return error
    return None


def load_error(job: Any, error: Exception, location: str) -> PermanentError | TransientError:
    """Return the error of a failed load job: file, column and reason."""
    messages = [str(each.get("message", "")) for each in (job.errors or [job.error_result or {}])]
    message = "; ".join(dict.fromkeys(text for text in messages if text)) or str(error)
    reason = (job.error_result or {}).get("reason", "")
    location = f"{location}, job {job.job_id}"
    if isinstance(error, TransientError) or is_busy(error):
        return TransientError(
            f"the load job failed ({reason or 'late'}): {message}", location=location, remedy="load the month again"
        )
    if reason != "invalid" or "different locations" in message:
        return map_error(error, location)
    column = _COLUMN.search(message)
    named = f"column {column[1]}: " if column else ""
    return PermanentError(
        f"the load job failed ({reason}): {named}{message}",
        location=location,
        remedy="the old month stays. Clean the month again and load it; if it fails again, compare the table with "
        "taxi_assets/contracts",
    )


def cost(job: Any) -> dict[str, float]:
    """Return what a load job cost, by the name under which the UI plots it."""
    statistics = job._properties.get("statistics", {})  # noqa: SLF001 - slot time has no public name in load jobs
    return {
        "job_input_bytes": float(job.input_file_bytes or 0),
        "job_output_bytes": float(job.output_bytes or 0),
        "job_slot_seconds": float(statistics.get("totalSlotMs", 0)) / 1000,
    }
