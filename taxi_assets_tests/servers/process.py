"""Starts a server program on a free port, waits until it answers, and stops it.

Nothing here knows what the program is.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

START_TIMEOUT_S = 60.0  # bqemulator takes 2.5 s on an idle 2-core machine; a busy CI machine needs much more


def free_port() -> int:
    """Returns a TCP port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: Sequence[str], health_url: str, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs ``command`` while the block lasts; enters the block when ``health_url`` answers 200.

    Args:
        command: Program and arguments.
        health_url: Address asked until it answers 200.
        log: File that receives the program's output; quoted when it fails to start.
        env: The program's whole environment; None hands on this process's own.

    Raises:
        RuntimeError: The program ended, or did not answer within ``START_TIMEOUT_S``.
    """
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, env=env)
    try:
        _wait_until_healthy(process, health_url, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(process: subprocess.Popen[bytes], health_url: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(health_url, timeout=1):
            return  # any other answer than 200 is raised, as an OSError
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} did not start; its last words:\n{log.read_text(errors='replace')[-2000:]}")
