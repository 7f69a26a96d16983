"""Staging area, lake and warehouse of the gcp profile, on dagster-gcp's resources.

dagster-gcp's own have no time limits, attempts or pasted keys, so `get_client` returns clients that do. An asset of
your own can use them as any other `GCSResource` and `BigQueryResource`. Only the gcp profile imports this module.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from dagster_gcp import BigQueryResource, GCSResource
from google.cloud import bigquery, storage
from pydantic import Field, PrivateAttr

from taxi_assets.resources import LakeResource, SettingsResource, StagingResource, WarehouseResource
from taxi_assets.settings import Settings
from taxi_assets.storage.factory import google_access

_CREDENTIALS = "A service account's JSON key, or the path of its file; none: Application Default Credentials."


class _Google(SettingsResource):
    gcp_project: str
    gcp_credentials: str | None = Field(default=None, repr=False, description=_CREDENTIALS)
    connect_timeout: float
    read_timeout: float
    attempts: int
    first_wait: float
    _store: Any = PrivateAttr(default=None)

    def create(self) -> Any:
        """Return the store, the same one for the whole run: it keeps its connection and its token."""
        self._store = self._store or super().create()  # type: ignore[misc]
        return self._store

    def get_object_to_set_on_execution_context(self) -> Any:
        """Give sensors and steps this resource; dagster-gcp's would give them a client."""
        return self


class GcsStagingResource(_Google, StagingResource):
    """Raw and cleaned files in a bucket, with copies on this machine."""

    gcs_bucket: str


class GcsLakeResource(_Google, LakeResource, GCSResource):
    """The lake in Cloud Storage."""

    gcs_bucket: str
    gcs_prefix: str

    @classmethod
    def from_settings(cls, settings: Settings) -> Any:
        """See `SettingsResource.from_settings`."""
        return super().from_settings(settings).model_copy(update={"project": settings.gcp_project})

    def get_client(self) -> storage.Client:
        """Return a client."""
        return google_access(self.settings()).storage()


class BigQueryWarehouseResource(_Google, WarehouseResource, BigQueryResource):
    """The warehouse in BigQuery."""

    bq_location: str
    gcs_bucket: str

    @classmethod
    def from_settings(cls, settings: Settings) -> Any:
        """See `SettingsResource.from_settings`."""
        names = {"project": settings.gcp_project, "location": settings.bq_location}
        return super().from_settings(settings).model_copy(update=names)

    @contextlib.contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        """Give a client."""
        yield google_access(self.settings()).bigquery()
