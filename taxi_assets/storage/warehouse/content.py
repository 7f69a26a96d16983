"""Whether two sets of rows hold the same values, whatever their order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from taxi_assets.contracts.schemas import quote

if TYPE_CHECKING:
    import duckdb


def digest(connection: duckdb.DuckDBPyConnection, columns: Iterable[str], rows: str) -> tuple[Any, ...] | None:
    """Return the number of rows and the sum of their 64-bit hashes (0.1 s for 1.37 M trips).

    A sum does not depend on the order, and unlike XOR it sees a row that is there twice. Hashes differ between versions
    of DuckDB, so compare only what one process has computed. The columns are in the same order for both sets; `rows` is
    what stands after FROM.
    """
    names = ", ".join(map(quote, columns))
    return connection.execute(f"SELECT count(*), sum(hash({names})::HUGEINT) FROM {rows}").fetchone()
