"""PostgreSQL as fixtures: ``pytest_plugins = ["taxi_assets_tests.servers.fixtures_postgres"]``.

One server for the session, started when a test first asks for it; for each test a database of its own. Where PostgreSQL
is not installed, the tests that ask for it are skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taxi_assets_tests.servers.postgres import NOT_INSTALLED, find_binaries, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taxi_assets_tests.servers.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres_session() -> Iterator[PostgresServer]:
    """The session's server."""
    if not find_binaries():
        pytest.skip(NOT_INSTALLED)
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres(postgres_session: PostgresServer) -> Iterator[PostgresServer]:
    """A running server, whatever the test before did to it."""
    postgres_session.start()
    yield postgres_session
    postgres_session.start()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """The URL of an empty database."""
    return postgres.new_database()
