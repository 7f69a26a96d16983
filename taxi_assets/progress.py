"""Who is told how far long work has come. By default no one; the command line listens while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from taxi_assets.months import Month


@dataclass(frozen=True)
class Step:
    """How far one month has come.

    Attributes:
        dataset: Name of the dataset.
        month: The month.
        done: Whether a station has made the month, or put it away: each tells twice.
        bytes: Bytes received so far, while it is downloaded.
        size: Bytes expected, 0 if unknown.
    """

    dataset: str
    month: Month
    done: bool = False
    bytes: int = 0
    size: int = 0


Listener = Callable[[Step], None]
_listeners: list[Listener] = []


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call the listener for every step until the context ends."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def notify(step: Step) -> None:
    """Tell the listeners."""
    for listener in _listeners:
        listener(step)
