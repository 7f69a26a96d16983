"""What the torture tests share: a source of two months, and the settings of a cloud that gets them."""

from __future__ import annotations

import pytest

from taxi_assets.demo.sample import write_month
from taxi_assets.months import parse_months
from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.servers.cloud import environment
from taxi_assets_tests.servers.credentials import TokenEndpoint
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.servers.http_source import http_source
from taxi_assets_tests.torture.moments import why_not


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings of a source of two months; they are worked on one after the other, always in the same order."""
    if reason := why_not():
        pytest.skip(reason)
    site = tmp_path_factory.mktemp("site")
    for month in parse_months("2021-01..2021-02"):
        write_month(site / f"yellow_{month}.csv.gz", "yellow", month, 300, damaged=2)
    address = f"file://{site}/{{dataset}}_{{year}}-{{month:02}}.csv.gz"
    return {"TAXI_CSV_URL": address, "TAXI_SOURCE": "csv", "TAXI_THREADS": "1"}


@pytest.fixture
def cloud(
    source: dict[str, str],
    gcs: GcsServer,
    bigquery: BigQueryServer,
    token_endpoint: TokenEndpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, str]:
    """The settings of the `gcp` profile, also in this process: Google's libraries look for some of them themselves."""
    with http_source() as unused:
        settings = environment(gcs, bigquery, token_endpoint, unused) | source | {"HTTPS_PROXY": "http://127.0.0.1:9"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings
