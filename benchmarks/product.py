"""This project's ways on this machine: the cleaning step, the chain with Dagster, the command line."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from benchmarks.inputs import TEMPLATE, suffix, write
from benchmarks.ways import timed
from taxi_assets.months import Month

Command = tuple[list[str], dict[str, str]]
"""A command and the settings that it runs with."""


def month_of(source: Path) -> tuple[str, Month]:
    """Return the dataset and the month that a file's name has."""
    found = re.match(r"(\w+)_tripdata_(\d{4}-\d\d)\.", source.name)
    assert found, source
    return found[1], Month.parse(found[2])


def source_settings(place: str, *, parquet: bool) -> dict[str, str]:
    """Return the settings with which months come from a folder or a server."""
    kind = "PARQUET" if parquet else "CSV"
    return {f"TAXI_{kind}_URL": f"{place}/{TEMPLATE}{suffix(parquet=parquet)}", "TAXI_SOURCE": kind.lower()}


def cleaning(source: Path, folder: Path) -> dict[str, Any]:
    """This project's cleaning step: contract, rejects, ledger, anomalies, checksum, atomic publication."""
    from taxi_assets.contracts import DATASETS
    from taxi_assets.source.client import Source
    from taxi_assets.storage.staging.local import StagingArea
    from taxi_assets.transform.clean import clean_month

    (dataset, month), staging, url = month_of(source), StagingArea(folder / "work"), f"file://{source}"
    raw, _ = Source(url, url, "csv").fetch(dataset, month, staging)
    result: dict[str, Any] = {}
    with timed(result):
        cleaned, _ = clean_month(DATASETS[dataset], raw, staging)
    return result | {"bytes": cleaned.bytes, "rows": cleaned.cleaned_rows, "rejected": cleaned.rejected_rows}


def local_chain(source: Path, folder: Path) -> dict[str, Any]:
    """This project's whole local chain with Dagster: download by HTTP, clean, lake, DuckDB table, every check."""
    return run_chain(source, folder, {})


def run_chain(source: Path, folder: Path, profile: dict[str, str]) -> dict[str, Any]:
    """Run this project's chain on a month that a local server gives, as `taxi-assets run` does; start-up is 100 rows.

    Args:
        source: The month's file.
        folder: Of Dagster's history and the data.
        profile: Settings beside those of the source and the folder.
    """
    import gc

    from taxi_assets.definitions import build_definitions
    from taxi_assets.demo.server import serving
    from taxi_assets.instance.home import dagster_instance
    from taxi_assets.instance.runs import run_month
    from taxi_assets.settings import Settings

    gc.disable()  # until the instance is open, as in `taxi_assets.cli.main`
    gc.set_threshold(100_000)

    dataset, month = month_of(source)
    first, served = month.plus(-1), folder / "served"
    write(served / source.name.replace(str(month), str(first)), dataset, first, 100)
    (served / source.name).symlink_to(source)
    result: dict[str, Any] = {}
    with serving(served) as address:
        own = source_settings(address, parquet=source.suffix == ".parquet") | {"TAXI_DATA_DIR": str(folder / "data")}
        settings = Settings.from_environment(own | profile)
        definitions, job = build_definitions(settings), f"{dataset}_everything"
        with dagster_instance(settings) as instance:
            run_month(definitions, instance, job, dataset, first)
            with timed(result):
                outcome, _ = run_month(definitions, instance, job, dataset, month)
    assert outcome.status == "landed", outcome
    return result


def run_month(source: Path, folder: Path) -> Command:
    """`taxi-assets run` of a month, the whole process with start-up."""
    dataset, month = month_of(source)
    return run_command(dataset, str(month), folder, f"file://{source.parent}", parquet=source.suffix == ".parquet")


def run_limited(source: Path, folder: Path) -> Command:
    """`taxi-assets run` of a month with a limit of 400 MB."""
    command, settings = run_month(source, folder)
    return command, settings | {"TAXI_MEMORY_LIMIT": "400MB"}


def run_command(dataset: str, months: str, folder: Path, place: str, *, parquet: bool = False) -> Command:
    """Return the command that lands months, with the zones from a file.

    Args:
        dataset: The dataset.
        months: The months, as the command takes them.
        folder: The data folder.
        place: Address of the folder that has the months.
        parquet: Whether they are Parquet files.
    """
    from taxi_assets.demo.zones import lookup

    zones = folder / "zones.csv"
    zones.parent.mkdir(parents=True, exist_ok=True)
    zones.write_text(lookup(), "utf-8")
    settings = source_settings(place, parquet=parquet) | {
        "TAXI_ZONES_URL": f"file://{zones}",
        "TAXI_DATA_DIR": str(folder / "data"),
    }
    return [sys.executable, "-m", "taxi_assets.cli.main", "run", dataset, months, "--json"], settings
