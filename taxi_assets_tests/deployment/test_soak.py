"""A whole deployment with all automation on, for some minutes: its connections to Postgres, and its memory.

`make soak`, or for longer `make soak SOAK_MINUTES=20`; not part of `make test`.
"""

from __future__ import annotations

import gzip
import os
import re
import statistics
import sys
import threading
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from taxi_assets.demo.sample import write_month
from taxi_assets.months import Month
from taxi_assets_tests.servers.alert_receivers import webhook
from taxi_assets_tests.servers.deployment import NAMES, PROJECT, Deployment, deployment
from taxi_assets_tests.servers.http_source import Answer, Handler, HttpSource, http_source
from taxi_assets_tests.servers.postgres import postgres_server

MINUTES = float(os.environ.get("SOAK_MINUTES", "8"))
RUNS = 8
MOST_CONNECTIONS = 60
MOST_GROWTH = {"daemon": 1.05, "webserver": 1.05, "code": 1.1}
"""Of memory, from the second quarter of the time to the last. The code location's grows until 128 ticks have had news;
see docs/operations.md."""
SINCE = Month(2025, 1)
"""The first month that automation requests; it is published some minutes after the start, and one more every round."""


class _Meter(threading.Thread):
    """Counts the server's client connections, ten times a second, and reads each process's memory once a second.

    Attributes:
        most: The most connections.
        counts: How often they were counted.
        memory: MiB of resident memory, by process, with the seconds since the start.
    """

    def __init__(self, url: str, pids: dict[str, int]) -> None:
        super().__init__(daemon=True)
        self.most, self.counts, self.over = 0, 0, threading.Event()
        self.memory: dict[str, list[tuple[float, float]]] = {name: [] for name in pids}
        self._url, self._processes = url, {name: psutil.Process(pid) for name, pid in pids.items()}

    def run(self) -> None:
        counted = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        start = time.monotonic()
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self.over.wait(0.1):
                self.most = max(self.most, connection.execute(counted).fetchone()[0] - 1)  # type: ignore[index]
                if self.counts % 10 == 0:
                    for name, process in self._processes.items():
                        self.memory[name].append((time.monotonic() - start, process.memory_info().rss / 2**20))
                self.counts += 1

    def between(self, name: str, start: float, end: float) -> float:
        """Return the median memory of a process between two shares of the whole time."""
        whole = self.memory[name][-1][0]
        return statistics.median(mib for at, mib in self.memory[name] if start * whole <= at <= end * whole)

    def table(self) -> str:
        """Return memory over time: a line for each process, a column for each quarter of the whole time."""
        whole = next(iter(self.memory.values()))[-1][0]
        shares = (0, 0.25, 0.5, 0.75, 1)
        lines = ["MiB after (min)" + "".join(f"{share * whole / 60:8.1f}" for share in shares)]
        for name in self.memory:
            at = [self.between(name, max(0, share - 0.02), min(1, share + 0.02)) for share in shares]
            lines.append(f"{name:15}" + "".join(f"{mib:8.0f}" for mib in at))
        return "\n".join(lines)


def publish(site: HttpSource, folder: Path, dataset: str, month: Month) -> str:
    """Publish a month of 2000 trips; return its path at the source."""
    path = folder / f"{dataset}_tripdata_{month}.csv.gz"
    write_month(path, dataset, month, 2000)
    site.files[f"/{path.name}"] = path.read_bytes()
    return f"/{path.name}"


def hold(content: bytes, released: threading.Event) -> Answer:
    """Answer with a file, but not before the event."""

    def answer(handler: Handler) -> None:
        released.wait()
        handler.file(content)

    return answer


