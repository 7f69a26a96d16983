"""Builds the source from the settings; nothing else does."""

from __future__ import annotations

from taxi_assets.settings import Settings
from taxi_assets.source.client import Source


def build_source(settings: Settings) -> Source:
    """Return the source of months and zones."""
    return Source(
        csv_url=settings.csv_url,
        parquet_url=settings.parquet_url,
        prefer=settings.source,
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
    )
