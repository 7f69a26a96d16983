"""Progress of long work. The command line listens while it runs; by default nobody does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from taxi_assets.months import Month


@dataclass(frozen=True)
class Step:
    """Progress of one month.

    Attributes:
        dataset: Name of the dataset.
        month: The month.
        done: Whether an asset is done with the month; each notifies once.
        bytes: Bytes received so far in the download.
        size: Bytes expected, 0 if unknown.
        status: What became of the month, once nothing more is done for it: landed, failed, ...
    """

    dataset: str
    month: Month
    done: bool = False
    bytes: int = 0
    size: int = 0
    status: str = ""


Listener = Callable[[Step], None]
_listeners: list[Listener] = []


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call a listener with every step until the context ends."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def notify(step: Step) -> None:
    """Call all listeners."""
    for listener in _listeners:
        listener(step)
