"""The gcp profile on this machine: the settings of a service account, a source with sample months, and the servers."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.demo.sample import write_month
from taxi_assets.months import Month
from taxi_assets.settings import Settings
from taxi_assets.storage.factory import build_lake, build_warehouse
from taxi_assets_tests.servers.http_source import HttpSource, http_source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taxi_assets_tests.servers.bigquery import BigQueryServer
    from taxi_assets_tests.servers.credentials import TokenEndpoint
    from taxi_assets_tests.servers.gcs import GcsServer

JANUARY = Month(2021, 1)


def environment(gcs: GcsServer, bigquery: BigQueryServer, tokens: TokenEndpoint, source: HttpSource) -> dict[str, str]:
    """Returns the settings of a gcp profile that is signed in as a service account; its places are not made yet."""
    name = uuid.uuid4().hex[:12]
    return {
        "STORAGE_EMULATOR_HOST": gcs.url,
        "BIGQUERY_EMULATOR_HOST": bigquery.url,
        "TAXI_PROFILE": "gcp",
        "TAXI_GCP_PROJECT": "throw-away",
        "TAXI_GCS_BUCKET": f"b-{name}",
        "TAXI_GCS_PREFIX": "lake",
        "TAXI_WAREHOUSE_SCHEMA": f"d_{name}",
        "TAXI_BQ_LOCATION": "EU",
        "TAXI_GCP_CREDENTIALS": json.dumps(tokens.service_account_info()),
        "TAXI_CSV_URL": f"{source.url}/{{dataset}}_{{year}}-{{month:02}}.csv.gz",
        "TAXI_SOURCE": "csv",
        "TAXI_REJECTED_SHARE_LIMIT": "0.1",
    }


@pytest.fixture
def source(tmp_path: Path) -> Iterator[HttpSource]:
    with http_source() as site:
        for name in DATASETS:
            for month in (JANUARY, JANUARY.plus(1)):
                path = write_month(tmp_path / "month.csv.gz", name, month, 400, damaged=2)
                site.files[f"/{name}_{month}.csv.gz"] = path.read_bytes()
        yield site


@pytest.fixture
def cloud(
    gcs: GcsServer,
    bigquery: BigQueryServer,
    token_endpoint: TokenEndpoint,
    source: HttpSource,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """The gcp profile; nothing is made yet."""
    gcs.front.require_credentials = bigquery.front.require_credentials = True
    for variable, value in environment(gcs, bigquery, token_endpoint, source).items():
        monkeypatch.setenv(variable, value)
    return Settings.from_environment()


@pytest.fixture
def made(cloud: Settings) -> Settings:
    """The same, with a bucket and a dataset."""
    build_lake(cloud).create_bucket("EU")
    build_warehouse(cloud).create_dataset()
    return cloud
