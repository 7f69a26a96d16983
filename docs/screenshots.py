"""Makes the pictures of README and docs: lands months, starts Dagster's UI, and photographs it.

    make screenshots

Needs Chromium. Without TAXI_REAL_DATA months and zones are made up; with it they are TLC's own, 10,000 trips each.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from PIL import Image

from taxi_assets.contracts import DATASETS
from taxi_assets.demo.sample import write_month
from taxi_assets.demo.zones import lookup
from taxi_assets.months import Month, months_between
from taxi_assets.partitions import last_month
from taxi_assets_tests.servers.ui import TIMEOUT_SECONDS, browser, dagster_ui

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

IMAGES = Path(__file__).parent / "images"
FIRST, SUBJECT = Month(2018, 6), Month(2019, 6)
LATEST = last_month(DATASETS["yellow"])
BROKEN = LATEST.plus(-1)
"""A made-up month that is published while the UI runs, and one of which the source has something else."""

_REFUSAL = (
    b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
)
_LARGEST = 300_000
"""Bytes of a picture."""

_BACKFILL = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { ... on LaunchBackfillSuccess { backfillId } } }
"""
_BACKFILL_STATUS = (
    "query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
)
_START = "mutation($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) { __typename } }"
_TICKS = """
query($sensor: SensorSelector!) {
  sensorOrError(sensorSelector: $sensor) { ... on Sensor { sensorState { ticks(statuses: [SUCCESS]) { tickId } } } } }
"""
_HERE = {"repositoryLocationName": "taxi_assets", "repositoryName": "__repository__"}


def main() -> None:
    """Make every picture anew."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="taxi-") as name:
        folder = Path(name)
        settings = publish(folder)
        command("run", "yellow", f"{FIRST}..{SUBJECT}", settings=settings)
        command("report", "yellow", str(SUBJECT), settings=settings)
        with browser() as chromium:
            report(chromium, folder / "data" / "lake" / "reports" / "yellow" / str(SUBJECT) / "report.html")
            with dagster_ui(settings, folder / "dev.log") as address:
                page = chromium.new_page()
                page.set_default_timeout(TIMEOUT_SECONDS * 1000)
                what_landed(page, address)
                write_month(folder / f"yellow_{LATEST}.csv.gz", "yellow", LATEST, 10_000)
                (folder / f"yellow_{BROKEN}.csv.gz").write_bytes(_REFUSAL)
                what_runs(page, address, settings)


def publish(folder: Path) -> dict[str, str]:
    """Make a site of months; return the settings that point at it."""
    for month in months_between(FIRST, SUBJECT):
        publish_month(folder, month)
    zones = folder / "taxi_zone_lookup.csv"
    if real := os.environ.get("TAXI_REAL_DATA"):
        shutil.copy(Path(real, "mirror/misc/taxi_zone_lookup.csv"), zones)
    else:
        zones.write_text(lookup(), encoding="utf-8")
    return {
        "TAXI_CSV_URL": f"file://{folder}/{{dataset}}_{{year}}-{{month:02}}.csv.gz",
        "TAXI_SOURCE": "csv",
        "TAXI_DATA_DIR": str(folder / "data"),
        "TAXI_PROFILE": "local",
        "TAXI_AUTOMATION_SINCE": str(FIRST),
        "TAXI_ZONES_URL": zones.as_uri(),
    }


def publish_month(folder: Path, month: Month) -> None:
    """Put a yellow month onto the site."""
    target = folder / f"yellow_{month}.csv.gz"
    if real := os.environ.get("TAXI_REAL_DATA"):
        shutil.copy(Path(real, "mirror/releases/download/yellow", f"yellow_tripdata_{month}.csv.gz"), target)
    else:
        write_month(target, "yellow", month, 10_000, damaged=3)


def command(*words: str, settings: dict[str, str]) -> None:
    """Run `taxi-assets`; a month that fails is part of the picture."""
    subprocess.run([sys.executable, "-m", "taxi_assets.cli.main", *words], env={**os.environ, **settings}, check=False)


def report(chromium: Browser, path: Path) -> None:
    """Photograph the top of the monthly report."""
    page = chromium.new_page(color_scheme="light", viewport={"width": 1000, "height": 1200})
    page.goto(path.as_uri())
    save(page, "report_light")
    page.close()


def what_landed(page: Page, address: str) -> None:
    """Photograph the graph, and a month that has landed."""
    page.set_viewport_size({"width": 2000, "height": 460})
    page.goto(f"{address}/locations/taxi_assets/asset-groups/yellow")
    page.get_by_text("monthly_report").first.wait_for()
    shoot(page, "chain", 2000, 460)

    page.goto(f"{address}/assets/yellow/cleaned_parquet?view=partitions&partition={SUBJECT}-01")
    page.get_by_role("img", name="Trips per day").wait_for()
    shoot(page, "month", 1400, 1500)


def what_runs(page: Page, address: str, settings: dict[str, str]) -> None:
    """Photograph a sensor that finds a new month, a month that cannot land, and a backfill."""
    sensor = {"sensor": {**_HERE, "sensorName": "publication"}}
    poll(address, _START, **sensor)
    wait(lambda: poll(address, _TICKS, **sensor)["sensorOrError"]["sensorState"]["ticks"])
    page.goto(f"{address}/locations/taxi_assets/sensors/publication")
    page.get_by_text("Requested").first.wait_for()
    shoot(page, "sensor_ticks", 1400, 760)

    command("run", "yellow", str(BROKEN), settings=settings)
    page.goto(f"{address}/assets/yellow/raw_file?view=events&partition={BROKEN}-01")
    page.get_by_text("not a trip file").first.wait_for()
    shoot(page, "failed_month", 1400, 700)

    keys = [f"{month}-01" for month in months_between(FIRST, FIRST.plus(5))]
    assets = [{"path": ["yellow", name]} for name in ("raw_file", "cleaned_parquet", "gcs_object", "bigquery_table")]
    made = poll(address, _BACKFILL, params={"partitionNames": keys, "assetSelection": assets})
    backfill = made["launchPartitionBackfill"]["backfillId"]
    wait(lambda: "REQUESTED" not in poll(address, _BACKFILL_STATUS, id=backfill)["partitionBackfillOrError"]["status"])
    page.goto(f"{address}/runs/b/{backfill}")
    page.get_by_text("Completed").first.wait_for()
    shoot(page, "backfill", 1400, 500)


def poll(address: str, query: str, **variables: Any) -> dict[str, Any]:
    """Ask the UI's GraphQL."""
    answer = requests.post(f"{address}/graphql", json={"query": query, "variables": variables}, timeout=60)
    return dict(answer.json()["data"])


def wait(done: Any) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: It took too long.
    """
    until = time.monotonic() + TIMEOUT_SECONDS
    while not done():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(2)


def shoot(page: Page, name: str, width: int, height: int) -> None:
    """Photograph a page of the UI when it has settled."""
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(4000)
    save(page, name)


def save(page: Page, name: str) -> None:
    """Write a picture, in 256 colors: the pages have few."""
    with Image.open(io.BytesIO(page.screenshot())) as image:
        path = IMAGES / f"{name}.png"
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.name}: {size / 1000:.0f} kB")
    assert size < _LARGEST, f"{path} is larger than {_LARGEST} bytes"


if __name__ == "__main__":
    main()
