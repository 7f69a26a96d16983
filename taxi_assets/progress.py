"""Progress of long work. The command line listens while it runs; by default nobody does."""

from __future__ import annotations

import contextlib
import threading
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


WAIT_SECONDS = 2.0
"""Shorter waits are not reported."""

Listener = Callable[[Step], None]
WaitListener = Callable[[str], None]
_listeners: list[tuple[Listener, WaitListener]] = []


@contextlib.contextmanager
def listening(listener: Listener, wait_listener: WaitListener) -> Iterator[None]:
    """Call a listener with every step, and another with what is waited for, until the context ends."""
    both = listener, wait_listener
    _listeners.append(both)
    try:
        yield
    finally:
        _listeners.remove(both)


@contextlib.contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Notify of what is waited for, once, if the context takes longer than `WAIT_SECONDS`."""
    if not _listeners:
        yield
        return
    timer = threading.Timer(WAIT_SECONDS, notify_of_wait, [what])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def notify_of_wait(what: str) -> None:
    """Call all listeners with what is waited for."""
    for _, listener in _listeners:
        listener(what)


def notify(step: Step) -> None:
    """Call all listeners."""
    for listener, _ in _listeners:
        listener(step)
