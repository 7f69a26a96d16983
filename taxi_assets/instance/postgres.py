"""Dagster's own Postgres storage (dagster-postgres), as the command line opens it.

Two things belong here: errors that a person understands, and the pools that `create_pools` creates ahead of the runs.

dagster 1.13 creates a pool when a step first asks for it: an INSERT and, if another run was faster, an UPDATE in the
same transaction, which Postgres has aborted by then. One of two runs that start together fails
(https://github.com/dagster-io/dagster/issues/33552), and every run after `default_limit` changes. Delete `create_pools`
when dagster-postgres writes a pool in one statement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg2

from taxi_assets.errors import PermanentError, TaxiError
from taxi_assets.settings import SettingError
from taxi_assets.storage.warehouse.postgres_errors import map_connect_error, map_error, parse_url, server_address

if TYPE_CHECKING:
    import dagster as dg

SETTING = "DAGSTER_POSTGRES_URL"
POOLS = ("source", "lake", "warehouse", "postgres")
"""Every pool that an asset names in `pool=`."""
_CONNECT_TIMEOUT_SECONDS = 10


def check_server(url: str) -> str:
    """Connect once, because Dagster retries even a wrong password for seconds and then says only "too many retries".

    Returns:
        The URL with a scheme that SQLAlchemy knows.

    Raises:
        SettingError: The URL cannot be parsed.
        PermanentError: The server refuses the connection: password, database, permissions, ...
    """
    scheme, _, rest = url.partition("://")
    plain = f"postgresql://{rest}" if scheme in ("postgres", "postgresql+psycopg2") else url
    try:
        parts = parse_url(plain, SETTING)
    except PermanentError as error:
        raise SettingError(error.message, location=error.location, remedy=error.remedy) from error
    try:
        psycopg2.connect(**{"connect_timeout": str(_CONNECT_TIMEOUT_SECONDS), **parts}).close()
    except psycopg2.Error as error:
        refusal = map_connect_error(error, _location(plain), SETTING)
        if isinstance(refusal, PermanentError):  # Dagster itself waits for a server that is starting
            raise refusal from None
    return plain


def storage_error(error: psycopg2.Error, url: str) -> TaxiError:
    """Return what an error of Dagster's database means."""
    mapping = map_error if error.pgcode else map_connect_error
    return mapping(error, _location(url), SETTING)


def create_pools(instance: dg.DagsterInstance) -> None:
    """Create the pools, or give them a changed `default_limit`; limits that a person has set stay."""
    storage = instance.event_log_storage
    limits = {pool.name: pool for pool in storage.get_pool_limits()}
    default = instance.global_op_concurrency_default_limit
    for name in POOLS:
        limit = limits.get(name)
        if limit and (not limit.from_default or limit.limit == default):
            continue
        if limit:
            storage.delete_concurrency_limit(name)
        storage.initialize_concurrency_limit_to_default(name)


def _location(url: str) -> str:
    return f"Dagster's storage, Postgres at {server_address(parse_url(url, SETTING))}"
