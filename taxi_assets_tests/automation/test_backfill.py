"""Backfills through the real daemon, by GraphQL as the UI does them."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from taxi_assets.months import Month, months_between
from taxi_assets_tests.automation.daemon import dev
from taxi_assets_tests.automation.world import month_bytes
from taxi_assets_tests.conftest import REAL_DATA
from taxi_assets_tests.servers.http_source import HttpSource

pytestmark = pytest.mark.slow
BACKFILL = "dagster/backfill"
TWO_YEARS = list(months_between(Month(2018, 1), Month(2019, 12)))


def file_of(dataset: str, month: Month) -> bytes:
    """Return a month's file: TLC's own, where there is one."""
    real = Path(REAL_DATA, f"mirror/releases/download/{dataset}/{dataset}_tripdata_{month}.csv.gz")
    return real.read_bytes() if REAL_DATA and real.is_file() else month_bytes(dataset, month, 1000)


def test_a_backfill_is_a_run_per_month_and_a_bad_month_is_all_that_fails_and_is_done_again(
    site: HttpSource, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    bad = "/yellow_2009-02.csv.gz"
    for dataset, months in (
        ("yellow", [*TWO_YEARS, Month(2009, 1), Month(2009, 2), Month(2009, 3)]),
        ("fhvhv", [Month(2019, 2), Month(2019, 3)]),
    ):
        for month in months:
            site.files[f"/{dataset}_{month}.csv.gz"] = file_of(dataset, month)
    good, site.files[bad] = site.files[bad], b"this is not a trip file\n"
    settings = {"TAXI_CSV_URL": f"{site.url}/{{dataset}}_{{year}}-{{month:02}}.csv.gz", "TAXI_SOURCE": "csv"}
    with dev(tmp_path / "here", settings) as here:
        requested = time.time()
        two_years = here.backfill("yellow", [str(month) for month in TWO_YEARS])
        mixed = here.backfill_ranges({"yellow": ("2009-01", "2009-03"), "fhvhv": ("2019-02", "2019-03")})
        beside = here.launch("yellow", "2018-06")  # as the publication sensor does: a run of one of the same months
        assert here.wait_for_backfill(two_years) == "COMPLETED_SUCCESS"
        assert here.wait_for_backfill(mixed) == "COMPLETED_FAILED"

        runs = here.runs_of(BACKFILL, two_years)
        assert [run["status"] for run in runs] == ["SUCCESS"] * len(TWO_YEARS)
        seconds = max(run["endTime"] for run in runs) - requested
        with capsys.disabled():
            print(f"\n24 months in 24 runs, beside 6 other runs: {seconds / len(TWO_YEARS):.1f} s a month")
        here.wait(lambda: here.runs()[beside] == "SUCCESS", "the run beside the backfill to end")
        ledger = here.ledger("yellow")
        assert [month for month in ledger if month > "2018"] == [str(month) for month in TWO_YEARS]
        assert {ledger[str(month)]["table_rows"] for month in TWO_YEARS} == {10_000 if REAL_DATA else 1000}

        # one bad month failed alone
        assert sorted(run["status"] for run in here.runs_of(BACKFILL, mixed)) == ["FAILURE"] + ["SUCCESS"] * 4
        assert [month for month in ledger if month < "2018"] == ["2009-01", "2009-03"]
        assert list(here.ledger("fhvhv")) == ["2019-02", "2019-03"]

        # and it is all that is done again
        site.files[bad] = good
        asked = Counter({path: len(requests) for path, requests in site.asked.items()})
        again = here.backfill_again(mixed)
        assert here.wait_for_backfill(again) == "COMPLETED_SUCCESS"
        now = Counter({path: len(requests) for path, requests in site.asked.items()})
        assert set(now - asked) == {bad}
        assert list(here.ledger("yellow"))[:3] == ["2009-01", "2009-02", "2009-03"]
