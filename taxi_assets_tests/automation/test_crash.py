"""After a SIGKILL of a run's worker, and of everything: the months land by themselves, as if nothing had happened.

With the real daemon. A run's steps and its worker are one process (see `build_definitions`), so killing the worker is
killing the step.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from taxi_assets.months import Month
from taxi_assets_tests.automation.daemon import Dev, children_of, dev
from taxi_assets_tests.automation.world import month_bytes
from taxi_assets_tests.servers.http_source import HttpSource, stall

pytestmark = pytest.mark.slow
MONTHS = ("2023-01", "2023-02", "2023-03")
_STATUSES = """{ assetNodeOrError(assetKey: {path: ["yellow", "bigquery_table"]}) { ... on AssetNode {
  assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey endKey status } } } } } }"""


@pytest.fixture
def here(site: HttpSource, tmp_path: Path) -> Iterator[Dev]:
    """Run `taxi-assets dev` with the site as its source."""
    for month in MONTHS:
        site.files[path_of(month)] = month_bytes("yellow", Month.parse(month), 200)
    settings = {"TAXI_CSV_URL": f"{site.url}/{{dataset}}_{{year}}-{{month:02}}.csv.gz", "TAXI_SOURCE": "csv"}
    with dev(tmp_path / "here", settings) as running:
        yield running


def path_of(month: str) -> str:
    return f"/yellow_{month}.csv.gz"


def test_what_was_killed_lands_by_itself_as_if_nothing_had_happened(here: Dev, site: HttpSource) -> None:
    _kill_the_worker_of(here, site, "2023-01")
    _kill_everything_in(here, site, "2023-02")
    here.launch("yellow", "2023-03")  # undisturbed, and behind the others in every pool: their slots are free again
    here.wait(lambda: len(_loaded(here)) == len(MONTHS), "all months to land")
    here.wait(lambda: set(here.runs().values()) <= {"SUCCESS", "FAILURE"}, "the runs to end")

    for month in MONTHS:
        (last, *earlier) = here.runs_of("dagster/partition", f"{month}-01")
        assert last["status"] == "SUCCESS"
        assert [run["status"] for run in earlier] == ([] if month == "2023-03" else ["FAILURE"])

    # the same months, undisturbed, in another data folder
    undisturbed = here.folder / "undisturbed"
    here.run("taxi-assets", "run", "yellow", "2023-01..2023-03", TAXI_DATA_DIR=str(undisturbed))
    assert _comparable(here.ledger("yellow")) == _comparable(here.ledger("yellow", TAXI_DATA_DIR=str(undisturbed)))
    assert _state(here.data) == _state(undisturbed)
    assert _drafts(here.data) == []


def _kill_the_worker_of(here: Dev, site: HttpSource, month: str) -> None:
    before = set(children_of(here.pid))  # the code server, the webserver, the daemon
    _launch_and_wait_until_it_fetches(here, site, month)
    workers = [pid for pid in set(children_of(here.pid)) - before if _is_worker(pid)]
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    here.wait(lambda: month in _loaded(here), f"{month} to land after its worker was killed")


def _kill_everything_in(here: Dev, site: HttpSource, month: str) -> None:
    _launch_and_wait_until_it_fetches(here, site, month)
    here.kill()
    here.start()
    assert f"(yellow {month}) was dead and has been ended; the daemon runs it again" in here.said
    here.wait(lambda: month in _loaded(here), f"{month} to land after everything was killed")


def _launch_and_wait_until_it_fetches(here: Dev, site: HttpSource, month: str) -> None:
    content = site.files[path_of(month)]
    site.orders[path_of(month)].append(stall(60, content, len(content) // 2))
    here.launch("yellow", month)
    here.wait(lambda: site.asked[path_of(month)], f"{month} to be fetched")


def _is_worker(pid: int) -> bool:
    return b"multiprocessing" in Path(f"/proc/{pid}/cmdline").read_bytes()


def _loaded(here: Dev) -> list[str]:
    """Return the months in the table, as Dagster has them."""
    ranges = here.poll(_STATUSES)["assetNodeOrError"]["assetPartitionStatuses"]["ranges"]
    loaded = [(each["startKey"][:7], each["endKey"][:7]) for each in ranges if each["status"] == "MATERIALIZED"]
    return [month for month in MONTHS if any(first <= month <= last for first, last in loaded)]


def _comparable(ledger: dict[str, dict[str, object]]) -> list[dict[str, object]]:
    changing = ("status", "seconds", "object_uri")
    return [{name: value for name, value in row.items() if name not in changing} for row in ledger.values()]


def _state(data: Path) -> tuple[dict[str, bytes], list[tuple[object, ...]]]:
    """Return everything that landed: the lake's files, and the table's rows."""
    files = {str(path.relative_to(data)): path.read_bytes() for path in (data / "lake").rglob("*.parquet")}
    with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as warehouse:
        rows = warehouse.execute("SELECT * FROM nyc_tlc.yellow_trips ORDER BY ALL").fetchall()
    assert len(files) == len(MONTHS)
    assert len(rows) == 200 * len(MONTHS)
    return files, rows


def _drafts(data: Path) -> list[Path]:
    """Return unfinished files that are in sight of anyone who looks for finished ones."""
    return [path for stage in ("work/raw", "work/cleaned", "lake/data") for path in (data / stage).rglob("*.tmp")]