def round_of_runs(here: Deployment, months: list[Month], released: threading.Event) -> list[str]:
    """Launch a run of each month, let them download once all are at work, and wait until all have ended."""
    released.clear()
    runs = [here.launch("yellow", str(month)) for month in months]

    def all_are(*wanted: str) -> bool:
        status = here.runs()
        return all(status[run] in wanted for run in runs)

    here.wait(lambda: all_are("STARTED"), "all runs to be at work", 500)
    time.sleep(5)  # all connections are open, and counted
    released.set()
    here.wait(lambda: all_are("SUCCESS", "FAILURE"), "the runs to end", 600)
    return runs


@pytest.mark.slow
@pytest.mark.soak
def test_a_deployment_at_work_holds_fewer_than_sixty_connections_and_its_memory_stays_flat(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    months = [Month(2021, 1).plus(n) for n in range(RUNS)]
    limits = "(max_concurrent_runs|op_granularity_run_buffer): .*"
    text = re.sub(limits, rf"\1: {RUNS}", (PROJECT / "dagster.yaml").read_text())
    folder = tmp_path / "deployed"
    folder.mkdir()
    (tmp_path / "zones.csv").write_text("LocationID,Borough,Zone,service_zone\n1,EWR,Newark Airport,EWR\n")
    launched: list[str] = []
    rounds, released = 0, threading.Event()
    with http_source() as site, postgres_server() as postgres, webhook() as slack:
        for month in months:
            path = publish(site, tmp_path, "yellow", month)
            site.standing[path] = hold(site.files[path], released)
        settings = {
            "TAXI_CSV_URL": f"{site.url}/{{dataset}}_tripdata_{{year}}-{{month:02}}.csv.gz",
            "TAXI_SOURCE": "csv",
            "TAXI_READ_TIMEOUT": "600",
            "TAXI_ZONES_URL": (tmp_path / "zones.csv").as_uri(),
            "TAXI_AUTOMATION": "running",
            "TAXI_AUTOMATION_SINCE": str(SINCE),
            "TAXI_MONTHLY_CRON": "* * * * *",
            "TAXI_ALERT_WEBHOOK": slack.url,
            "DAGSTER_POSTGRES_URL": postgres.url,
        }
        with deployment(Path(sys.executable), folder, settings, text) as here:
            meter = _Meter(postgres.url, {name: here.pid(name) for name in NAMES})
            meter.start()
            until = time.monotonic() + 60 * MINUTES
            while not rounds or time.monotonic() < until:
                launched += round_of_runs(here, months, released)
                month, rounds = SINCE.plus(rounds), rounds + 1
                site.files[f"/fhv_tripdata_{month}.csv.gz"] = gzip.compress(b"no,trips\n1,2\n")
                publish(site, tmp_path, "green", month)
                here.wait(lambda done=rounds: here.materialized("green") == done, "automation to land a month", 600)
                told = f"fhv {month} failed"
                here.wait(
                    lambda told=told: any(told in text for text in slack.texts), "an alert of a damaged month", 600
                )
            meter.over.set()
            meter.join()
            with capsys.disabled():
                sys.stdout.write(
                    f"\n{len(launched)} runs, {RUNS} at once, {rounds} months by automation, {len(slack.texts)} "
                    f"alerts; {meter.most} connections (of {meter.counts} counts)\n{meter.table()}\n"
                )
            failed = {run: here.failures(run) for run in launched if here.runs()[run] != "SUCCESS"}
            for dataset in ("yellow", "green"):
                here.run("taxi-assets", "ledger", dataset, "--verify")  # ends with 1 if a row is lost or doubled
            said = "".join(path.read_text(errors="replace") for path in here.logs())
        refused = postgres.log.read_text(errors="replace").count("FATAL")
    assert not failed
    assert meter.most < MOST_CONNECTIONS
    for name in NAMES:  # the first quarter is for loading code and filling caches
        before, after = meter.between(name, 0.25, 0.5), meter.between(name, 0.75, 1)
        assert after < MOST_GROWTH[name] * before, f"{name} grew from {before:.0f} to {after:.0f} MiB"
    assert refused == 0
    assert "Traceback" not in said, said[-3000:]
