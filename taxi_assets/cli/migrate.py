"""`taxi-assets migrate`: creates or upgrades Dagster's storage, as each `dev` does; deployments run it first."""

from __future__ import annotations

import click

from taxi_assets.cli import LANDED
from taxi_assets.cli.common import examples, load_settings, out
from taxi_assets.instance.home import migrate
from taxi_assets.settings import dagster_postgres_url


@click.command("migrate", epilog=examples("migrate"))
def command() -> int:
    """Create or upgrade Dagster's storage, as `dev` does at each start."""
    home = migrate(load_settings())
    out.print(f"Dagster's storage is ready: {'Postgres' if dagster_postgres_url() else 'SQLite'}, home {home}")
    return LANDED
