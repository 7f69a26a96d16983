"""What assets are given to work with, in place of Prefect's blocks: the source and the work room.

Thin wrappers: they show their configuration in the UI and make the plain objects of `taxi_assets.trips`.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from taxi_assets.settings import Settings
from taxi_assets.trips.engine import Engine
from taxi_assets.trips.source import Source
from taxi_assets.trips.workroom import Workroom


class SourceResource(dg.ConfigurableResource):
    """Where months come from; the fields are those of `taxi_assets.trips.source.Source`."""

    csv_url: str
    parquet_url: str
    prefer: str
    connect_timeout: float
    read_timeout: float
    attempts: int
    first_wait: float

    @classmethod
    def from_settings(cls, settings: Settings) -> SourceResource:
        """Make the resource that the settings describe."""
        return cls(
            csv_url=settings.csv_url,
            parquet_url=settings.parquet_url,
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


class WorkResource(dg.ConfigurableResource):
    """The folder of raw and cleaned months, and how much of the machine working on them may use."""

    root: str
    memory_limit: str
    threads: int
    rejected_share_limit: float

    @classmethod
    def from_settings(cls, settings: Settings) -> WorkResource:
        """Make the resource that the settings describe."""
        engine = settings.engine
        return cls(
            root=str(settings.work_dir),
            memory_limit=engine.memory_limit,
            threads=engine.threads,
            rejected_share_limit=settings.rejected_share_limit,
        )

    def workroom(self) -> Workroom:
        """Return the work room."""
        return Workroom(Path(self.root))

    def engine(self) -> Engine:
        """Return the engine."""
        return Engine(self.memory_limit, self.threads)
