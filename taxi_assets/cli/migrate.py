"""`taxi-assets migrate`: creates or upgrades Dagster's storage, as each `dev` does; deployments run it first."""

from __future__ import annotations

from taxi_assets.cli.common import load_settings, migrate, out
from taxi_assets.cli.main import LANDED
from taxi_assets.settings import dagster_postgres_url


def command() -> int:
    """Create or upgrade the storage; return the exit status."""
    home = migrate(load_settings())
    out.print(f"Dagster's storage is ready: {'Postgres' if dagster_postgres_url() else 'SQLite'}, home {home}")
    return LANDED
