"""Where Dagster keeps its own memory: SQLite files in its home, or Postgres when DAGSTER_POSTGRES_URL is set.

`dagster.yaml` cannot choose, so it names the class here as its `storage: custom:`. The URL, with its password, stays in
the environment: it is in no file, and not in the instance reference that processes hand each other on command lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster._core.storage.base_storage import DagsterStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from taxi_assets.settings import dagster_home, dagster_postgres_url


class SqliteOrPostgres(DagsterStorage, ConfigurableClass):
    """Makes the storage that the environment asks for; it is never that storage itself."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return the fields that `dagster.yaml` may give: none."""
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]  # its callers need a DagsterStorage, not an instance of cls
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003 - Dagster's signature
    ) -> DagsterStorage:
        """Return SQLite's or Postgres's storage.

        Raises:
            TaxiError: See `open_storage`.
        """
        url = dagster_postgres_url()
        if not url:
            from taxi_assets.instance.sqlite import SqliteStorage

            return SqliteStorage.from_local(str(dagster_home()), inst_data)
        from taxi_assets.instance.postgres import open_storage

        return open_storage(url, inst_data)
