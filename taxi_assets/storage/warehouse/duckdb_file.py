"""Opening the DuckDB file: with how much of the machine, in which format, how long to wait, and what its errors mean.

DuckDB lets either one process write or several read. Whoever finds the file in use waits, for a bounded time. No
connection loads extensions; a sealed one reads nothing but the database.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import tenacity

from taxi_assets import progress
from taxi_assets.errors import PermanentError, TaxiError, TransientError
from taxi_assets.storage.files import locked
from taxi_assets.storage.limits import ResourceLimits

STORAGE_VERSION = "v1.5.0"
"""Format of new files. DuckDB 1.5 (Python 3.10) and 2.0 (Python 3.11 and later) both read and write it."""

RELOAD = "move it away and run the months again with --from-lake"

_SEALED = ("enable_external_access = false", "python_enable_replacements = false", "lock_configuration = true")
"""No file, network or Python variable can be reached, whatever the SQL says; DuckDB itself may still spill."""

_OF_THE_SQL = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.DataError)
"""Errors that quote the query, and say nothing about the file: a column may be named `checksum`."""
_DAMAGED = (
    *("Corrupt", "checksum", "not a valid DuckDB database", "Could not read enough bytes"),
    "invalidated because of a previous fatal error",
)


@contextlib.contextmanager
def connect(
    path: Path, limits: ResourceLimits, wait_seconds: float, *, read_only: bool = False, sealed: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the file; create it if it does not exist. A sealed connection reaches nothing outside the database.

    Raises:
        PermanentError: The file is damaged, or written by a later DuckDB.
        TransientError: The file is in use for more than `wait_seconds`, or the operating system refused.
    """
    if not path.exists():
        _create(path)
    config: dict[str, Any] = {
        "memory_limit": f"{limits.query_memory}MiB",
        "threads": str(limits.threads),
        "temp_directory": str(path.with_suffix(".tmp")),
        "autoinstall_known_extensions": "false",
        "preserve_insertion_order": "true",
    }
    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_in_use),
        wait=tenacity.wait_random(0.05, 0.3),
        stop=tenacity.stop_after_delay(wait_seconds),
        before_sleep=_notifier(f"another process to be done with {path}"),
        reraise=True,
    )
    try:
        with contextlib.closing(waiting(duckdb.connect, str(path), read_only=read_only, config=config)) as connection:
            for setting in _SEALED if sealed else ():
                connection.execute(f"SET {setting}")
            yield connection
    except duckdb.Error as error:
        if meaning := map_error(error, path):
            raise meaning from error
        raise


def _notifier(what: str) -> Callable[[tenacity.RetryCallState], None]:
    """Return what notifies, once, of a long wait for a file in use; to open a large one may take as long."""
    notified = False

    def notify(state: tenacity.RetryCallState) -> None:
        nonlocal notified
        if not notified and (state.seconds_since_start or 0) > progress.WAIT_SECONDS:
            notified = True
            progress.notify_of_wait(what)

    return notify


def map_error(error: duckdb.Error, path: Path, what: str = "") -> TaxiError | None:
    """Return what an error of DuckDB's, met while doing `what`, says about the file; None if it says nothing."""
    text, location = str(error).splitlines()[0], ", ".join(filter(None, [what, str(path)]))
    if isinstance(error, _OF_THE_SQL):
        return None
    if _is_in_use(error):
        return TransientError(
            f"the warehouse is in use by another process: {text}",
            location=location,
            remedy="close the program that has the file open, or wait for it",
        )
    if "can only read versions" in text:
        return PermanentError(
            f"the warehouse file was written by a later DuckDB than {duckdb.__version__}: {text}",
            location=location,
            remedy=f"use the Python version that wrote it, or {RELOAD}",
        )
    broken = duckdb.InternalException | duckdb.FatalException | duckdb.SerializationException
    if isinstance(error, broken) or any(words in str(error) for words in _DAMAGED):
        return PermanentError(f"the warehouse file is damaged: {text}", location=location, remedy=RELOAD)
    if isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException):
        return TransientError(
            f"the warehouse cannot be used: {text}",
            location=location,
            remedy="check that the disk has room, that this user may read and write there, and that the process has "
            "memory (TAXI_MEMORY_LIMIT); then try again",
        )
    return None


def _create(path: Path) -> None:
    """Create the file whole or not at all; DuckDB never opens one that it could not finish, as on a full disk."""
    draft = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock")):
        if path.exists():
            return
        draft.unlink(missing_ok=True)
        try:
            duckdb.connect(str(draft), config={"storage_compatibility_version": STORAGE_VERSION}).close()
        except duckdb.Error as error:
            raise map_error(error, path) or error from error
        draft.replace(path)


def _is_in_use(error: BaseException) -> bool:
    return isinstance(error, duckdb.IOException) and "Could not set lock" in str(error)
