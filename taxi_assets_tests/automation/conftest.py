"""The world of the automation tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taxi_assets.settings import Settings
from taxi_assets_tests.automation.world import World, make_instance
from taxi_assets_tests.servers.http_source import HttpSource, http_source


@pytest.fixture
def site() -> Iterator[HttpSource]:
    """Run a source."""
    with http_source() as running:
        yield running


@pytest.fixture
def make_world(site: HttpSource, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Make worlds with settings of their own, all on one instance."""
    own = {"csv_url": f"{site.url}/{{dataset}}_{{year}}-{{month:02}}.csv.gz", "source": "csv", "attempts": 2}
    settings = Settings.from_environment().model_copy(update=own)
    with make_instance(tmp_path / "home") as instance:

        def make(names: tuple[str, ...] = ("yellow", "green"), **changed: Any) -> World:
            return World(site, settings.model_copy(update=changed), instance, names)

        yield make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """Yellow and green, from 2023 on."""
    from taxi_assets.months import Month

    return make_world(automation_since=Month(2023, 1))
