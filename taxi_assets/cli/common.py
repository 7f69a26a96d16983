"""What several commands need: settings from .env, Dagster's home, the terminal."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.instance.environment import load_env_file
from taxi_assets.instance.home import dagster_instance
from taxi_assets.settings import SettingError, Settings, dagster_postgres_url, setting_variables

if TYPE_CHECKING:
    import dagster as dg

    from taxi_assets.reconciliation import LedgerRow

_console = functools.partial(Console, highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Most of what is printed is a path, an error or a name, in which brackets and colons are no markup of Rich's."""

out = _console()
err = _console(stderr=True)
"""Both obey NO_COLOR, and write plainly where no terminal is attached."""

_WIDE = 200
"""Columns of a table that goes to a file or a pipe, where nothing needs to be cut."""


def examples(*lines: str) -> str:
    """Return the examples that a command's help ends with, each the arguments and, after spaces, what they do."""
    return "\n".join(["\b", "examples:", *(f"  taxi-assets {line}" for line in lines)])


def load_settings() -> Settings:
    """Read the settings from the environment and, for what it leaves open, from `.env` in this folder.

    Variables that look like a misspelled setting are named on standard error.
    """
    load_environment()
    return Settings.from_environment()


def load_environment() -> None:
    """Read `.env` in this folder, for what the environment leaves open; name variables that look misspelled."""
    load_env_file()
    known = setting_variables()
    for name in os.environ:
        near = name not in known and name.upper().startswith("TAXI_") and get_close_matches(name.upper(), known, 1)
        if near:
            err.print(f"taxi-assets: {name} is not a setting; {near[0]} is one")


@contextlib.contextmanager
def instance_for_runs(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open Dagster's history for runs in this process, after ending those that a killed command left behind.

    Otherwise runs would wait forever for a killed run's slots. In Postgres, other machines' runs are recorded too.
    """
    import dagster as dg

    from taxi_assets.instance.recovery import end_dead_runs
    from taxi_assets.instance.runs import HOST_TAG

    ours = {HOST_TAG: socket.gethostname()} if dagster_postgres_url() else None
    with dagster_instance(settings) as instance:
        end_dead_runs(instance, [dg.DagsterRunStatus.STARTED], ours)
        yield instance


def dataset_named(name: str) -> Dataset:
    """Return a dataset.

    Raises:
        SettingError: There is none of that name.
    """
    if name not in DATASETS:
        raise SettingError(f"{name!r} is not a dataset", remedy=f"choose one of {', '.join(DATASETS)}")
    return DATASETS[name]


def print_ledger(rows: list[LedgerRow]) -> None:
    """Print rows as a table with their totals, and what went wrong below it."""
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for name in ("dataset", "month", "status"):
        table.add_column(name, no_wrap=True)
    columns = _counts(rows)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row, cells in zip(rows, zip(*columns.values(), strict=True), strict=True):
        table.add_row(row.dataset, row.month, Text(row.status, _COLORS[row.status]), *map(_cell, cells))
    if len(rows) > 1:
        totals = (_cell(sum(column)) for column in columns.values())
        table.add_row("total", f"{len(rows)} months", "", *totals, style="bold")
    _console(width=_WIDE).print(table)  # on a narrow terminal lines break; a count that is cut says nothing
    for row in rows:
        if row.notes and not row.error:
            out.print(f"{row.dataset} {row.month}: {row.notes}")
    _print_errors(rows)


def print_places(settings: Settings) -> None:
    """Print where the data is, a line for each store."""
    if settings.profile == "gcp":
        lake = "/".join(filter(None, [f"gs://{settings.gcs_bucket}", settings.gcs_prefix]))
        warehouse = f"BigQuery, {settings.gcp_project}.{settings.warehouse_schema}"
    else:
        lake, warehouse = str(settings.lake_dir), f"{settings.duckdb_path}, schema {settings.warehouse_schema}"
    places = {"staging": settings.work_url or settings.work_dir, "lake": lake, "warehouse": warehouse}
    if settings.postgres_url:
        places["postgres"] = f"TAXI_POSTGRES_URL, schema {settings.warehouse_schema}"
    out.print(*("", *(f"{name + ':':<11}{place}" for name, place in places.items())), sep="\n")


_COLORS = {"landed": "green", "unchanged": "cyan", "not_published": "yellow", "failed": "red"}


def _counts(rows: list[LedgerRow]) -> dict[str, list[float]]:
    """Return the columns of numbers by name, without those that have none."""
    fields = {"source": "source_rows", "cleaned": "cleaned_rows", "dropped": "dropped_rows"}
    fields |= {"rejected": "rejected_rows", "object": "object_rows", "table": "table_rows"}
    if any(row.postgres_rows is not None for row in rows):
        fields |= {"postgres": "postgres_rows", "left out": "postgres_dropped_rows"}
    if any(row.seconds for row in rows):
        fields["seconds"] = "seconds"
    return {name: [getattr(row, field) or 0 for row in rows] for name, field in fields.items()}


def _cell(value: float) -> str:
    return f"{value:.1f}" if isinstance(value, float) else f"{value:,}"


def _print_errors(rows: list[LedgerRow]) -> None:
    """Print each error once: a store that does not answer concerns every month."""
    printed = {""}
    for row in rows:
        if row.error not in printed:
            printed.add(row.error)
            month = f"{row.dataset} {row.month}"
            out.print()
            if not row.error.startswith(month):
                out.print(month, style="bold", end="")
                out.print(f" {row.status}: ", end="")
            out.print(row.error)
