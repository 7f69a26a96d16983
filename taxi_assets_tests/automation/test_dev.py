"""`taxi-assets dev` ends, with everything that it started, on the signals that ask for it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxi_assets_tests.automation.daemon import dev


@pytest.fixture
def background() -> Iterator[None]:
    """Start processes as a script's background jobs are: with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_the_background_too(number: signal.Signals, background: None, tmp_path: Path) -> None:
    with dev(tmp_path / "here", {}) as here:
        assert here.signal(number) == 0
