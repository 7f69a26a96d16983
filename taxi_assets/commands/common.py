"""What several commands need: settings from .env, Dagster's home, the terminal."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.settings import SettingError, Settings

if TYPE_CHECKING:
    from taxi_assets.ledger import LedgerRow

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Both obey NO_COLOR, and write plainly where no terminal is attached."""

_WIDE = 200
"""Columns of a table that goes to a file or a pipe, where nothing needs to be cut."""


def load_settings() -> Settings:
    """Read the settings from the environment and, for what it leaves open, from `.env` in this folder."""
    from dotenv import load_dotenv

    load_dotenv(Path.cwd() / ".env")
    return Settings.from_environment()


def dataset_named(name: str) -> Dataset:
    """Return a dataset.

    Raises:
        SettingError: There is none of that name.
    """
    if name not in DATASETS:
        raise SettingError(f"{name!r} is not a dataset", fix=f"choose one of {', '.join(DATASETS)}")
    return DATASETS[name]


def use_dagster_home(settings: Settings) -> Path:
    """Make sure that Dagster has a home that survives, with this project's `dagster.yaml`; return it."""
    given = os.environ.get("DAGSTER_HOME")
    if given:
        return Path(given)
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    ours = Path.cwd() / "dagster.yaml"
    if ours.is_file():
        shutil.copyfile(ours, home / "dagster.yaml")
    else:
        (home / "dagster.yaml").touch()
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def print_table(table: Table) -> None:
    """Print a table to the width of the terminal, or uncut where there is none."""
    out.print(table, width=None if out.is_terminal else _WIDE)


def print_ledger(rows: list[LedgerRow]) -> None:
    """Print rows as a table, and what went wrong below it."""
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for name in ("dataset", "month", "status"):
        table.add_column(name, no_wrap=True)
    for name in ("source", "cleaned", "dropped", "rejected", "object", "table", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    colours = {"landed": "green", "unchanged": "cyan", "not_published": "yellow", "failed": "red"}
    for row in rows:
        counts = (
            row.source_rows,
            row.cleaned_rows,
            row.dropped_rows,
            row.rejected_rows,
            row.object_rows,
            row.table_rows,
        )
        status: Any = f"[{colours[row.status]}]{row.status}[/]"
        table.add_row(row.dataset, row.month, status, *(f"{n:,}" for n in counts), f"{row.seconds:.1f}")
    print_table(table)
    for row in rows:
        if row.error:
            out.print(f"\n[bold]{row.dataset} {row.month}[/] {row.status}: ", end="")
            out.print(row.error, markup=False)
