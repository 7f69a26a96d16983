"""Where the months of a kill matrix land: DuckDB's file, Google's cloud, Postgres; each trial's own."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psycopg

from taxi_assets.settings import Settings
from taxi_assets.storage.factory import build_bigquery, build_gcs_lake
from taxi_assets_tests.torture.bench import tables_of

if TYPE_CHECKING:
    from taxi_assets_tests.servers.bigquery import BigQueryServer
    from taxi_assets_tests.servers.gcs import GcsServer
    from taxi_assets_tests.servers.postgres import PostgresServer

Rows = dict[str, list[tuple[Any, ...]]]


class Place(Protocol):
    """Where months land beside the data folder.

    Attributes:
        settings: Of every command.
        more: Modules that it needs, to be imported before the fork.
    """

    settings: Mapping[str, str]
    more: tuple[str, ...]

    def empty(self) -> dict[str, str]:
        """Make a place in which nothing is, and return the settings that name it."""

    def rows(self, data: Path, settings: Mapping[str, str]) -> Rows:
        """Return what lies in a place, as far as it must be the same however often a run was disturbed."""


@dataclass(frozen=True)
class Here:
    """The local profile: all is in the data folder."""

    settings: Mapping[str, str]
    more: tuple[str, ...] = ()

    def empty(self) -> dict[str, str]:
        """See `Place.empty`."""
        return {}

    def rows(self, data: Path, settings: Mapping[str, str]) -> Rows:
        """See `Place.rows`."""
        return tables_of(data)


@dataclass(frozen=True)
class Cloud:
    """The gcp profile: a bucket and a BigQuery dataset for each trial."""

    gcs: GcsServer
    bigquery: BigQueryServer
    settings: Mapping[str, str]
    more: tuple[str, ...] = (
        "google.auth.transport.requests",
        "google.cloud.bigquery",
        "google.cloud.storage",
        "taxi_assets.resources.gcp",
        "taxi_assets.storage.warehouse.bigquery",
        "taxi_assets.storage.lake.gcs",
    )

    def empty(self) -> dict[str, str]:
        """See `Place.empty`."""
        name = uuid.uuid4().hex[:12]
        named = {"TAXI_GCS_BUCKET": f"b-{name}", "TAXI_WAREHOUSE_SCHEMA": f"d_{name}"}
        settings = Settings.from_environment({**self.settings, **named})
        build_gcs_lake(settings).create_bucket("EU")
        build_bigquery(settings).create_dataset()
        return named

    def rows(self, data: Path, settings: Mapping[str, str]) -> Rows:
        """See `Place.rows`; objects with their checksums and metadata, tables with all that the dataset has."""
        objects = [
            (blob.name, blob.size, blob.crc32c, *sorted((blob.metadata or {}).items()))
            for blob in self.gcs.client().list_blobs(settings["TAXI_GCS_BUCKET"])
        ]
        found: Rows = {"objects": objects}
        with self.bigquery.client() as client:
            schema = settings["TAXI_WAREHOUSE_SCHEMA"]
            for table in client.list_tables(schema):
                asked = client.query(f"SELECT * FROM `{schema}.{table.table_id}`").result()
                rows = [dict(row.items()) for row in asked]
                if table.table_id == "month_loads":  # a log, of which the latest entry of a month counts
                    own = ("loaded_at", "job", "object")
                    rows = [{name: value for name, value in row.items() if name not in own} for row in rows[-1:]]
                found[table.table_id] = sorted((tuple(row.values()) for row in rows), key=repr)
        return found


@dataclass(frozen=True)
class Postgres:
    """The local profile, and a Postgres database for each trial."""

    server: PostgresServer
    settings: Mapping[str, str]
    more: tuple[str, ...] = ("psycopg", "taxi_assets.io_managers.stores", "taxi_assets.storage.warehouse.postgres")

    def empty(self) -> dict[str, str]:
        """See `Place.empty`."""
        return {"TAXI_POSTGRES_URL": self.server.new_database()}

    def rows(self, data: Path, settings: Mapping[str, str]) -> Rows:
        """See `Place.rows`; every table that the database has, partitions and forgotten drafts too."""
        found = tables_of(data)
        with psycopg.connect(settings["TAXI_POSTGRES_URL"]) as connection:
            names = connection.execute(
                "SELECT schemaname, tablename FROM pg_tables "
                "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            ).fetchall()
            for schema, table in names:
                columns = connection.execute(
                    "SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) "
                    "FROM information_schema.columns "
                    "WHERE table_schema = %s AND table_name = %s AND column_name <> 'loaded_at'",
                    [schema, table],
                ).fetchone()
                assert columns
                rows = connection.execute(f'SELECT {columns[0]} FROM "{schema}"."{table}"').fetchall()
                found[f"postgres {schema}.{table}"] = sorted(rows, key=repr)
        return found
