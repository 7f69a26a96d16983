"""`taxi-assets dev` as a person starts it: code server, webserver and daemon in one process group, to be killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from taxi_assets_tests.automation.world import ROOT
from taxi_assets_tests.servers.graphql import STEPS, Dagster
from taxi_assets_tests.servers.process import free_port

TIMEOUT_SECONDS = 480.0
_COMMAND = ("taxi-assets", "dev")
_BACKFILL = """
mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""
_AGAIN = """
mutation($params: ReexecutionParams!) { reexecutePartitionBackfill(reexecutionParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""
_RUNS = """
query($filter: RunsFilter) { runsOrError(filter: $filter, limit: 500) { ... on Runs { results {
  runId status endTime stepStats { startTime endTime } } } } }
"""
_LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"


class Dev(Dagster):
    """`taxi-assets dev`, or Dagster's own command, in a folder of its own.

    Args:
        folder: Working folder.
        settings: Settings, added to a bare environment.
        command: What starts it; the port is added.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str], command: Sequence[str] = _COMMAND) -> None:
        super().__init__(free_port())
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("dagster.yaml", "workspace.yaml"):
            shutil.copyfile(ROOT / name, folder / name)
        self._command = command
        self.folder, self.data = folder, folder / "data"
        self._bin = Path(sys.executable).parent
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "HOME": str(folder),
            "TAXI_DATA_DIR": str(self.data),
            "TAXI_FIRST_WAIT": "0",
            **settings,
        }

    @property
    def said(self) -> str:
        """What it has said so far."""
        return (self.folder / "dev.log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The first of its processes."""
        assert self._process
        return self._process.pid

    def run(self, *words: str, **settings: str) -> str:
        """Run a command of the environment to its end; return what it printed."""
        done = subprocess.run(
            [self._bin / words[0], *words[1:]],
            cwd=self.folder,
            env=self._environment | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self) -> None:
        """Start it, and wait until the definitions are loaded and the daemon is up."""
        with (self.folder / "dev.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / self._command[0], *self._command[1:], "--port", str(self._ui_port)],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait(self._is_loaded, "the definitions to be loaded")

    def _is_loaded(self) -> bool:
        assert self._process
        assert self._process.poll() is None, self.said
        entries = self.poll(_LOCATIONS)["workspaceOrError"]["locationEntries"]
        return [entry["loadStatus"] for entry in entries] == ["LOADED"]

    def signal(self, number: signal.Signals) -> int:
        """Send a signal to the first process only, as `kill` does; return the exit status when all have ended."""
        assert self._process
        everything = [self.pid, *children_of(self.pid)]
        self._process.send_signal(number)
        status = self._process.wait(30)
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in everything), "the processes to end")
        return status

    def kill(self) -> None:
        """SIGKILL every process at once, as a power cut does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        if self._process:
            self._process.wait()

    def stop(self) -> None:
        """Interrupt it, as Ctrl-C does, and kill what is left."""
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.pid, signal.SIGINT)
            if self._process:
                self._process.wait(20)
        self.kill()

    def wait(self, until: Callable[[], Any], what: str) -> Any:
        """Wait until something holds; return what it gave."""
        try:
            return wait_for(until, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.said[-6000:]}") from None

    def runs_of(self, tag: str, value: str) -> list[dict[str, Any]]:
        """Return runs that have a tag, the newest first."""
        wanted = {"tags": [{"key": tag, "value": value}]}
        return list(self.poll(_RUNS, filter=wanted)["runsOrError"]["results"])

    def backfill_ranges(self, months: Mapping[str, tuple[str, str]]) -> str:
        """Launch one backfill of datasets' whole chains, each with a range of its own; return its id."""
        wanted = [
            {
                "assetKey": {"path": [name, step]},
                "partitions": {"range": {"start": f"{first}-01", "end": f"{last}-01"}},
            }
            for name, (first, last) in months.items()
            for step in STEPS
        ]
        return _id_in(self.poll(_BACKFILL, params={"partitionsByAssets": wanted})["launchPartitionBackfill"])

    def backfill_again(self, backfill: str) -> str:
        """Launch a backfill of what another did not get done; return its id."""
        params = {"parentRunId": backfill, "strategy": "FROM_FAILURE"}
        return _id_in(self.poll(_AGAIN, params=params)["reexecutePartitionBackfill"])

    def wait_for_backfill(self, backfill: str) -> str:
        """Wait until a backfill has ended; return how."""

        def ended() -> str:
            status = self.backfill_status(backfill)
            return "" if status in ("REQUESTED", "CANCELING", "FAILING") else status

        return str(self.wait(ended, f"backfill {backfill} to end"))

    def ledger(self, dataset: str, **settings: str) -> dict[str, dict[str, Any]]:
        """Return the verified ledger by month."""
        rows = json.loads(self.run("taxi-assets", "ledger", dataset, "--verify", "--json", **settings))
        return {row["month"]: row for row in rows}


@contextlib.contextmanager
def dev(folder: Path, settings: Mapping[str, str], command: Sequence[str] = _COMMAND) -> Iterator[Dev]:
    """Start `taxi-assets dev`, or another command that takes a port; stop it at the end."""
    here = Dev(folder, settings, command)
    try:
        here.start()
        yield here
    finally:
        here.stop()


def wait_for(until: Callable[[], Any], what: str) -> Any:
    """Wait until something holds; return what it gave."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if found := until():
                return found
        time.sleep(0.2)
    raise TimeoutError(f"waited {TIMEOUT_SECONDS:.0f} s in vain for {what}")


def children_of(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return [*found, *(each for child in found for each in children_of(child))]


def _id_in(answer: Any) -> str:
    if answer["__typename"] != "LaunchBackfillSuccess":
        raise RuntimeError(str(answer))
    return str(answer["backfillId"])
