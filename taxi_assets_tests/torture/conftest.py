"""What the torture tests share: a source, and the figures that `make torture` prints at its end."""

from __future__ import annotations

from collections import Counter

import pytest

from taxi_assets.demo.sample import write_month
from taxi_assets.months import parse_months
from taxi_assets_tests.torture.moments import why_not
from taxi_assets_tests.torture.tally import Tally

_FIGURES = pytest.StashKey[Counter[str]]()


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    """Counts what was tried, for the figures at the end."""
    return Tally(pytestconfig.stash.setdefault(_FIGURES, Counter()))


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings of a source of two months; they are worked on one after the other, always in the same order."""
    if reason := why_not():
        pytest.skip(reason)
    site = tmp_path_factory.mktemp("site")
    for month in parse_months("2021-01..2021-02"):
        write_month(site / f"yellow_{month}.csv.gz", "yellow", month, 300, damaged=2)
    address = f"file://{site}/{{dataset}}_{{year}}-{{month:02}}.csv.gz"
    return {"TAXI_CSV_URL": address, "TAXI_SOURCE": "csv", "TAXI_THREADS": "1"}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures, where tests were run in this process."""
    figures = config.stash.get(_FIGURES, None)
    if not figures:
        return
    terminalreporter.section("torture")
    for name, number in figures.items():
        terminalreporter.write_line(f"{name:24}{number:>12,}")
    lost = [*terminalreporter.stats.get("failed", []), *terminalreporter.stats.get("error", [])]
    terminalreporter.write_line(f"{'losses or duplicates':24}{'see the failures' if lost else '0':>12}")
