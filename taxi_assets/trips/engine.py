"""The query engine that cleaning and counting run on: DuckDB, within a memory budget, without network or extensions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb


@dataclass(frozen=True)
class Engine:
    """How much of the machine a query may use.

    Attributes:
        memory_limit: DuckDB's limit for its buffers, as `400MB`; the process needs some 100 MB more.
        threads: Threads of one query.
    """

    memory_limit: str = "400MB"
    threads: int = 2

    @contextlib.contextmanager
    def connect(self, spill: Path, database: str = ":memory:", **options: Any) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a connection.

        Args:
            spill: Folder for what does not fit in memory.
            database: File of the database.
            options: Further options of `duckdb.connect`.
        """
        config: dict[str, Any] = {
            "memory_limit": self.memory_limit,
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
