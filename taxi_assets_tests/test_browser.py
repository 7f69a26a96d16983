"""A first hour in a real browser, offline: the demo, a further month by clicking, its chart, its report."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from taxi_assets_tests.servers.ui import TIMEOUT_SECONDS, browser, chromium, dagster_ui

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="there is no Chromium; `apt-get install chromium` installs it"),
]

MONTH = "2021-03-01"
"""A month that the demo has not landed, and that its source makes when a run asks for it."""


@pytest.fixture
def page() -> Iterator[Page]:
    with browser() as running:
        page = running.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(TIMEOUT_SECONDS * 1000)
        yield page


def test_a_month_is_materialized_by_clicking_and_shows_its_chart_and_its_report(page: Page, tmp_path: Path) -> None:
    settings = {"TAXI_DATA_DIR": str(tmp_path / "data")}
    demo = [sys.executable, "-m", "taxi_assets.cli.main", "demo"]
    done = subprocess.run(demo, cwd=tmp_path, env={**os.environ, **settings}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with dagster_ui(settings, tmp_path / "dev.log") as address:
        page.goto(f"{address}/locations/taxi_assets/asset-groups/green")
        page.get_by_role("button", name="Materialize all").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_text("Show all partitions").click()
        months = dialog.get_by_role("textbox").first
        months.fill(MONTH)
        months.press("Enter")
        dialog.get_by_role("button", name="Launch 1 run").click()
        page.get_by_text("View", exact=True).click()
        page.wait_for_url("**/runs/*")
        ended = page.get_by_text(re.compile("^(Success|Failure)$")).first
        ended.wait_for()
        assert ended.inner_text() == "Success"

        page.goto(f"{address}/assets/green/cleaned_parquet?view=partitions&partition={MONTH}")
        chart = page.get_by_role("img", name="Trips per day")
        chart.wait_for()
        assert chart.evaluate("image => image.naturalWidth") > 300
        assert page.get_by_role("row").filter(has_text="source rows").first.is_visible()
        preview = page.get_by_role("row").filter(has_text="lpep_pickup_datetime")
        preview.first.scroll_into_view_if_needed()
        assert "2021-03-" in preview.first.inner_text()

        page.goto(f"{address}/assets/green/monthly_report?view=partitions&partition={MONTH}")
        report = page.get_by_text("report.html").filter(has_not_text="file://").first.inner_text()

    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"file://{report}")
    assert page.get_by_role("heading", level=1).inner_text() == "Green taxi trips, March 2021"
    assert page.get_by_role("img", name="trips per day").is_visible()
    assert page.get_by_text("Made-up or local data").first.is_visible()
    assert asked == [f"file://{report}"]

    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390  # the page fits a phone,
    chart_box = page.get_by_role("region", name="Trips per day")
    assert chart_box.evaluate("box => box.scrollWidth > box.clientWidth")  # and its charts scroll within it
    page.get_by_role("link", name="All months").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Green taxi trips: monthly reports"
    page.get_by_role("link", name="March 2021").click()
    assert page.url == f"file://{report}"
