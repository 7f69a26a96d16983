"""Counting what the torture tests tried: one table at the end, of all processes that ran tests.

A whole `make torture` fails if it tried less than `MINIMUM`, or if a row was lost or doubled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

MINIMUM = {"kills": 360, "faults": 150}
LOSSES = "lost or doubled rows"
_FIGURES = pytest.StashKey[Counter[str]]()


class Tally:
    """Figures of one session: each a noun in the plural and a number.

    Args:
        figures: Where they are kept.
    """

    def __init__(self, figures: Counter[str]) -> None:
        self._figures = figures

    def add(self, **more: int) -> None:
        """Add to figures: `tally.add(kills=1, rows_compared=300)`."""
        for name, number in more.items():
            self._figures[name.replace("_", " ")] += number

    def compare(self, wanted: Mapping[str, Sequence[Any]], found: Mapping[str, Sequence[Any]]) -> None:
        """Add the rows that were compared, and those that are missing in a table or there too often."""
        for table in wanted.keys() | found.keys():
            there, here = (Counter(map(repr, tables.get(table, ()))) for tables in (wanted, found))
            self.add(rows_compared=here.total(), lost_or_doubled_rows=((there - here) + (here - there)).total())


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    """Counts what was tried."""
    return Tally(_figures(pytestconfig))


def _figures(config: pytest.Config) -> Counter[str]:
    return config.stash.setdefault(_FIGURES, Counter())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the figures of a process that pytest-xdist started."""
    _figures(node.config).update(getattr(node, "workeroutput", {}).get("torture", {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand over the figures, or fail a whole `make torture` that tried too little or lost something."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["torture"] = dict(_figures(session.config))
    elif _shortfall(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _shortfall(config: pytest.Config) -> list[str]:
    """Return what a whole `make torture` lacks; nothing of a session that was asked for less."""
    if config.getoption("markexpr") != "torture" or config.getoption("keyword") or config.getoption("file_or_dir"):
        return []
    figures = _figures(config)
    lacking = [f"{name}: {least} must be tried" for name, least in MINIMUM.items() if figures[name] < least]
    return [*lacking, *([f"{LOSSES}: there must be none"] if figures[LOSSES] else [])]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures."""
    if figures := _figures(config):
        terminalreporter.section("torture")
        for name, number in sorted(figures.items()):
            terminalreporter.write_line(f"{name:24}{number:>12,}")
        for line in _shortfall(config):
            terminalreporter.write_line(line, red=True)
