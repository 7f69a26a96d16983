"""A growing archive: every month of every dataset through `taxi-assets run`, and what a long history costs afterwards.

The months have ten rows, so that only what grows with the history takes time. A local HTTP server is the source.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.inputs import make
from benchmarks.measure import Figure, measure
from benchmarks.product import run_command
from benchmarks.targets import ARCHIVE, FIRST, LAST, LEDGER, PAGE, TICKS
from taxi_assets.contracts import DATASETS
from taxi_assets.months import Month

ROWS, COMPARED = 10, 10
"""Rows of a month; months at the start, and at the end, whose seconds are compared."""
TRIES = 5
"""How often the asset page is asked for."""

_ASSET = "yellow/bigquery_table"
_PAGE_QUERIES = (
    """query PartitionHealthQuery($assetKey: AssetKeyInput!) {
      assetNodeOrError(assetKey: $assetKey) { ... on AssetNode {
        id
        partitionKeysByDimension { name type partitionKeys }
        assetPartitionStatuses { ... on TimePartitionStatuses {
          ranges { status startTime endTime startKey endKey }
        } }
      } }
    }""",
    """query AssetViewDefinitionQuery($assetKey: AssetKeyInput!) {
      assetOrError(assetKey: $assetKey) { ... on Asset {
        id
        assetMaterializations(limit: 1) { timestamp runId partition metadataEntries { label description } }
        definition {
          id groupName description jobNames opNames
          partitionDefinition { description }
          dependencyKeys { path }
          dependedByKeys { path }
          metadataEntries { label description }
        }
      } }
    }""",
    """query RecentAssetEventsQuery($assetKey: AssetKeyInput!) {
      assetsLatestInfo(assetKeys: [$assetKey]) { id latestRun { id status } unstartedRunIds inProgressRunIds }
      assetOrError(assetKey: $assetKey) { ... on Asset {
        id
        assetEventHistory(limit: 100, eventTypeSelectors: [MATERIALIZATION, FAILED_TO_MATERIALIZE, OBSERVATION]) {
          cursor
          results { ... on MaterializationEvent {
            runId timestamp partition tags { key value } metadataEntries { label description }
          } }
        }
      } }
    }""",
)
"""What the UI asks for an asset's page, without the parts that no history changes."""


def measure_growth(folder: Path, plain: Mapping[str, str], months: int | None = None) -> str:
    """Measure an archive as it grows; return the tables.

    Args:
        folder: An empty folder.
        plain: Variables of the processes.
        months: Months of each dataset, the latest; all by default.
    """
    last = _last_months()
    ranges = {name: (last[name].plus(1 - months) if months else DATASETS[name].first_month) for name in DATASETS}
    served = folder / "served"
    for name, first in ranges.items():
        make(served, name, f"{first}..{last[name]}", ROWS)
    with _source(served) as address:
        figures, landed, settings = _land(folder, address, ranges, last, plain)
        environment = {**plain, **settings, "DAGSTER_HOME": str(folder / "data/dagster")}
        figures[LEDGER], _ = measure([sys.executable, "-m", "taxi_assets.cli.main", "ledger"], environment)
        _, output = measure([sys.executable, "-m", "benchmarks.ticks", *TICKS], environment)
        for name, seconds in json.loads(output).items():
            figures[TICKS[name]] = Figure(seconds)
        with _webserver(environment, folder / "webserver.log") as dagster:
            seconds = [_asset_page(dagster) for _ in range(TRIES)]
        figures[f"{PAGE}, first"] = Figure(seconds[0])
        figures[PAGE] = Figure(statistics.median(seconds))
    return tables.growth({(name, ARCHIVE): figure for name, figure in figures.items()}, landed)


def _last_months() -> dict[str, Month]:
    """Return the last month of each dataset; asked in a process of its own, because it needs Dagster."""
    code = (
        "import json; from taxi_assets.contracts import DATASETS; from taxi_assets.partitions import last_month; "
        "print(json.dumps({name: str(last_month(each)) for name, each in DATASETS.items()}))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    return {name: Month.parse(month) for name, month in json.loads(output).items()}


def _land(
    folder: Path, address: str, first: Mapping[str, Month], last: Mapping[str, Month], plain: Mapping[str, str]
) -> tuple[dict[str, Figure], int, dict[str, str]]:
    """Land all months; ten of yellow come before all others and ten of its latest at the end, with the same columns."""
    split = last["yellow"].plus(1 - COMPARED)
    early = (split.plus(-COMPARED), split.plus(-1))
    steps = [
        ("yellow", *early),
        *((name, first[name], last[name]) for name in DATASETS if name != "yellow"),
        ("yellow", first["yellow"], last["yellow"]),  # those of the first step are found unchanged
    ]
    landed, figures, settings = {}, [], {}
    for name, start, end in steps:
        command, settings = run_command(name, f"{start}..{end}", folder, address)
        figure, output = measure(command, {**plain, **settings})
        figures.append(figure)
        seconds = {(name, row["month"]): row["seconds"] for row in json.loads(output)}
        landed |= {key: value for key, value in seconds.items() if key not in landed}
        print(f"{name} {start}..{end}: {figure.wall:.1f} s", file=sys.stderr)
    whole, peak = sum(f.wall for f in figures), max(f.memory for f in figures)
    ordered = list(landed.values())
    return (
        {
            "all months": Figure(whole, peak),
            FIRST: Figure(statistics.median(ordered[:COMPARED]), figures[0].memory),
            LAST: Figure(statistics.median(ordered[-COMPARED:]), figures[-1].memory),
        },
        len(landed),
        settings,
    )


@contextlib.contextmanager
def _source(folder: Path) -> Iterator[str]:
    """Serve a folder; give its address. A process of its own: a child's peak memory counts from this one's."""
    from taxi_assets_tests.servers.process import free_port

    port = free_port()
    words = ["-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    url = f"http://127.0.0.1:{port}"
    with _running(words, os.environ, folder.with_suffix(".log"), lambda: urllib.request.urlopen(url).close()):
        yield url


@contextlib.contextmanager
def _webserver(environment: Mapping[str, str], log: Path) -> Iterator[Any]:
    """Run Dagster's webserver with the project's definitions; give what asks it."""
    from taxi_assets_tests.servers.graphql import Dagster
    from taxi_assets_tests.servers.process import free_port

    dagster = Dagster(port := free_port())
    words = ["-m", "dagster_webserver", "-m", "taxi_assets.definitions", "-h", "127.0.0.1", "-p", str(port)]
    question = "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"
    with _running(words, environment, log, lambda: dagster.poll(question)):
        yield dagster


@contextlib.contextmanager
def _running(
    words: Sequence[str], environment: Mapping[str, str], log: Path, answers: Callable[[], Any]
) -> Iterator[None]:
    """Run a server until the context ends, which begins when it answers.

    Raises:
        SystemExit: It does not.
    """
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, *words], env=environment, stdout=sink, stderr=sink, start_new_session=True
        )
    until = time.monotonic() + 120
    try:
        while True:
            with contextlib.suppress(OSError):
                answers()
                break
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{words[1]} does not answer:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.2)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _asset_page(dagster: Any) -> float:
    """Return the seconds in which the webserver answers what the asset's page asks."""
    start = time.perf_counter()
    for query in _PAGE_QUERIES:
        answer = dagster.poll(query, assetKey={"path": _ASSET.split("/")})
        assert any(value and value.get("id") for value in answer.values() if isinstance(value, dict)), answer
    return time.perf_counter() - start
