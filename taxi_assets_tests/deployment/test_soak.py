"""Connections that a whole deployment holds to Dagster's Postgres while many runs go on at once, for some minutes.

`make soak`; not part of `make test`.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from taxi_assets.demo.sample import write_month
from taxi_assets.months import Month
from taxi_assets_tests.servers.deployment import PROJECT, deployment
from taxi_assets_tests.servers.http_source import http_source, stall
from taxi_assets_tests.servers.postgres import postgres_server

RUNS = 8
MOST_CONNECTIONS = 60
SOAK_SECONDS = 180.0
SLOW = 40.0
"""Seconds that each download takes. The pool `source` has one slot, so the last run waits for seven others."""


class _Counter(threading.Thread):
    """Counts the server's client connections, ten times a second."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.most, self.asked, self.ended = 0, 0, threading.Event()
        self._url = url

    def run(self) -> None:
        counted = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self.ended.wait(0.1):
                self.most = max(self.most, connection.execute(counted).fetchone()[0] - 1)  # type: ignore[index]
                self.asked += 1


@pytest.mark.slow
@pytest.mark.soak
def test_webserver_daemon_and_eight_runs_at_once_hold_fewer_than_sixty_connections(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    months = [Month(2021, 1).plus(n) for n in range(RUNS)]
    contents = {}
    for month in months:
        path = tmp_path / f"yellow_tripdata_{month}.csv.gz"
        write_month(path, "yellow", month, 2000)
        contents[f"/{path.name}"] = path.read_bytes()
    text = re.sub("max_concurrent_runs: .*", f"max_concurrent_runs: {RUNS}", (PROJECT / "dagster.yaml").read_text())
    with http_source() as site, postgres_server() as postgres:
        site.standing.update(
            {path: stall(SLOW, content, len(content), before=True) for path, content in contents.items()}
        )
        folder = tmp_path / "deployed"
        folder.mkdir()
        settings = {
            "TAXI_CSV_URL": f"{site.url}/{{dataset}}_tripdata_{{year}}-{{month:02}}.csv.gz",
            "TAXI_SOURCE": "csv",
            "DAGSTER_POSTGRES_URL": postgres.url,
        }
        with deployment(Path(sys.executable), folder, settings, text) as here:
            counter, launched, alive = _Counter(postgres.url), [], 0
            counter.start()
            until = time.monotonic() + SOAK_SECONDS
            while not launched or time.monotonic() < until:
                round_ = [here.launch("yellow", str(month)) for month in months]
                launched += round_

                def ended(round_: list[str] = round_) -> bool:
                    nonlocal alive
                    status = here.runs()
                    alive = max(alive, sum(status[run] == "STARTED" for run in round_))
                    return all(status[run] in ("SUCCESS", "FAILURE") for run in round_)

                here.wait(ended, "the runs to end", 900)
            counter.ended.set()
            failed = {run: here.failures(run) for run in launched if here.runs()[run] != "SUCCESS"}
            assert not failed
            said = "".join(path.read_text(errors="replace") for path in here.logs())
        refused = postgres.log.read_text(errors="replace").count("FATAL")
    found = f"{len(launched)} runs, up to {alive} at once: {counter.most} connections (of {counter.asked} counts)"
    with capsys.disabled():
        sys.stdout.write(f"\n{found}\n")
    assert alive == RUNS
    assert counter.most < MOST_CONNECTIONS
    assert refused == 0
    assert "Traceback" not in said, said[-3000:]
