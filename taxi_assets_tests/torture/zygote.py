"""A process that has imported everything and has no threads: each trial of a kill matrix is a fork of it.

A `taxi-assets` command takes 3 s to start and 1 s to run; a fork of this starts at once. It reads an order a line from
its standard input, and answers each with a line: how the command went, and the changes it made or was about to make.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from taxi_assets_tests.torture.moments import KILL, PASS, Change, watch

_NEEDED = (
    "duckdb",
    "pyarrow.parquet",
    "requests",
    "taxi_assets.instance.runs",
    "taxi_assets.cli.common",
    "taxi_assets.cli.progress",
    "taxi_assets.definitions",
    "taxi_assets.assets.monthly",
    "taxi_assets.assets.report",
    "taxi_assets.assets.zones",
    "taxi_assets.io_managers.stores",
    "dagster._core.storage.sqlite_storage",
)
_WRITES = {"write", "pwrite", "writev", "pwritev", "sendfile", "copy_file_range", "fallocate", "openat", "mkdir"}


def main(more: list[str]) -> None:
    """Import what is needed, and more; then do as told until the input ends."""
    for name in (*_NEEDED, *more):
        importlib.import_module(name)
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        raise RuntimeError(f"a process of {threads} threads cannot be forked")
    answers = os.fdopen(os.dup(1), "w")
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            watched = watch(lambda order=order: _command(order), Path(order["folder"]), _fate(order), order["limit"])
            answer: dict[str, Any] = {
                "status": watched.status,
                "changes": [(change.call, change.what) for change in watched.changes],
            }
        except TimeoutError as error:
            answer = {"status": None, "changes": [], "error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)


def _fate(order: dict[str, Any]) -> Any:
    """Return what becomes of changes: those before `at` pass; then a kill, or an `errno` for every write from there."""
    at, error = order["at"], order["error"]

    def decide(number: int, change: Change) -> int:
        if not at or number < at:
            return PASS
        if not error:
            return KILL
        return error if change.call in _WRITES and change.what != "a socket" else PASS

    return decide


def _command(order: dict[str, Any]) -> int:
    """Be `taxi-assets`."""
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["working_folder"])
    from rich.console import Console

    from taxi_assets.cli import common
    from taxi_assets.cli import main as cli

    common.out.file, common.err.file = sys.stdout, sys.stderr
    assert isinstance(common.out, Console)
    try:
        return cli.main(order["arguments"])
    except BaseException:  # noqa: BLE001 - the child says what it was, and ends
        traceback.print_exc()
        return 98
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
