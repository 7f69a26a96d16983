"""The demo's source: a web server for made-up months, on this machine only."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from http import HTTPStatus
from pathlib import Path
from typing import Any

from taxi_assets.contracts import DATASETS
from taxi_assets.demo.place import ZONES_PATH
from taxi_assets.demo.sample import write_month
from taxi_assets.demo.zones import lookup
from taxi_assets.months import Month

ROWS = {"yellow": 20_000, "green": 5_000, "fhv": 5_000, "fhvhv": 5_000}
DAMAGED = 3
"""Lines of each month that cannot be read."""

MONTHS_BEHIND = 2
"""As TLC's, the newest month is two months old."""

_MONTH = re.compile(r"(\w+)/\1_tripdata_(\d{4}-\d{2})\.csv\.gz")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
        pass


class _MadeUp(_Quiet):
    """Makes a month when it is first asked for."""

    def send_head(self) -> Any:
        """Answer GET and HEAD."""
        make(Path(self.directory), self.path.lstrip("/"))
        return super().send_head()

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        """Show no folder."""
        self.send_error(HTTPStatus.NOT_FOUND)


def make(folder: Path, path: str) -> None:
    """Write the file that a path names, if the source has it and it is not there."""
    file = folder / path
    if path == ZONES_PATH and not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(lookup(), "utf-8")
    if (found := _MONTH.fullmatch(path)) and found[1] in ROWS and not file.exists():
        month, today = Month.parse(found[2]), date.today()  # noqa: DTZ011 - days, by this machine's calendar
        if DATASETS[found[1]].first_month <= month <= Month.of(today).plus(-MONTHS_BEHIND):
            draft = file.with_name(f"{threading.get_ident()}.{file.name}")
            write_month(draft, found[1], month, ROWS[found[1]], damaged=DAMAGED).replace(file)


@contextlib.contextmanager
def serving(folder: Path, *, made_up: bool = False) -> Iterator[str]:
    """Serve a folder until the context ends; give its address.

    Args:
        folder: The folder.
        made_up: Make months and zones that are not there when they are asked for.
    """
    handler = functools.partial(_MadeUp if made_up else _Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def start_source(folder: Path) -> str:
    """Serve made-up months from a process of its own, for as long as this process lives; return its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.fileno()
        words = [sys.executable, "-m", "taxi_assets.demo.server", str(folder), str(number), str(os.getpid())]
        subprocess.Popen(words, pass_fds=[number], start_new_session=True)  # noqa: S603 - fixed words
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


def _serve(folder: str, number: str, parent: str) -> None:
    """Serve on a socket that the parent process opened, until the parent is gone."""
    handler = functools.partial(_MadeUp, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler, bind_and_activate=False)
    server.socket = socket.socket(fileno=int(number))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while os.getppid() == int(parent):
        time.sleep(0.5)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
