"""`make smoke`: the compose deployment itself, on this machine's container engine, killed piece by piece.

A deployment of its own beside the real one: project, network, volumes and port are others. The image must be there
(`make image`). Everything is removed at the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from taxi_assets_tests.servers.graphql import Dagster
from taxi_assets_tests.servers.process import free_port

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose"
PROJECT = "taxi-smoke"
ROWS = 20_000  # of each month; see deploy/compose/smoke.yaml
TIMEOUT_SECONDS = 600.0
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


class Smoke(Dagster):
    """The deployment, by the engine's and Dagster's eyes."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        super().__init__(port)
        self._environment = {
            **os.environ, "POSTGRES_PASSWORD": "only-for-the-smoke-test", "UI_PORT": str(port), "ENV_FILE": os.devnull,
        }  # fmt: skip
        self._image = os.environ.get("TAXI_IMAGE", "taxi-assets:latest")
        self._began = time.monotonic()
        self.containers: dict[str, str] = {}
        self._nothing = folder / "none.env"
        self._nothing.touch()

    def say(self, text: str) -> None:
        """Print a line of the session's log."""
        print(f"{time.monotonic() - self._began:6.1f} s  {text}", flush=True)

    def docker(self, *words: str) -> str:
        """Ask the engine.

        Raises:
            RuntimeError: It refuses; the message has what it said.
        """
        done = subprocess.run(["docker", *words], env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"docker {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def compose(self, *words: str) -> str:
        """Ask compose."""
        files = ["-f", str(COMPOSE / "compose.yaml"), "-f", str(COMPOSE / "smoke.yaml")]
        return self.docker("compose", "--env-file", str(self._nothing), "-p", PROJECT, *files, *words)

    def run_containers(self, *more: str) -> list[str]:
        """Return the containers of runs that there are, dead or alive; note which run each belongs to."""
        format_ = '{{.ID}} {{.Label "dagster/run_id"}}'
        words = ("ps", "-a", "--no-trunc", "--filter", "label=dagster/run_id", "--format", format_, *more)
        mine = [line.split() for line in self.docker(*words, "--filter", f"network={PROJECT}_default").splitlines()]
        self.containers |= dict(mine)
        return [container for container, _ in mine]

    def wait(self, until: Callable[[], Any], what: str) -> Any:
        """Wait until something holds; a deployment that is being killed may refuse to answer meanwhile.

        Raises:
            TimeoutError: It does not.
        """
        deadline, trouble = time.monotonic() + TIMEOUT_SECONDS, ""
        while time.monotonic() < deadline:
            try:
                if found := until():
                    self.say(f"seen: {what}")
                    return found
            except (OSError, RuntimeError, TypeError) as error:
                trouble = str(error)
            time.sleep(0.5)
        raise TimeoutError(f"waited {TIMEOUT_SECONDS:.0f} s for {what}; last trouble: {trouble}\n{self._logs()}")

    def _logs(self) -> str:
        return self.compose("logs", "--tail", "40") + json.dumps(self.runs(), indent=1)

    def land(self, dataset: str, year: int, disturb: Callable[[], None] | None = None) -> None:
        """Backfill a year; in the middle of it, disturb it; wait until all has landed and the containers are gone."""
        before, months = set(self.runs()), self.materialized(dataset) + 12
        backfill = self.backfill(dataset, [f"{year}-{month:02}" for month in range(1, 13)])
        self.say(f"backfill {backfill} of {dataset} {year} launched by GraphQL")
        if disturb:
            self.wait(
                lambda: self.run_containers("--filter", "status=running") and self.fetched(dataset, year),
                "a run at work in a container, with months fetched",
            )
            disturb()
            self.say(f"  meanwhile {self.landed(dataset, year)} of 12 months have landed")

        def done() -> bool:
            self.run_containers()
            runs = {run: status for run, status in self.runs().items() if run not in before}
            return (
                set(runs.values()) <= ENDED
                and self.landed(dataset, year) == 12
                and self.materialized(dataset) == months
            )

        self.wait(done, f"12 months of {dataset} {year} in lake and warehouse, {ROWS:,} rows each, and in Dagster")
        self.wait(lambda: not self.run_containers(), "no run container left")
        self.wait(lambda: self.backfill_status(backfill).startswith("COMPLETED"), "the backfill's end")
        runs = {run: status for run, status in self.runs().items() if run not in before}
        own = {run: [c[:12] for c, r in self.containers.items() if r == run] for run in runs}
        for run in runs:
            self.say(f"  run {run[:8]} {runs[run]}, in container {', '.join(own[run]) or 'not seen'}")
            if runs[run] == "FAILURE":
                self.say("    " + " / ".join(self.failures(run))[:1500])
        assert all(len(seen) == 1 for seen in own.values()), own

    def fetched(self, dataset: str, year: int) -> int:
        """Return how many months of a year lie in the work folder, fetched."""
        find = f"find /data/work/raw/{dataset} -name {dataset}_tripdata_{year}-*.json"
        return len(self.compose("exec", "-T", "code", *find.split()).split())

    def landed(self, dataset: str, year: int) -> int:
        """Return how many months of a year have landed whole, by the stores in the volume and not by Dagster."""
        ledger = self.docker(
            "run", "--rm", "-v", f"{PROJECT}_data:/data", self._image, "taxi-assets", "ledger", dataset, "--json"
        )  # fmt: skip
        rows = [row for row in json.loads(ledger) if row["month"].startswith(str(year))]
        return sum(row["object_rows"] == row["table_rows"] == row["cleaned_rows"] == ROWS for row in rows)

    def crash(self, service: str) -> Callable[[], None]:
        """Return what kills every process of a service's container but its init, as a crash would."""

        def do() -> None:
            container, started = self._container(service)
            self.docker("exec", *(["-u", "postgres"] if service == "postgres" else []), container, "sh", "-c",
                        "kill -9 -1")  # fmt: skip
            self.say(f"{service} killed in its container {container[:12]}")
            self.wait(
                lambda: self._container(service)[1] != started and self._healthy(service),
                f"{service} started again by the engine, healthy",
            )

        return do

    def _container(self, service: str) -> tuple[str, str]:
        """Return a service's container and the time at which it was started."""
        container = self.compose("ps", "-a", "-q", service).strip()
        return container, self.docker("inspect", "--format", "{{.State.StartedAt}}", container).strip()

    def _healthy(self, service: str) -> bool:
        return self.compose("ps", "--format", "{{.Health}}", service).strip() == "healthy"

    def kill_a_run(self) -> None:
        """Kill the container of a run that is at work."""
        container = self.run_containers("--filter", "status=running")[0]
        self.docker("kill", container)
        self.say(f"run container {container[:12]} killed")


def main() -> int:
    """Go through it all; return the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        smoke = Smoke(Path(folder))
        smoke.compose("down", "--volumes")
        try:
            smoke.say("docker compose up")
            smoke.compose("up", "-d", "--wait")
            smoke.say("all healthy:\n" + smoke.compose("ps", "--format", "table {{.Service}}\t{{.Status}}\t{{.Ports}}"))
            poll = "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/green/green_tripdata_2021-12.csv.gz')"
            smoke.wait(lambda: smoke.compose("exec", "source", "python", "-c", poll) == "", "the source's months")
            smoke.land("yellow", 2020)
            smoke.land("yellow", 2021, smoke.kill_a_run)
            smoke.land("green", 2020, smoke.crash("daemon"))
            smoke.land("green", 2021, smoke.crash("postgres"))
        finally:
            for container in smoke.run_containers():
                smoke.docker("rm", "-f", container)
            smoke.compose("down", "--volumes")
        left = smoke.docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
        left += smoke.run_containers() + smoke.docker("volume", "ls", "-q", "--filter", f"name={PROJECT}").split()
        smoke.say(f"down; left over: {left or 'nothing'}")
        return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
