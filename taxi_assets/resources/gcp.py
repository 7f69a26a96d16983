"""Google Cloud Storage and BigQuery as resources, on dagster-gcp's own; only the gcp profile imports this module.

dagster-gcp's have no time limits, attempts or pasted keys. A key stays in its variable: the configuration that the UI
shows holds the variable's name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_gcp import BigQueryResource, GCSResource
from google.cloud import bigquery, storage
from pydantic import Field

from taxi_assets.resources import StagingResource
from taxi_assets.settings import Settings, google_emulators, variable
from taxi_assets.storage.google.access import GoogleAccess
from taxi_assets.storage.staging.gcs import GcsStagingArea
from taxi_assets.storage.staging.local import StagingArea

_CREDENTIALS = "A service account's JSON key, or the path of its file; none: Application Default Credentials."


def _common(settings: Settings) -> dict[str, Any]:
    return {
        "project": settings.gcp_project,
        "gcp_credentials": dg.EnvVar(variable("gcp_credentials")) if settings.gcp_credentials else None,
        "connect_timeout": settings.connect_timeout,
        "read_timeout": settings.read_timeout,
        "attempts": settings.attempts,
        "first_wait": settings.first_wait,
    }


class CloudStorageResource(GCSResource):
    """Cloud Storage, asked as patiently as the settings say."""

    gcp_credentials: str | None = Field(default=None, repr=False, description=_CREDENTIALS)
    connect_timeout: float
    read_timeout: float
    attempts: int
    first_wait: float

    @classmethod
    def from_settings(cls, settings: Settings) -> CloudStorageResource:
        """Make the resource that the settings describe; a key is taken from the environment when it is used."""
        return cls(**_common(settings))

    def access(self) -> GoogleAccess:
        """Return how Google is reached."""
        return _access(self)

    def get_client(self) -> storage.Client:
        """Return a client."""
        return self.access().storage()


class GcsStagingResource(StagingResource):
    """Raw and cleaned months in a bucket; `root` is the folder of this machine's copies."""

    gcs: CloudStorageResource
    url: str

    def staging(self) -> StagingArea:
        """Return the work room."""
        return GcsStagingArea(Path(self.root), self.gcs.access(), self.url)


class WarehouseResource(BigQueryResource):
    """BigQuery, asked as patiently as the settings say."""

    gcp_credentials: str | None = Field(default=None, repr=False, description=_CREDENTIALS)
    connect_timeout: float
    read_timeout: float
    attempts: int
    first_wait: float

    @classmethod
    def from_settings(cls, settings: Settings) -> WarehouseResource:
        """Make the resource that the settings describe; a key is taken from the environment when it is used."""
        return cls(**_common(settings), location=settings.bq_location)

    def access(self) -> GoogleAccess:
        """Return how Google is reached."""
        return _access(self, location=str(self.location))

    @contextlib.contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        """Give a client."""
        yield self.access().bigquery()


def _access(resource: CloudStorageResource | WarehouseResource, **more: Any) -> GoogleAccess:
    return GoogleAccess(
        project=str(resource.project),
        credentials=resource.gcp_credentials or "",
        connect_timeout=resource.connect_timeout,
        read_timeout=resource.read_timeout,
        attempts=resource.attempts,
        first_wait=resource.first_wait,
        **google_emulators(),
        **more,
    )
