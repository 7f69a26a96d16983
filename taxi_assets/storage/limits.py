"""How much of the machine the work may use: months side by side, and DuckDB within its share.

DuckDB is opened without network and without extensions.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from taxi_assets.settings import MIN_MEMORY_MIB

_IDLE_MIB = 200
"""MiB of a process that has Dagster, pyarrow and DuckDB loaded and does nothing."""
_MONTH_MIB = MIN_MEMORY_MIB - _IDLE_MIB
"""MiB that cleaning a month needs, however large it is (measured: 1.4 and 16.4 million rows)."""
LOAD_MEMORY_MIB = 112
"""MiB with which DuckDB loads the largest month; 400 take as long (16.4 million rows, 15 s of processor time). Queries
may use all that the process has: a median holds every value."""


@dataclass(frozen=True)
class ResourceLimits:
    """How much of the machine the work of one process may use.

    Attributes:
        memory: MiB of the whole process.
        threads: Processor cores.
    """

    memory: int
    threads: int

    @property
    def months_at_once(self) -> int:
        """How many months may be cleaned side by side."""
        return max(1, min(self.threads, (self.memory - _IDLE_MIB) // _MONTH_MIB))

    @contextlib.contextmanager
    def connect(self, spill: Path, database: str = ":memory:", **options: Any) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a connection.

        Args:
            spill: Folder for what does not fit in memory.
            database: File of the database.
            options: Further options of `duckdb.connect`.
        """
        config: dict[str, Any] = {
            "memory_limit": f"{self.memory - _IDLE_MIB}MiB",
            "threads": str(self.threads),
            "temp_directory": str(spill),
            "autoinstall_known_extensions": "false",
            "preserve_insertion_order": "true",
        }
        connection = duckdb.connect(database, config=config, **options)
        try:
            yield connection
        finally:
            connection.close()


def machine_memory() -> int:
    """Return the MiB of memory that this machine has, or this container, if it has less."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # absent, or `max`
            sizes.append(int(Path(limit).read_text("ascii")))
    return min(sizes) >> 20
