"""A deployment by processes: code location (gRPC), webserver and daemon, as the compose file runs them in containers.

Belongs here: starting, killing and asking them. What they must do stands in `taxi_assets_tests/deployment/`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from taxi_assets_tests.servers.graphql import Dagster
from taxi_assets_tests.servers.process import free_port

PROJECT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 60.0
NAMES = ("code", "webserver", "daemon")


class Deployment(Dagster):
    """Three processes that share a home, a database and a working folder that is not the source tree.

    Args:
        python: The interpreter of the environment in which the project is installed.
        folder: Working folder; gets `dagster.yaml` and `workspace.yaml`.
        environment: Settings, added to a bare environment.
        dagster_yaml: Text of the instance's settings.
    """

    def __init__(self, python: Path, folder: Path, environment: Mapping[str, str], dagster_yaml: str) -> None:
        self.folder, self._bin = folder, python.parent
        self.home = folder / "data" / "dagster"
        super().__init__(free_port())
        self._code_port = free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "dagster.yaml").write_text(dagster_yaml)
        (folder / "workspace.yaml").write_text((PROJECT / "deploy/compose/workspace.yaml").read_text())
        self._environment = {
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "HOME": str(folder),
            "TAXI_DATA_DIR": str(folder / "data"),
            "DAGSTER_HOME": str(self.home),
            "CODE_HOST": "127.0.0.1",
            "CODE_PORT": str(self._code_port),
            **environment,
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment to its end.

        Raises:
            RuntimeError: It failed; the message has what it said.
        """
        done = subprocess.run(
            [self._bin / words[0], *words[1:]], cwd=self.folder, env=self._environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def start(self, *names: str) -> None:
        """Start `code`, `webserver` or `daemon`, all by default, and wait for those that answer on a port."""
        ports = {"code": self._code_port, "webserver": self._ui_port}
        for name in names or NAMES:
            words = _command(name, str(ports.get(name, "")))
            with (self.folder / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    [self._bin / words[0], *words[1:]], cwd=self.folder, env=self._environment,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            if name in ports:
                self.wait(lambda name=name: self._answers(name, ports[name]), f"{name} to answer")  # type: ignore[misc]

    def _answers(self, name: str, port: int) -> bool:
        if self._processes[name].poll() is not None:
            raise RuntimeError(f"{name} ended; its log:\n{self.log(name)}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    def pid(self, name: str) -> int:
        """Return the id of a process."""
        return self._processes[name].pid

    def kill(self, name: str) -> None:
        """SIGKILL a process and what it started."""
        process = self._processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """End everything, politely first."""
        for process in self._processes.values():
            process.terminate()
        for name, process in list(self._processes.items()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            self.kill(name)

    def log(self, name: str) -> str:
        """Return the last of what a process said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def wait(self, until: Callable[[], Any], what: str, seconds: float = TIMEOUT_SECONDS) -> Any:
        """Wait until something holds; return what it gave.

        Raises:
            TimeoutError: It did not within the time; the message has the logs' ends.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if found := until():
                    return found
            time.sleep(0.3)
        logs = "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in self.logs())
        raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}\n{logs}")

    def logs(self) -> list[Path]:
        """Return the files of what the processes said."""
        return sorted(self.folder.glob("*.log"))


def _command(name: str, port: str) -> list[str]:
    """Return the words with which a container starts, with this machine's address and a port of the test's."""
    compose = yaml.safe_load((PROJECT / "deploy/compose/compose.yaml").read_text())
    default = re.findall(r"^CMD (\[.*\])$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)[-1]
    words = compose["services"][name].get("command") or json.loads(default)
    return [{"0.0.0.0": "127.0.0.1", "3000": port, "4000": port}.get(word, word) for word in words]


@contextlib.contextmanager
def deployment(
    python: Path, folder: Path, environment: Mapping[str, str], dagster_yaml: str | None = None
) -> Iterator[Deployment]:
    """Migrate, start all three and stop them at the end; the root's `dagster.yaml` unless another text is given."""
    text = dagster_yaml or (PROJECT / "dagster.yaml").read_text()
    here = Deployment(python, folder, environment, text)
    try:
        here.run("taxi-assets", "migrate")
        here.start()
        yield here
    finally:
        here.stop()
