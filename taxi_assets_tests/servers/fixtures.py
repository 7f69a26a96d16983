"""The servers as session fixtures: ``pytest_plugins = ["taxi_assets_tests.servers.fixtures"]``.

Each starts when a test first asks for it and is stopped at the end of the session. Tests share them: take a
bucket and a dataset of your own name, and leave no permission denied (`gcs` and `bigquery` see to that).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from taxi_assets_tests.servers import bigquery as bigquery_module
from taxi_assets_tests.servers.credentials import TokenEndpoint
from taxi_assets_tests.servers.gcs import gcs_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taxi_assets_tests.servers.bigquery import BigQueryServer
    from taxi_assets_tests.servers.gcs import GcsServer


@pytest.fixture(scope="session")
def token_session() -> Iterator[TokenEndpoint]:
    """Google's token endpoint for the session."""
    endpoint = TokenEndpoint()
    yield endpoint
    endpoint.stop()


@pytest.fixture(scope="session")
def gcs_session(tmp_path_factory: pytest.TempPathFactory, token_session: TokenEndpoint) -> Iterator[GcsServer]:
    """Cloud Storage for the session."""
    with gcs_server(tmp_path_factory.mktemp("cloud") / "buckets", token_session) as server:
        yield server


@pytest.fixture(scope="session")
def bigquery_session(gcs_session: GcsServer, token_session: TokenEndpoint) -> Iterator[BigQueryServer]:
    """BigQuery for the session; ``TAXI_BQEMULATOR_ENV`` names another folder for the emulator's environment."""
    environment = Path(os.environ.get("TAXI_BQEMULATOR_ENV") or bigquery_module.DEFAULT_ENVIRONMENT)
    with bigquery_module.bigquery_server(gcs_session, environment=environment, tokens=token_session) as server:
        yield server


@pytest.fixture
def token_endpoint(token_session: TokenEndpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenEndpoint]:
    """Google's token endpoint, and the throw-away service account it knows.

    With service-account credentials google-auth (2.62) also asks iamcredentials.googleapis.com, in the background and
    without a switch to turn it off, where the account may be used. Port 9 keeps that on this machine.
    """
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    yield token_session
    token_session.account_gone = False


@pytest.fixture
def gcs(gcs_session: GcsServer) -> Iterator[GcsServer]:
    """Cloud Storage with every permission, and an empty record of requests."""
    gcs_session.front.reset()
    yield gcs_session
    gcs_session.front.reset()


@pytest.fixture
def bigquery(bigquery_session: BigQueryServer) -> Iterator[BigQueryServer]:
    """BigQuery with every permission, and an empty record of requests."""
    bigquery_session.front.reset()
    yield bigquery_session
    bigquery_session.front.reset()
