"""Dagster's SQLite files while another process has them locked: a backup, a database browser, many runs that start.

Dagster 1.13 lets its event log wait 30 s, but its storages of runs and of schedules the 5 s of Python's driver; then a
run ends with "database is locked". Dagster has no setting for it; SQLAlchemy's `connect` event does it for all of a
process. Webserver and daemon load no code of ours and keep the 5 s: a request fails, a tick is repeated. Delete this
module when Dagster waits as long for all of them.
"""

from __future__ import annotations

import sqlite3
from typing import Any

WAIT_SECONDS = 60
"""As long as for a DuckDB file that is in use."""


def wait_for_locks() -> None:
    """Let each SQLite connection that this process opens by SQLAlchemy wait for a lock; repeated calls do no harm."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    if not event.contains(Engine, "connect", _set_timeout):
        event.listen(Engine, "connect", _set_timeout)


def _set_timeout(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"PRAGMA busy_timeout = {WAIT_SECONDS * 1000}")
