"""How far a command's work has come: a bar with rate and time left on a terminal, else a line for each month."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator, Sequence

from rich.console import Console

from taxi_assets import progress
from taxi_assets.months import Month

_DOWNLOAD = 0.5
"""Share of a month's bar that its download fills; on a slow link it is nearly all of the time."""


@contextlib.contextmanager
def show_progress(console: Console, dataset: str, months: Sequence[Month], steps: int) -> Iterator[None]:
    """Show how far months have come until the context ends.

    Args:
        console: Where to show it.
        dataset: Name of the dataset.
        months: Its months.
        steps: How many assets a month passes; each tells when it is done.
    """
    if console.is_terminal:
        with _bar(console, dataset, months, steps):
            yield
        return

    began: dict[Month, float] = {}

    def line(step: progress.Step) -> None:
        if step.status:
            console.print(f"{dataset} {step.month}: {step.status.replace('_', ' ')}")
        elif step.bytes and time.monotonic() > began.setdefault(step.month, time.monotonic()) + progress.WAIT_SECONDS:
            began[step.month] = math.inf  # once is enough
            console.print(f"{dataset} {step.month}: downloading, {_megabytes(step)}")

    with progress.listening(line, lambda what: console.print(f"waiting for {what}")):
        yield


@contextlib.contextmanager
def _bar(console: Console, dataset: str, months: Sequence[Month], each: int) -> Iterator[None]:
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    made: dict[Month, int] = {}
    received: dict[Month, int] = {}
    shares: dict[Month, float] = {}
    started = 0.0  # of the first download
    with _apart(console) as apart, Progress(*columns, console=apart, transient=True) as bar:
        task = bar.add_task(dataset, total=float(len(months)), rate="")

        def draw(step: progress.Step) -> None:
            nonlocal started
            month, text = step.month, f"{dataset} {step.month}"
            made[month] = made.get(month, 0) + step.done
            shares[month] = max(shares.get(month, 0.0), _share(step, made[month], each))
            rate = ""
            if step.bytes:
                started = started or time.monotonic()
                received[month] = step.bytes
                text += f", {_megabytes(step)}"
                rate = f"{sum(received.values()) / 1e6 / max(time.monotonic() - started, 0.001):,.1f} MB/s"
            bar.update(task, completed=sum(shares.values()), description=text, rate=rate)

        with progress.listening(draw, lambda what: bar.console.print(f"waiting for {what}")):
            yield


@contextlib.contextmanager
def _apart(console: Console) -> Iterator[Console]:
    """Give a console of the same terminal that stays visible while Dagster captures what a step prints."""
    try:
        number = os.dup(console.file.fileno())
    except OSError:  # a console in memory
        yield console
        return
    with os.fdopen(number, "w", encoding="utf-8") as file:
        yield Console(file=file, highlight=False, soft_wrap=True)


def _megabytes(step: progress.Step) -> str:
    of = f" of {step.size / 1e6:,.0f}" if step.size else ""
    return f"{step.bytes / 1e6:,.0f}{of} MB"


def _share(step: progress.Step, made: int, each: int) -> float:
    """Return how much of a month is done, from 0 to 1."""
    if step.status:
        return 1.0
    if made == 0:
        return _DOWNLOAD * min(1.0, step.bytes / step.size) if step.size else 0.0
    return _DOWNLOAD + (1 - _DOWNLOAD) * min(1.0, made / each)
