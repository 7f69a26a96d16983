"""What several commands need: settings from .env, Dagster's home, the terminal."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import TaxiError, TransientError
from taxi_assets.settings import SettingError, Settings, dagster_home, dagster_postgres_url, setting_variables

if TYPE_CHECKING:
    import dagster as dg

    from taxi_assets.reconciliation import LedgerRow

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Both obey NO_COLOR, and write plainly where no terminal is attached."""

_STORAGE_ONLY = """\
storage: {custom: {module: taxi_assets.instance.storage, class: SqliteOrPostgres}}
compute_logs: {module: taxi_assets.instance.logs, class: FilesOrBucket}
"""
"""Dagster's settings where the folder has none, as when only the wheel is installed."""

_WIDE = 200
"""Columns of a table that goes to a file or a pipe, where nothing needs to be cut."""


def examples(*lines: str) -> str:
    """Return the examples that a command's help ends with, each the arguments and, after spaces, what they do."""
    return "\n".join(["\b", "examples:", *(f"  taxi-assets {line}" for line in lines)])


def load_settings() -> Settings:
    """Read the settings from the environment and, for what it leaves open, from `.env` in this folder.

    Variables that look like a misspelled setting are named on standard error.
    """
    from dotenv import load_dotenv

    load_dotenv(Path.cwd() / ".env")
    known = setting_variables()
    for name in os.environ:
        near = name not in known and name.upper().startswith("TAXI_") and get_close_matches(name.upper(), known, 1)
        if near:
            err.print(f"taxi-assets: {name} is not a setting; {near[0]} is one", markup=False)
    return Settings.from_environment()


def dataset_named(name: str) -> Dataset:
    """Return a dataset.

    Raises:
        SettingError: There is none of that name.
    """
    if name not in DATASETS:
        raise SettingError(f"{name!r} is not a dataset", remedy=f"choose one of {', '.join(DATASETS)}")
    return DATASETS[name]


def use_dagster_home(settings: Settings) -> Path:
    """Make sure that Dagster has a home that survives, with this project's `dagster.yaml`; return it.

    In a home that DAGSTER_HOME names elsewhere, a `dagster.yaml` that is there already stays.
    """
    home = dagster_home(settings)
    if not dagster_postgres_url() and {"?", "%"} & set(str(home)):
        raise SettingError(
            "Dagster cannot keep its history in a folder with ? or % in its name",
            location=str(home),
            remedy="set TAXI_DATA_DIR, or DAGSTER_HOME, to another folder",
        )
    home.mkdir(parents=True, exist_ok=True)
    ours, used = Path.cwd() / "dagster.yaml", home / "dagster.yaml"
    text = ours.read_text("utf-8") if ours.is_file() else _STORAGE_ONLY
    if not used.exists() or (home == settings.dagster_home and ours.is_file() and used.read_text("utf-8") != text):
        used.write_text(text, "utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@contextlib.contextmanager
def dagster_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open Dagster's history, in its home, for as long as the context lasts.

    Raises:
        TransientError: It cannot be read or written any more: the disk is full, the database is gone, ...
    """
    try:
        use_dagster_home(settings)
        import dagster as dg

        with dg.DagsterInstance.get() as instance:
            yield instance
    except TaxiError:
        raise
    except Exception as error:
        if not (said := _refusal(error)):
            raise
        raise TransientError(
            f"Dagster's history cannot be kept: {said}",
            location="DAGSTER_POSTGRES_URL" if dagster_postgres_url() else str(dagster_home(settings)),
            remedy="see that the disk has room and that this user may read and write there, then run it again; what has "
            "landed stays",
        ) from error


def _refusal(error: BaseException | None) -> str:
    """Return what the machine or the database said that caused an error; nothing if it was neither."""
    from sqlalchemy.exc import DBAPIError

    while error:
        if isinstance(error, DBAPIError):
            return str(error.orig).splitlines()[0]
        if isinstance(error, OSError):
            return str(error)
        error = error.__cause__
    return ""


def migrate(settings: Settings) -> Path:
    """Bring Dagster's storage to the form that the installed Dagster wants, and make it if there is none.

    Returns:
        Dagster's home.

    Raises:
        TaxiError: The database cannot be used; see `taxi_assets.instance.postgres`.
    """
    with dagster_instance(settings) as instance:
        instance.upgrade()
    return dagster_home(settings)


def print_table(table: Table) -> None:
    """Print a table to the width of the terminal, or uncut where there is none."""
    (out if out.is_terminal else _wide()).print(table)


def _wide() -> Console:
    return Console(highlight=False, soft_wrap=True, width=_WIDE)


def print_ledger(rows: list[LedgerRow]) -> None:
    """Print rows as a table, and what went wrong below it."""
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for name in ("dataset", "month", "status"):
        table.add_column(name, no_wrap=True)
    postgres = any(row.postgres_rows is not None for row in rows)
    more = ("postgres", "left out") if postgres else ()
    for name in ("source", "cleaned", "dropped", "rejected", "object", "table", *more, "seconds"):
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
            *((row.postgres_rows or 0, row.postgres_dropped_rows or 0) if postgres else ()),
        )
        status: Any = f"[{colours[row.status]}]{row.status}[/]"
        table.add_row(row.dataset, row.month, status, *(f"{n:,}" for n in counts), f"{row.seconds:.1f}")
    _wide().print(table)  # on a narrow terminal lines break; a count that is cut says nothing
    said = {""}
    for row in rows:
        if row.error not in said:
            said.add(row.error)  # a store that does not answer concerns every month, and is told of once
            month = f"{row.dataset} {row.month}"
            out.print("\n" if row.error.startswith(month) else f"\n[bold]{month}[/] {row.status}: ", end="")
            out.print(row.error, markup=False)
