"""Dagster's UI as `taxi-assets dev` starts it, and a browser to look at it; for tests and for docs/screenshots.py."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_assets_tests.servers.process import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROJECT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 180.0  # a start takes 8 s on two idle cores, half a minute among other tests
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str | None:
    """Return the path of Debian's Chromium, or of another one; None if there is none."""
    found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    return next(filter(None, found), None)


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Run a headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=list(_FLAGS))
        yield running
        running.close()


@contextlib.contextmanager
def dagster_ui(settings: Mapping[str, str], log: Path) -> Iterator[str]:
    """Run `taxi-assets dev`, webserver and daemon, while the block lasts; give its address.

    Args:
        settings: Variables, added to this process's own.
        log: File that receives what it says.

    Raises:
        RuntimeError: It ended or does not answer.
    """
    port = free_port()
    command = [sys.executable, "-m", "taxi_assets.cli.main", "dev", "--port", str(port)]
    with log.open("wb") as sink:  # a process group of its own: signals to the first process alone leave its children
        process = subprocess.Popen(
            command, cwd=PROJECT, env={**os.environ, **settings}, stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}/server_info", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + TIMEOUT_SECONDS
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"`taxi-assets dev` does not answer:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.2)
