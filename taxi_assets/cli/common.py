"""What several commands need: settings from .env, Dagster's home, the terminal."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.instance.environment import load_env_file
from taxi_assets.instance.home import dagster_instance
from taxi_assets.months import Month, format_months
from taxi_assets.settings import SettingError, Settings, dagster_postgres_url, setting_variables

if TYPE_CHECKING:
    import dagster as dg

    from taxi_assets.ledger_row import LedgerRow

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


def load_settings(*, asks_source: bool = False) -> Settings:
    """Read the settings from the environment and, for what it leaves open, from `.env` in this folder.

    Variables that look like a misspelled setting are named on standard error. In the demo's folder, the settings are
    the demo's own: otherwise real months would land among made-up ones.

    Args:
        asks_source: Whether the command asks the source; then the demo's has to be there.
    """
    from taxi_assets.demo.place import data_folder, is_demo

    load_environment()
    folder = data_folder()
    note_missing_folder(folder)
    return demo_settings(folder, asks_source=asks_source) if is_demo(folder) else Settings.from_environment()


def demo_settings(folder: Path, *, asks_source: bool) -> Settings:
    """Return the demo's settings, which are then the only ones of this process; `folder` is the demo's."""
    from taxi_assets.demo.place import enter, source_folder

    if not asks_source:
        return enter(folder, source_folder(folder).as_uri())
    from taxi_assets.demo.server import start_source

    err.print(f"taxi-assets: {folder} is the demo's folder: its made-up source is used, and no other setting")
    return enter(folder, start_source(source_folder(folder)))


def load_environment() -> None:
    """Read `.env` in this folder, for what the environment leaves open; name variables that look misspelled."""
    load_env_file()
    for misspelling in misspelled():
        err.print(f"taxi-assets: {misspelling}")


def misspelled() -> Iterator[str]:
    """Yield what to say of each variable that looks like a misspelled setting."""
    known = setting_variables()
    for name in os.environ:
        near = name not in known and name.upper().startswith("TAXI_") and get_close_matches(name.upper(), known, 1, 0.8)
        if near:
            yield f"{name} is not a setting; did you mean {near[0]}? correct its name or remove it"


def note_missing_folder(folder: Path) -> None:
    """Say so if TAXI_DATA_DIR names a folder that does not exist: it may be misspelled, or its disk not mounted."""
    if os.environ.get("TAXI_DATA_DIR", "").strip() and not folder.exists():
        err.print(f"taxi-assets: TAXI_DATA_DIR names a folder that does not exist yet: {folder}")


def hint_at_demo(settings: Settings, command: str) -> None:
    """Say how a command reads the demo's months, where they are the only ones."""
    from taxi_assets.demo.place import demo_folder

    folder = demo_folder()
    if settings.profile == "local" and not settings.duckdb_path.exists() and (folder / "warehouse.duckdb").exists():
        shown = os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else folder
        err.print(f"taxi-assets: for the demo's months: TAXI_DATA_DIR={shown} taxi-assets {command}")


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
    """Return a dataset; capitals do not matter.

    Raises:
        SettingError: There is none of that name.
    """
    if name.lower() not in DATASETS:
        raise SettingError(f"{name!r} is not a dataset", remedy=f"choose one of {', '.join(DATASETS)}")
    return DATASETS[name.lower()]


def print_ledger(rows: list[LedgerRow]) -> None:
    """Print rows as a table with their totals, and what went wrong below it."""
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for name in ("dataset", "month", "status"):
        table.add_column(name, no_wrap=True)
    columns = _counts(rows)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row, cells in zip(rows, zip(*columns.values(), strict=True), strict=True):
        status = Text(row.status.replace("_", " "), _COLORS[row.status])
        table.add_row(row.dataset, row.month, status, *map(_cell, cells))
    if len(rows) > 1:
        totals = (_cell(_total(column)) for column in columns.values())
        table.add_row("total", f"{len(rows)} months", "", *totals, style="bold")
    _console(width=_WIDE).print(table)  # on a narrow terminal lines break; a count that is cut says nothing
    for like in _alike((row, row.notes or "") for row in rows if not row.error):
        out.print(f"{_named(like)}: {like[0].notes}")
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


_COLORS = {
    "landed": "green",
    "unchanged": "cyan",
    "not_loaded": "yellow",
    "not_published": "yellow",
    "failed": "red",
}


def _counts(rows: list[LedgerRow]) -> dict[str, list[float | None]]:
    """Return the columns of numbers by name, without those that have none; None is what is not known here."""
    fields = {"source": "source_rows", "cleaned": "cleaned_rows", "dropped": "dropped_rows"}
    fields |= {"rejected": "rejected_rows", "object": "object_rows", "table": "table_rows"}
    if any(row.postgres_rows is not None for row in rows):
        fields |= {"postgres": "postgres_rows", "left out": "postgres_dropped_rows"}
    if any(row.seconds for row in rows):
        fields["seconds"] = "seconds"
    return {name: [_count(row, field) for row in rows] for name, field in fields.items()}


def _count(row: LedgerRow, field: str) -> float | None:
    known = {"source_rows": row.is_staged, "dropped_rows": row.is_staged, "rejected_rows": row.is_staged}
    known |= {"cleaned_rows": row.is_staged or bool(row.object_uri)}
    if row.seconds is not None:  # a run that did not get to a store has not changed what is there
        known |= {"object_rows": bool(row.object_uri), "table_rows": bool(row.table)}
        known |= dict.fromkeys(
            ("postgres_rows", "postgres_dropped_rows"), bool(row.postgres_rows or row.postgres_dropped_rows)
        )
    return (getattr(row, field) or 0) if known.get(field, True) else None


def _total(column: list[float | None]) -> float | None:
    numbers = [number for number in column if number is not None]
    return sum(numbers) if numbers else None


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else f"{value:,}"


def _named(rows: Sequence[LedgerRow]) -> str:
    return f"{rows[0].dataset} {format_months(Month.parse(row.month) for row in rows)}"


def _alike(texts: Iterable[tuple[LedgerRow, str]]) -> list[list[LedgerRow]]:
    """Return the rows of a dataset of which the same is said, but for the month; rows without a text are left out."""
    found: dict[tuple[str, str], list[LedgerRow]] = {}
    for row, text in texts:
        if text:
            found.setdefault((row.dataset, text.replace(row.month, "")), []).append(row)
    return list(found.values())


def _print_errors(rows: list[LedgerRow]) -> None:
    """Print each error once: a store that does not answer concerns every month, and so may a table without months."""
    printed: set[str] = set()
    for like in _alike((row, row.error) for row in rows):
        row, *others = like
        if row.error not in printed:
            printed.add(row.error)
            month = f"{row.dataset} {row.month}"
            out.print()
            if not row.error.startswith(month):
                out.print(month, style="bold", end="")
                out.print(f" {row.status.replace('_', ' ')}: ", end="")
            waits = row.status == "not_loaded"
            before = "" if waits else "taxi-assets run "  # an error is of its month, what to do is of all
            out.print(row.error.replace(f"{before}{month}", f"{before}{_named(like)}"))
            if others and not waits:
                out.print(f"the same for: {_named(others)}")
