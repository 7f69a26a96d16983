"""What ticks leave behind in the code location's process, which evaluates one after the other for months."""

from __future__ import annotations

import gc

import dagster as dg
import pytest
from sqlalchemy.engine import Dialect

from taxi_assets.instance.home import migrate
from taxi_assets.settings import Settings
from taxi_assets_tests.automation.world import World

pytest_plugins = ["taxi_assets_tests.servers.fixtures_postgres"]


def dialects() -> int:
    """Count SQLAlchemy's dialects, one for each storage of each instance that something still refers to."""
    gc.collect()
    return sum(issubclass(type(each), Dialect) for each in gc.get_objects())


def test_a_tick_without_news_leaves_nothing_of_its_instance_behind(
    world: World, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres_url)
    migrate(Settings.from_environment())

    def dialects_after_ticks(sensor: str, number: int) -> int:
        for _ in range(number):
            with dg.DagsterInstance.get() as world.instance:
                world.tick(sensor, "2023-03-10T05:00")
        return dialects()

    names = [each.name for each in world.definitions.get_repository_def().sensor_defs if each.name != "downstream"]
    assert len(names) == 7
    grown = {name: -dialects_after_ticks(name, 2) + dialects_after_ticks(name, 3) for name in names}
    assert grown == dict.fromkeys(names, 0)
