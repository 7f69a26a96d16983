"""BigQuery on this machine: bqemulator as a process, with the documented layer in front of it.

Belongs here: the emulator's own environment, starting and stopping. What the layer adds is in
`bigquery_frontend` and `bigquery_load`.

``python -m taxi_assets_tests.servers.bigquery [FOLDER]`` makes the environment and says where it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_assets_tests.servers.bigquery_frontend import BigQueryFront
from taxi_assets_tests.servers.process import free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud import bigquery

    from taxi_assets_tests.servers.credentials import TokenEndpoint
    from taxi_assets_tests.servers.gcs import GcsServer

REQUIREMENTS = Path(__file__).with_name("bqemulator-requirements.txt")
DEFAULT_ENVIRONMENT = Path(__file__).parents[2] / ".venv-bqemulator"


@dataclass
class BigQueryServer:
    """A running BigQuery.

    Attributes:
        url: Value for ``BIGQUERY_EMULATOR_HOST`` and ``api_endpoint``.
        front: The layer: ``deny()``, ``asked``, ``require_credentials``.
    """

    front: BigQueryFront
    _close: contextlib.ExitStack

    @property
    def url(self) -> str:
        """The server's address."""
        return self.front.url

    def client(self, project: str = "throw-away", location: str | None = None) -> bigquery.Client:
        """Returns an official client without credentials."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery

        return bigquery.Client(
            project=project,
            location=location,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.url},
        )

    def stop(self) -> None:
        """Stops the layer and the emulator; twice is once."""
        self._close.close()


@contextlib.contextmanager
def bigquery_server(
    gcs: GcsServer, *, environment: Path = DEFAULT_ENVIRONMENT, tokens: TokenEndpoint | None = None
) -> Iterator[BigQueryServer]:
    """Runs an empty BigQuery that loads from the buckets of ``gcs``.

    Args:
        gcs: Where ``gs://`` URIs lead.
        environment: The emulator's environment; made when it is not there (seconds, with a package cache).
        tokens: The endpoint whose bearer tokens are accepted; None accepts any.
    """
    python = bqemulator_environment(environment)
    port = free_port()
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bigquery-")))
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("BQEMU_", "PYTHON"))},
            "HOME": str(environment / "home"),  # where DuckDB looks for the spatial extension
            "BQEMU_ENABLE_FORMAT_EXTENSIONS": "false",  # Avro: another download, of no use here
            "BQEMU_QUERY_CACHE_TTL_SECONDS": "0",
        }
        command = [
            *(str(python), "-c", "from bqemulator.cli import main; main()", "start", "--ephemeral"),
            *("--rest-port", str(port), "--grpc-port", "0", "--log-level", "warning"),
        ]
        stack.enter_context(running(command, f"http://127.0.0.1:{port}/healthz", work / "log", env))
        front = BigQueryFront(port, tokens, gcs, work)
        stack.callback(front.stop)
        yield BigQueryServer(front, stack)


def bqemulator_environment(folder: Path = DEFAULT_ENVIRONMENT) -> Path:
    """Makes the emulator's environment unless it is there, and returns its Python.

    It is made under another name and renamed when complete, so a half-made one is never used; a change of the
    requirements file makes it anew.

    Raises:
        RuntimeError: It could not be made; the message holds what uv printed.
    """
    stamp = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if _stamp_of(folder) == stamp:
        return python
    with tempfile.TemporaryDirectory(prefix=folder.name + ".", dir=folder.parent) as made_in:
        new = Path(made_in) / "env"
        _make_environment(new)
        (new / "stamp").write_text(stamp)
        if _stamp_of(folder) != stamp and (folder / "pyvenv.cfg").exists():
            shutil.rmtree(folder)  # an older environment; a folder that is none is left alone, and the rename fails
        try:
            new.rename(folder)
        except OSError:
            if _stamp_of(folder) != stamp:  # otherwise another process was first, and its environment will do
                raise
    return python


def _stamp_of(folder: Path) -> str | None:
    try:
        return (folder / "stamp").read_text()
    except OSError:
        return None


def _make_environment(folder: Path) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else "uv"
    python = str(folder / "bin" / "python")
    wanted = sys.executable if sys.version_info >= (3, 11) else ">=3.11"
    home = folder / "home"
    for command in (
        [uv, "venv", "--quiet", "--python", wanted, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", python, "-r", str(REQUIREMENTS)],
        [python, "-c", "from duckdb_extensions import import_extension; import_extension('spatial')"],
    ):
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        if command[0] == python:
            home.mkdir()
            env["HOME"] = str(home)
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        if done.returncode:
            raise RuntimeError(f"the BigQuery emulator's environment could not be made: {command}\n{done.stderr}")


if __name__ == "__main__":
    sys.stdout.write(f"{bqemulator_environment(Path(sys.argv[1]) if sys.argv[1:] else DEFAULT_ENVIRONMENT)}\n")
