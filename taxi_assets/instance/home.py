"""Dagster's home: its `dagster.yaml`, and how commands create, check and open the history that is kept there.

Here belongs what must hold before Dagster itself starts.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_assets.errors import TaxiError, TransientError
from taxi_assets.instance.locks import wait_for_locks
from taxi_assets.instance.sqlite import check_history, kept_open
from taxi_assets.settings import SettingError, Settings, dagster_home, dagster_postgres_url
from taxi_assets.storage.files import locked

if TYPE_CHECKING:
    import dagster as dg

_INSTANCE_FILES = Path(__file__).parent
"""Folder of the packaged `dagster.yaml` and of `postgres.yaml`, the part that Postgres adds."""
_LOCK = ".lock"
"""File in the home that keeps other processes from creating or upgrading the history meanwhile."""
_REMOVED_CLASS = "SqliteOrPostgres"
"""Named by the `dagster.yaml` that earlier releases wrote; the class is gone, and Dagster would not start."""


def use_dagster_home(settings: Settings) -> Path:
    """Create Dagster's home with a `dagster.yaml` for the storage that DAGSTER_POSTGRES_URL asks for; return it.

    A `dagster.yaml` that someone else wrote to the home that DAGSTER_HOME names stays.

    Raises:
        SettingError: The home cannot be used, or its own `dagster.yaml` names another storage.
    """
    home = dagster_home(settings)
    if not dagster_postgres_url() and {"?", "%"} & set(str(home)):
        raise SettingError(
            "Dagster cannot keep its history in a folder with ? or % in its name",
            location=str(home),
            remedy="set TAXI_DATA_DIR, or DAGSTER_HOME, to another folder",
        )
    home.mkdir(parents=True, exist_ok=True)
    used, variants = home / "dagster.yaml", _instance_configs()
    wanted = variants[bool(dagster_postgres_url())]
    text = used.read_text("utf-8") if used.exists() else ""
    ours = not text or home == settings.dagster_home or text in variants or _REMOVED_CLASS in text
    if ours and text != wanted:
        used.write_text(wanted, "utf-8")
    elif not ours and _names_postgres(text) != _names_postgres(wanted):
        raise SettingError(
            "dagster.yaml and DAGSTER_POSTGRES_URL disagree about Dagster's storage",
            location=str(used),
            remedy="remove the file, and taxi-assets writes one that fits; or change its `storage:` or the variable",
        )
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def _instance_configs() -> tuple[str, str]:
    """Return `dagster.yaml` for SQLite and for Postgres, from the working folder or else from the package."""
    local, packaged = Path.cwd() / "dagster.yaml", _INSTANCE_FILES / "dagster.yaml"
    text = (local if local.is_file() else packaged).read_text("utf-8")
    postgres = "" if _names_postgres(text) else (_INSTANCE_FILES / "postgres.yaml").read_text("utf-8")
    return text, text + postgres


def _names_postgres(text: str) -> bool:
    import yaml

    return "postgres" in str((yaml.safe_load(text) or {}).get("storage", ""))


@contextlib.contextmanager
def dagster_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open Dagster's history, in its home, for as long as the context lasts.

    Raises:
        SettingError: DAGSTER_POSTGRES_URL cannot be used.
        PermanentError: The database refuses Dagster.
        TransientError: The history cannot be read or written: the disk is full, the database is down, ...
    """
    url = dagster_postgres_url()
    try:
        home = use_dagster_home(settings)
        if url:
            from taxi_assets.instance.postgres import check_server

            os.environ["DAGSTER_POSTGRES_URL"] = url = check_server(url)
        import dagster as dg

        wait_for_locks()
        check_history(home)
        with locked(home / _LOCK):
            instance = dg.DagsterInstance.get()
        if not gc.isenabled():  # by `taxi_assets.cli.main`, until start-up is over
            gc.freeze()
            gc.enable()
        with instance, _restored_output(), kept_open(instance):
            yield instance
    except TaxiError:
        raise
    except Exception as error:
        if refusal := _refusal(error, url, settings):
            raise refusal from error
        raise


@contextlib.contextmanager
def _restored_output() -> Iterator[None]:
    """Point standard output and error back to where they were, which Dagster's log capture does not on a full disk."""
    kept = {number: os.dup(number) for number in (1, 2)}
    try:
        yield
    finally:
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)


def _refusal(error: Exception, url: str, settings: Settings) -> TaxiError | None:
    """Return what the machine or the database said that caused an error; None if it was neither."""
    from sqlalchemy.exc import DBAPIError

    cause: BaseException | None = error
    while cause and not isinstance(cause, DBAPIError | OSError):
        cause = cause.__cause__
    if cause is None:
        return None
    if url and isinstance(cause, DBAPIError):
        from taxi_assets.instance.postgres import storage_error

        return storage_error(cause.orig, url)
    reason = str(cause.orig).splitlines()[0] if isinstance(cause, DBAPIError) else str(cause)
    remedy = "check that the disk has room and that this user may read and write there"
    if "database is locked" in reason:
        remedy = "close the program that holds it, such as a backup or a database browser, or wait for it"
    return TransientError(
        f"cannot read or write Dagster's history: {reason}",
        location="DAGSTER_POSTGRES_URL" if url else str(dagster_home(settings)),
        remedy=f"{remedy}, then run it again; what has landed stays",
    )


def migrate(settings: Settings) -> Path:
    """Create Dagster's storage, or upgrade it to the installed release of Dagster; return Dagster's home.

    Raises:
        TaxiError: The storage cannot be used; see `dagster_instance`.
    """
    with dagster_instance(settings) as instance, locked(dagster_home(settings) / _LOCK):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # progress bars
            instance.upgrade()
        if dagster_postgres_url():
            from taxi_assets.instance.postgres import create_pools

            create_pools(instance)
    return dagster_home(settings)
