"""The targets: ratios of figures from one run, each with a limit that holds and a goal to reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.measure import Figure
from benchmarks.plan import LARGE

Key = tuple[str, str]
Value = Callable[[Mapping[Key, Figure]], float]


@dataclass(frozen=True)
class Target:
    """A ratio or figure with its bounds.

    Attributes:
        name: What is measured.
        value: The value, from the figures.
        limit: The bound that it must keep; 0 for none.
        goal: The bound to reach; 0 for none.
        unit: Of the value.
        least: Whether the bounds are the least values, not the greatest.
    """

    name: str
    value: Value
    limit: float = 0
    goal: float = 0
    unit: str = "x"
    least: bool = False

    @property
    def side(self) -> str:
        """The sign before the bounds."""
        return "≥" if self.least else "≤"

    def outcome(self, value: float) -> str:
        """Return whether the value reaches the goal, or keeps the limit."""
        goal, limit = (
            not bound or (value >= bound if self.least else value <= bound) for bound in (self.goal, self.limit)
        )
        if goal and limit:
            return "met"
        return "within the limit" if limit and self.limit else "missed"


def _ratio(of: str, way: Key, base: Key) -> Value:
    return lambda figures: float(getattr(figures[way], of) / getattr(figures[base], of))


def _largest(way: str) -> Value:
    return lambda figures: max(figures[way, given].memory for given in LARGE)


_COPY, _CLEANING, _CHAIN = ("duckdb COPY", "CSV"), ("cleaning", "CSV"), ("local chain", "CSV")
_PANDAS, _COMMAND, _DLT = ("tutorial pandas", "CSV"), ("run command", "CSV"), ("dlt", "CSV")
_COMMAND_PARQUET, _DLT_PARQUET = ("run command", "Parquet"), ("dlt", "Parquet")
_LARGE, _LARGE_CHAIN = ("cleaning", "CSV, large"), ("local chain", "CSV, large")

TARGETS = (
    Target("run command / dlt, CSV, whole process", _ratio("wall", _COMMAND, _DLT), goal=0.8),
    Target("run command / dlt, Parquet, whole process", _ratio("wall", _COMMAND_PARQUET, _DLT_PARQUET), goal=0.8),
    Target("run command / dlt, CSV, memory", _ratio("memory", _COMMAND, _DLT), goal=0.7),
    Target("run command / dlt, Parquet, memory", _ratio("memory", _COMMAND_PARQUET, _DLT_PARQUET), goal=0.7),
    Target("run command / duckdb COPY, CSV, whole process", _ratio("wall", _COMMAND, _COPY), limit=2.9),
    Target("cleaning / duckdb COPY, CSV, time", _ratio("work", _CLEANING, _COPY), limit=1.25, goal=0.75),
    Target(
        "cleaning / duckdb COPY, Parquet, time",
        _ratio("work", ("cleaning", "Parquet"), ("duckdb COPY", "Parquet")),
        goal=1.0,
    ),
    Target("local chain / duckdb COPY, CSV, time", _ratio("work", _CHAIN, _COPY), limit=2.5, goal=1.5),
    Target("tutorial pandas / cleaning, time", _ratio("work", _PANDAS, _CLEANING), limit=8, least=True),
    Target("cleaning / tutorial pandas, memory", _ratio("memory", _CLEANING, _PANDAS), limit=1 / 3),
    Target("run command, 400MB, largest inputs, memory", _largest("run command, 400MB"), goal=400, unit="MiB"),
    Target("local chain of 16.4 M rows, memory", lambda f: f[_LARGE_CHAIN].memory, limit=512, unit="MiB"),
    Target("cleaning 16.4 M / 1.4 M rows, memory", _ratio("memory", _LARGE, _CLEANING), limit=1.15),
    Target("local chain 16.4 M / 1.4 M rows, memory", _ratio("memory", _LARGE_CHAIN, _CHAIN), limit=1.15),
    Target("local chain 16.4 M / 1.4 M rows, time", _ratio("work", _LARGE_CHAIN, _CHAIN), limit=12.5),
    Target("cleaned / tutorial's gzip Parquet, size", _ratio("bytes", _CLEANING, _PANDAS), limit=1.0),
    Target(
        "run of one month of 10,000 rows, whole process",
        lambda f: f["1 month", "small"].wall,
        limit=4,
        goal=1.8,
        unit="s",
    ),
    Target(
        "each further month of 10,000 rows",
        lambda f: (f["13 months", "small"].wall - f["1 month", "small"].wall) / 12,
        limit=0.7,
        unit="s",
    ),
    Target(
        "second run of 24 unchanged months, a month",
        lambda f: f["24 unchanged", "small"].work / 24,
        limit=0.1,
        unit="s",
    ),
    Target("to_sql / Postgres COPY, time", _ratio("work", ("to_sql", "CSV"), ("COPY", "CSV")), limit=20, least=True),
)
"""Of the ways."""

ARCHIVE = "archive"
"""The input of the figures of growth."""


def _of_archive(*names: str) -> Value:
    return lambda figures: max(figures[name, ARCHIVE].wall for name in names)


FIRST, LAST, LEDGER, PAGE = "a month, the first ten", "a month, the last ten", "ledger", "asset page"
TICKS = {
    "publication": "publication sensor",
    "lake": "lake sensor",
    "watchdog": "watchdog sensor",
    "retries": "retry sensor",
    "yellow_missing_months": "schedule of yellow",
}
"""Sensors and schedules whose ticks are measured, and what the tables call them."""

GROWTH_TARGETS = (
    Target("a month, last ten / first ten", _ratio("wall", (LAST, ARCHIVE), (FIRST, ARCHIVE)), goal=1.2),
    Target("ledger of the archive", _of_archive(LEDGER), goal=2, unit="s"),
    Target("the slowest tick of a sensor or schedule", _of_archive(*TICKS.values()), goal=10, unit="s"),
    Target("asset page", _of_archive(PAGE), goal=2, unit="s"),
)
