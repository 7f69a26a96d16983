"""What assets are given to work with, in place of Prefect's blocks: the source and the work room.

Thin wrappers: they show their configuration in the UI and make the plain objects of `taxi_assets.trips`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg

from taxi_assets.settings import Settings, variable
from taxi_assets.source.client import Source, without_secrets
from taxi_assets.storage.limits import ResourceLimits
from taxi_assets.storage.staging.local import StagingArea


class SourceResource(dg.ConfigurableResource):
    """Where months and zones come from; the fields are those of `taxi_assets.source.client.Source`."""

    csv_url: str
    parquet_url: str
    zones_url: str
    prefer: str
    connect_timeout: float
    read_timeout: float
    attempts: int
    first_wait: float

    @classmethod
    def from_settings(cls, settings: Settings, *, shown: bool = False) -> SourceResource:
        """Make the resource that the settings describe.

        Args:
            settings: The settings.
            shown: Whether the UI shows it: an address that holds a password or token is then taken from its variable
                when it is used, and the UI shows the variable's name.
        """

        def address(name: str) -> str:
            url: str = getattr(settings, name)
            return dg.EnvVar(variable(name)) if shown and without_secrets(url) != url else url

        return cls(
            csv_url=address("csv_url"),
            parquet_url=address("parquet_url"),
            zones_url=address("zones_url"),
            prefer=settings.source,
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            attempts=settings.attempts,
            first_wait=settings.first_wait,
        )

    def source(self) -> Source:
        """Return the source."""
        return Source(
            csv_url=self.csv_url,
            parquet_url=self.parquet_url,
            prefer=self.prefer,
            connect_timeout=self.connect_timeout,
            read_timeout=self.read_timeout,
            attempts=self.attempts,
            first_wait=self.first_wait,
        )


class StagingResource(dg.ConfigurableResource):
    """The folder of raw and cleaned months, and how much of the machine working on them may use."""

    root: str
    memory: int
    threads: int
    rejected_share_limit: float

    @classmethod
    def from_settings(cls, settings: Settings, **more: Any) -> StagingResource:
        """Make the resource that the settings describe."""
        from taxi_assets.storage.factory import resource_limits

        limits = resource_limits(settings)
        return cls(
            root=str(settings.work_dir),
            memory=limits.memory,
            threads=limits.threads,
            rejected_share_limit=settings.rejected_share_limit,
            **more,
        )

    def staging(self) -> StagingArea:
        """Return the work room."""
        return StagingArea(Path(self.root))

    def limits(self) -> ResourceLimits:
        """Return the engine."""
        return ResourceLimits(self.memory, self.threads)
