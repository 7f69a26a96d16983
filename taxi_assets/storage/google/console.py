"""Addresses of Google's console, where a person looks at an object, a month of a table, or a job."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from taxi_assets.months import Month

_CONSOLE = "https://console.cloud.google.com"


def object_url(uri: str) -> str:
    """Return the console's page of an object.

    Args:
        uri: As `gs://bucket/name`.
    """
    return f"{_CONSOLE}/storage/browser/_details/{quote(uri.removeprefix('gs://'))}"


def partition_url(project: str, table: str, month: Month) -> str:
    """Return the console's page of a month of a table.

    Args:
        project: The project.
        table: As `nyc_tlc.yellow_trips`.
        month: The month.
    """
    schema, _, name = table.partition(".")
    query = {"p": project, "d": schema, "t": f"{name}${month.year}{month.month:02}", "page": "table"}
    return f"{_CONSOLE}/bigquery?{urlencode(query)}"


def job_url(job: str) -> str:
    """Return the console's page of a job.

    Args:
        job: As `project:location.id`.
    """
    project, _, rest = job.partition(":")
    location, _, job_id = rest.partition(".")
    query = {"project": project, "j": f"bq:{location}:{job_id}", "page": "queryresults"}
    return f"{_CONSOLE}/bigquery?{urlencode(query)}"
