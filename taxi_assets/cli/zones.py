"""`taxi-assets zones`: the names of the taxi zones, without which a location is a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taxi_assets.cli import FAILED, LANDED
from taxi_assets.cli.common import err, examples, instance_for_runs, load_settings, out
from taxi_assets.contracts.zones import ZONE_COLUMNS, ZONES_TABLE
from taxi_assets.errors import TaxiError
from taxi_assets.settings import Settings
from taxi_assets.source.factory import build_source
from taxi_assets.storage.factory import build_lake, build_staging, build_warehouse
from taxi_assets.transform.zones import fetch_zones

if TYPE_CHECKING:
    import dagster as dg

_TIMEOUT_SECONDS = 5.0
"""How long to wait for zones that were not asked for."""


@click.command("zones", epilog=examples("zones"))
def command() -> int:
    """Land the lookup of taxi zones; `taxi-assets run` does it too where there is none."""
    settings = load_settings(asks_source=True)
    with instance_for_runs(settings) as instance:
        if error := land_zones(settings, instance):
            err.print(f"taxi-assets: {error}")
            return FAILED
    out.print(f"the taxi zones are in {settings.warehouse_schema}.{ZONES_TABLE}")
    return LANDED


def land_zones(settings: Settings, instance: dg.DagsterInstance) -> str:
    """Land the zones; return why they did not land, empty if they did."""
    from taxi_assets.definitions import build_definitions
    from taxi_assets.instance.runs import reason_of, run_zones

    # without the datasets' 42 assets and their checks, which take 0.2 s to build
    result = run_zones(build_definitions(settings, datasets={}), instance)
    return "" if result.success else reason_of(result)


def ensure_zones(settings: Settings, instance: dg.DagsterInstance, *, from_lake: bool = False) -> None:
    """Land the zones where there are none, unless that takes long; print why they are not available.

    Args:
        settings: The settings.
        instance: Where a run is recorded.
        from_lake: Load those that the lake has, if any, and ask no source.
    """
    timeouts = {"connect_timeout": _TIMEOUT_SECONDS, "read_timeout": _TIMEOUT_SECONDS}
    quick = settings.model_copy(update={**timeouts, "attempts": 1})
    reason = ""
    try:
        if build_warehouse(settings).has_table(ZONES_TABLE):
            return
        if from_lake:
            _load_zones(settings)
        else:
            # first without a run: it would stay in Dagster's history as failed
            fetch_zones(build_source(quick), quick.zones_url, build_staging(quick))
            reason = land_zones(quick, instance)
    except (TaxiError, OSError) as error:
        reason = getattr(error, "message", str(error))
    if reason:
        err.print("the names of the taxi zones are not available now; land them later with: taxi-assets zones")
        err.print(reason.splitlines()[0])


def _load_zones(settings: Settings) -> None:
    """Load the zones that the lake has into the warehouse; do nothing if it has none."""
    from taxi_assets.assets.zones import OBJECT

    lake = build_lake(settings)
    if OBJECT in lake.list_files(OBJECT.rpartition("/")[0]):
        build_warehouse(settings).replace_table(ZONES_TABLE, ZONE_COLUMNS, lake.uri(OBJECT))
