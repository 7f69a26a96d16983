"""What the torture tests share: a source of two months."""

from __future__ import annotations

import pytest

from taxi_assets.demo.sample import write_month
from taxi_assets.months import parse_months
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
