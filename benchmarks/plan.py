"""The ways that are measured, and with which inputs: the one table that a new way is added to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import cloud, postgres, product, ways
from benchmarks.inputs import INPUTS

_CSV, _MONTHS, _ALL = ("CSV",), ("CSV", "Parquet"), tuple(INPUTS)
LARGE = tuple(name for name in INPUTS if name not in _MONTHS)
"""Inputs of 12 million rows and more, the largest month of each kind; measured in the first round only."""


@dataclass(frozen=True)
class Way:
    """A way of doing the work.

    Attributes:
        function: Does the work in a process of its own; or returns a command that does, with its settings.
        inputs: Names of the inputs it is measured with.
        ours: Whether it is this project's.
        command: Whether the function returns a command.
        once: Whether it is so slow that the first round must do.
    """

    function: Callable[[Path, Path], Any]
    inputs: tuple[str, ...]
    ours: bool = False
    command: bool = False
    once: bool = False


WAYS = {
    "tutorial pandas": Way(ways.tutorial_pandas, _CSV),
    "polars": Way(ways.polars_stream, _ALL),
    "duckdb COPY": Way(ways.duckdb_copy, _ALL),
    "pyarrow": Way(ways.pyarrow_stream, _MONTHS),
    "dlt": Way(ways.dlt_to_duckdb, _ALL),
    "cleaning": Way(product.cleaning, _ALL, ours=True),
    "local chain": Way(product.local_chain, ("CSV", "Parquet", "CSV, large"), ours=True),
    "gcp chain": Way(cloud.gcp_chain, _CSV, ours=True),
    "stock dagster-gcp": Way(cloud.stock_io_managers, _CSV),
    "COPY": Way(postgres.load_by_copy, _CSV, ours=True),
    "to_sql": Way(postgres.load_by_to_sql, _CSV, once=True),
    "run command": Way(product.run_month, _ALL, ours=True, command=True),
    "run command, 400MB": Way(product.run_limited, LARGE, ours=True, command=True),
}


def plan(round_: int, *, quick: bool) -> list[tuple[str, str]]:
    """Return the ways and inputs of a round, in reverse order every second time.

    Args:
        round_: Number of the round, from 0.
        quick: Leave out the large inputs and what takes a minute.
    """
    steps = [
        (name, given)
        for name, way in WAYS.items()
        for given in way.inputs
        if not (way.once or given in LARGE) or (round_ == 0 and not quick)
    ]
    return steps if round_ % 2 == 0 else steps[::-1]
