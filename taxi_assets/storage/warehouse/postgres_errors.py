"""PostgreSQL's errors as `TransientError` or `PermanentError`, with what to do about them.

Errors are sorted by SQLSTATE (PostgreSQL manual, appendix A), and no message contains a password. A file or table that
does not fit the contract is refused where it is found, not here.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from taxi_assets.errors import PermanentError, TaxiError, TransientError

_SETTING = "TAXI_POSTGRES_URL"
"""The variable that remedies name by default; Dagster's storage has DAGSTER_POSTGRES_URL."""
_AGAIN = "nothing was changed; run it again"
_RIGHTS = (
    "as the database's owner: GRANT CREATE ON DATABASE ... TO ..., or make the user own the schema and its tables; for "
    "Dagster's storage: GRANT CREATE ON SCHEMA public TO ..."
)
_CLEAN = "clean the month again"

_REFUSED: dict[str, tuple[str, str]] = {
    "password authentication failed": ("the server refused the user or password", f"correct {_SETTING}"),
    "no password supplied": ("the server requires a password, and none was given", f"add it to {_SETTING}"),
    "no pg_hba.conf entry": (
        "the server does not accept this user from this machine, or not without TLS",
        f"add ?sslmode=require to {_SETTING}, or have the server's pg_hba.conf changed",
    ),
    '" does not exist': ("the server has no such database or user", f"create it (createdb), or correct {_SETTING}"),
    "permission denied for database": (
        "the user may not connect to the database",
        "as the database's owner: GRANT CONNECT ON DATABASE ... TO ...",
    ),
    "certificate": ("the server's certificate was not accepted", f"correct sslmode and sslrootcert in {_SETTING}"),
    "invalid ": ("the connection's options are wrong", f"correct {_SETTING}"),
}
"""Why a server refuses a connection. Before a session exists libpq gives no SQLSTATE, only these English words; the
errors of a server set to another language count as transient, and its text is shown."""
_NOT_NOW = ("too many connections", "remaining connection slots", "starting up", "shutting down", "in recovery mode")

_PERMANENT: dict[str, tuple[str, str]] = {
    "53100": ("the server's disk is full", "free or add disk space on the server, then run it again"),
    "25006": ("the server is read-only", f"give {_SETTING} the primary, not a replica"),
    "42501": (
        "the user lacks a privilege",
        _RIGHTS,
    ),
    "22": ("a value does not fit the table", _CLEAN),
    "23": ("a row does not fit the table", _CLEAN),
    "42": ("the table is not as this project makes it", "rename or drop it, then load its months again"),
}
_TRANSIENT: dict[str, str] = {
    "55P03": "another transaction held a lock for too long",
    "08": "the connection to the server broke",
    "40": "another transaction was in the way",
    "53": "the server has no memory or connections to spare",
    "57": "the server canceled the statement or is restarting",
}


def parse_url(url: str, setting: str = _SETTING) -> dict[str, str]:
    """Return a connection URL's parts by libpq's names (`host`, `port`, `user`, `password`, `dbname`, ...).

    Raises:
        PermanentError: It cannot be read; the message names the variable that holds it, and does not contain it.
    """
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.Error:
        parts = {}
    # a password with a bare @ or / ends up in the parts that messages show
    readable = url.startswith(("postgresql://", "postgres://")) and parts.get("port", "0").replace(",", "").isdigit()
    if not parts or not readable or "@" in server_address(parts):
        raise PermanentError(
            "the Postgres address cannot be read",
            location=setting,
            remedy="write postgresql://user:password@host:5432/database; in it %40 for @, %2F for /, %25 for %",
        )
    return parts


def server_address(parts: dict[str, str]) -> str:
    """Return where a server is, without user and password."""
    return f"{parts.get('host', 'localhost')}:{parts.get('port', '5432')}/{parts.get('dbname', '')}"


def map_connect_error(error: Exception, location: str, setting: str = _SETTING) -> TaxiError:
    """Map psycopg's or psycopg2's error that prevented a connection; `setting` is the variable with the address."""
    text = " ".join(str(error).split())
    if not any(words in text for words in _NOT_NOW):
        for words, (what, remedy) in _REFUSED.items():
            if words in text:
                return PermanentError(f"{what}: {text}", location=location, remedy=remedy.replace(_SETTING, setting))
    return TransientError(
        f"no connection to Postgres: {text}",
        location=location,
        remedy=f"check that the server runs and that {setting} names its host and port",
    )


def map_error(error: Any, location: str, setting: str = _SETTING) -> TaxiError:
    """Map psycopg's or psycopg2's error within a session; its transaction was rolled back in every case."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    text = " ".join((error.diag.message_primary or str(error)).split())
    if state is None:
        return TransientError(f"the connection to the server broke: {text}", location=location, remedy=_AGAIN)
    for kind in (state, state[:2]):
        if kind in _PERMANENT:
            what, remedy = _PERMANENT[kind]
            return PermanentError(
                f"{what}: {text} ({state})", location=location, remedy=remedy.replace(_SETTING, setting)
            )
        if kind in _TRANSIENT:
            return TransientError(f"{_TRANSIENT[kind]}: {text} ({state})", location=location, remedy=_AGAIN)
    return PermanentError(f"the server refused: {text} ({state})", location=location, remedy="see the server's log")
