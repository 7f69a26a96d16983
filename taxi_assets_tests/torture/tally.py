"""Counting what the torture tests tried."""

from __future__ import annotations

from collections import Counter


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
