"""Dagster's storage in Postgres: opened with errors that a person understands, and with pools that work.

dagster 1.13 enters a pool's default limit with INSERT and, where another run was quicker, with an UPDATE in the same
transaction, which Postgres has given up by then: the run fails (dagster issue 33552). So does every run after
`default_limit` was changed. To be deleted when dagster-postgres does it in one statement itself.

It also gives up an event, and with it the step, when the server goes down while the event is written (it only tries to
connect again, for 6 s). Most of what a run says to its storage are events: here they wait for the server.

Connections: code location, daemon and each run hold one only for as long as a query takes, up to one a thread. The
webserver keeps one for each of its three storages, and may take `--db-pool-max-overflow` more for each. Measured with
eight runs at once: see docs/postgres.md.
"""

from __future__ import annotations

from typing import Any

import psycopg2
import sqlalchemy.exc as sql_errors
import tenacity
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import ConcurrencyLimitsTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.dialects.postgresql import insert

from taxi_assets.errors import PermanentError
from taxi_assets.settings import SettingError
from taxi_assets.storage.warehouse.postgres_errors import map_connect_error, map_error, parse_url, server_address

SETTING = "DAGSTER_POSTGRES_URL"

_RESTART_S = 120.0
"""Seconds that an event waits for the server: a crash of a large database is replayed in less."""


def _is_gone(error: BaseException) -> bool:
    """Return whether an error means that the connection broke or that there was none."""
    lost = isinstance(error, sql_errors.DBAPIError) and error.connection_invalidated
    return lost or isinstance(error, DagsterPostgresException)


class PostgresEventLog(PostgresEventLogStorage):
    """Dagster's own, but for two methods."""

    @tenacity.retry(
        retry=tenacity.retry_if_exception(_is_gone),
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=5),
        stop=tenacity.stop_after_delay(_RESTART_S),
        reraise=True,
    )
    def store_event(self, event: EventLogEntry) -> None:
        """Store an event, at least once: if the connection breaks in the middle, it may be there twice."""
        super().store_event(event)

    def initialize_concurrency_limit_to_default(self, concurrency_key: str) -> bool:
        """Give a pool the default limit, unless a person gave it another; whoever else does so at the same time."""
        limit = self._instance.global_op_concurrency_default_limit
        if limit is None:
            return super().initialize_concurrency_limit_to_default(concurrency_key)
        wanted = {"limit": limit, "using_default_limit": True}
        columns = ConcurrencyLimitsTable.c
        with self.index_transaction() as connection:
            entered = connection.execute(
                insert(ConcurrencyLimitsTable)
                .values(concurrency_key=concurrency_key, **wanted)
                .on_conflict_do_update(
                    index_elements=[columns.concurrency_key], set_=wanted, where=columns.using_default_limit
                )
            )
            if entered.rowcount:
                self._allocate_concurrency_slots(connection, concurrency_key, limit)
        return True


class PostgresStorage(DagsterPostgresStorage):
    """Dagster's own, with this event log."""

    def __init__(self, url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(url, inst_data=inst_data)
        self._event_log_storage = PostgresEventLog(url)


def open_storage(url: str, inst_data: ConfigurableClassData | None) -> PostgresStorage:
    """Open the storage and, in an empty database, make its tables. Dagster tries a busy server for some seconds.

    Raises:
        SettingError: The URL cannot be read.
        PermanentError: The server refuses: password, database, rights, full disk, ...
        TransientError: The server does not answer, or is busy.
    """
    scheme, _, rest = url.partition("://")
    plain = f"postgresql://{rest}" if scheme in ("postgres", "postgresql+psycopg2") else url
    try:
        parts = parse_url(plain, SETTING)
    except PermanentError as error:
        raise SettingError(error.message, location=error.location, remedy=error.remedy) from error
    location = f"Dagster's storage, Postgres at {server_address(parts)}"
    try:
        psycopg2.connect(**{"connect_timeout": "10", **parts}).close()
    except psycopg2.Error as error:
        refusal = map_connect_error(error, location, SETTING)
        if isinstance(refusal, PermanentError):  # Dagster would try it again and again
            raise refusal from None
    try:
        # SQLAlchemy 2.0 reads `postgresql://` as psycopg2, which dagster-postgres needs, and 2.1 as psycopg 3
        return PostgresStorage(plain.replace("postgresql://", "postgresql+psycopg2://", 1), inst_data)
    except (sql_errors.DBAPIError, DagsterPostgresException) as error:
        cause: Any = error if isinstance(error, sql_errors.DBAPIError) else error.__cause__
        said = getattr(cause, "orig", None) or cause or error
        sort = map_error if getattr(said, "pgcode", None) else map_connect_error
        raise sort(said, location, SETTING) from None
