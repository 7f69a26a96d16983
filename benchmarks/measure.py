"""What a process took: wall time and peak memory as the operating system has them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One process, or the medians of several.

    Attributes:
        wall: Seconds from start to end.
        memory: Peak resident memory in MiB, 0 if it was not measured.
        work: Seconds of the work without start-up, by the way's own clock; 0 if it has none.
        bytes: Size of the file it wrote, 0 if it did not say.
    """

    wall: float
    memory: float = 0
    work: float = 0
    bytes: int = 0


def measure(command: Sequence[str], environment: Mapping[str, str]) -> tuple[Figure, str]:
    """Run a process and return what it took, and its standard output.

    Raises:
        SystemExit: It failed.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{output}")
    last = output.strip().splitlines()[-1] if output.strip() else ""
    result = json.loads(last) if last.startswith("{") else {}
    return Figure(wall, usage.ru_maxrss / 1024, result.get("seconds", 0), result.get("bytes", 0)), output


def median(runs: Sequence[Figure]) -> Figure:
    """Return the median of each figure."""
    wall, memory, work = (statistics.median(getattr(run, name) for run in runs) for name in ("wall", "memory", "work"))
    return Figure(wall, memory, work, runs[0].bytes)
