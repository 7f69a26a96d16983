"""How much of the machine a process may use."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

_IDLE_MIB = 200
"""MiB of an idle process that has loaded Dagster, pyarrow and DuckDB."""
LOAD_MEMORY_MIB = 112
"""MiB with which DuckDB loads the largest month; 400 are no faster (16.4 million rows, 15 s of processor time)."""


@dataclass(frozen=True)
class ResourceLimits:
    """How much of the machine one process may use.

    Attributes:
        memory: MiB of the whole process.
        threads: Processor cores.
    """

    memory: int
    threads: int

    @property
    def query_memory(self) -> int:
        """MiB for a query: all that an idle process leaves, because a median holds every value."""
        return self.memory - _IDLE_MIB


def machine_memory() -> int:
    """Return the MiB of memory of this machine, or of this container if it has less."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # absent, or `max`
            sizes.append(int(Path(limit).read_text("ascii")))
    return min(sizes) >> 20
