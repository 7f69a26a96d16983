"""What follows from an object in the lake: its table, whoever put it there and whatever its month."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import duckdb
import pyarrow.parquet as pq
import pytest
from dagster._core.test_utils import freeze_time

from taxi_assets.demo.zones import lookup
from taxi_assets.instance.runs import run_zones
from taxi_assets.months import Month
from taxi_assets.records import LakeObject
from taxi_assets.storage.lake.folder import FolderLake
from taxi_assets.transform import quality
from taxi_assets.transform.quality import CheckResult
from taxi_assets_tests.automation.world import World, at, statuses

TO_LAKE = ("raw_file", "cleaned_parquet", "gcs_object")
TABLE, ZONES = dg.AssetKey(["yellow", "bigquery_table"]), dg.AssetKey("taxi_zones")
LONG_AFTER = "2023-09-20T10:00"  # January is seven partitions before the latest


class Downstream:
    """The sensor `downstream`, tick by tick."""

    def __init__(self, world: World) -> None:
        self._world, self._cursor = world, None
        self.requested(LONG_AFTER)  # the first tick only looks

    def requested(self, now: str = LONG_AFTER) -> list[str]:
        """Evaluate the conditions; return the months of yellow's table that are requested."""
        done = dg.evaluate_automation_conditions(
            self._world.definitions, self._world.instance, evaluation_time=at(now), cursor=self._cursor
        )
        self._cursor = done.cursor
        return sorted(key[:7] for key in done.get_requested_partitions(TABLE))


@pytest.fixture
def lake(world: World) -> Path:
    """The folder that stands for the bucket."""
    return world.settings.lake_dir


def object_of(lake: Path, dataset: str, month: str) -> Path:
    return lake / f"data/{dataset}/{dataset}_tripdata_{month}.parquet"


def rows_in_table(world: World, month: str) -> int:
    with duckdb.connect(str(world.settings.duckdb_path), read_only=True) as warehouse:
        sql = "SELECT count(*) FROM nyc_tlc.yellow_trips WHERE source_month = ?"
        return warehouse.execute(sql, [f"{month}-01"]).fetchone()[0]  # type: ignore[index]


def test_a_month_that_only_went_to_the_lake_is_followed_by_its_table_however_old_it_is(world: World) -> None:
    world.publish("yellow", "2023-01,2023-02")
    downstream = Downstream(world)
    world.land_all("yellow", "2023-01", "2023-02", steps=TO_LAKE)
    assert downstream.requested() == ["2023-01", "2023-02"]
    world.land_all("yellow", "2023-01", "2023-02", steps=["bigquery_table"])
    assert world.loaded("yellow") == ["2023-01", "2023-02"]
    assert downstream.requested() == []


def test_nothing_follows_a_month_of_which_a_blocking_check_failed(world: World) -> None:
    world.publish("yellow", "2023-01,2023-02")
    downstream = Downstream(world)
    lost = CheckResult(passed=False, text="1 row was lost")
    with patch.object(quality, "check_object", return_value=lost):
        assert statuses([world.land("yellow", "2023-01", steps=TO_LAKE)]) == ["FAILURE"]
    world.land("yellow", "2023-02", steps=TO_LAKE)
    assert downstream.requested() + downstream.requested() == ["2023-02"]


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        (True, ["01T10:00", "04T05:01", "11T05:01"]),  # the 4th and the 11th were Mondays
        (False, ["01T10:00", "02T10:00", "04T04:59", "04T05:01", "11T05:01"]),
    ],
)
def test_the_zones_land_when_there_are_none_and_every_monday_and_are_tried_daily(
    published: bool, expected: list[str], world: World, make_world: Callable[..., World]
) -> None:
    world, cursor, requested = make_world(zones_url=f"{world.site.url}/zones.csv"), None, []
    if published:
        world.site.files["/zones.csv"] = lookup().encode()
    for moment in ("01T10:00", "01T10:01", "02T10:00", "02T10:01", "04T04:59", "04T05:01", "04T05:02", "11T05:01"):
        now = at(f"2023-09-{moment}")
        done = dg.evaluate_automation_conditions(
            world.definitions, world.instance, dg.AssetSelection.assets(ZONES), evaluation_time=now, cursor=cursor
        )
        cursor = done.cursor
        if done.total_requested:
            requested.append(moment)
            with freeze_time(now):
                assert run_zones(world.definitions, world.instance).success == published
    assert requested == expected


def test_dagsters_own_eager_condition_would_have_left_the_month_behind(world: World) -> None:
    world.publish("yellow", "2023-01")
    asset = dg.AssetSpec(TABLE, deps=[["yellow", "gcs_object"]], partitions_def=_partitions(world))
    eager = dg.Definitions(
        [
            dg.AssetSpec(["yellow", "gcs_object"], partitions_def=asset.partitions_def),
            _materializable(asset.replace_attributes(automation_condition=dg.AutomationCondition.eager())),
        ]
    )
    first = dg.evaluate_automation_conditions(eager, world.instance, evaluation_time=at(LONG_AFTER))
    world.land("yellow", "2023-01", steps=TO_LAKE)
    done = dg.evaluate_automation_conditions(eager, world.instance, evaluation_time=at(LONG_AFTER), cursor=first.cursor)
    assert done.total_requested == 0


def _partitions(world: World) -> dg.PartitionsDefinition:
    found = world.definitions.resolve_asset_graph().get(TABLE).partitions_def
    assert found is not None
    return found


def _materializable(spec: dg.AssetSpec) -> dg.AssetsDefinition:
    @dg.multi_asset(specs=[spec])
    def table() -> None:
        pass

    return table


def test_a_run_that_loads_the_table_itself_is_followed_by_nothing(world: World) -> None:
    world.publish("yellow", "2023-01,2023-02")
    downstream = Downstream(world)
    world.land("yellow", "2023-01")
    assert downstream.requested() == []
    # a job's run, which has no selection of assets
    world.definitions.resolve_job_def("yellow_everything").execute_in_process(
        instance=world.instance, partition_key="2023-02-01"
    )
    assert world.loaded("yellow") == ["2023-01", "2023-02"]
    assert downstream.requested() == []


def test_a_month_whose_load_failed_is_not_requested_again_before_its_object_changes(world: World, lake: Path) -> None:
    world.publish("yellow", "2023-01")
    downstream = Downstream(world)
    world.land("yellow", "2023-01", steps=TO_LAKE)
    assert downstream.requested() == ["2023-01"]
    object_of(lake, "yellow", "2023-01").write_bytes(b"damaged")
    assert world.land("yellow", "2023-01", steps=["bigquery_table"]).status == dg.DagsterRunStatus.FAILURE
    assert downstream.requested() == []
    world.land("yellow", "2023-01", steps=["gcs_object"])
    assert downstream.requested() == ["2023-01"]


def test_an_object_that_someone_else_put_is_loaded_once(world: World, lake: Path) -> None:
    world.publish("yellow", "2023-01,2023-02", rows=30)
    world.land("yellow", "2023-01")
    elsewhere = _made_elsewhere(world, lake, "2023-02")
    shutil.copyfile(elsewhere, object_of(lake, "yellow", "2023-02"))
    tick = world.tick("lake", LONG_AFTER)
    assert [request.job_name for request in tick.requests] == ["yellow_gcs_to_bigquery"]
    assert tick.months == ["yellow 2023-02"]
    assert statuses(world.run(tick)) == ["SUCCESS"]
    assert rows_in_table(world, "2023-02") == 30
    assert world.tick("lake", "2023-09-20T10:02").skipped == "no one else has put an object"


def test_an_object_that_someone_else_replaced_is_loaded_and_our_own_is_not(world: World, lake: Path) -> None:
    world.publish("yellow", "2023-01", rows=30)
    world.land("yellow", "2023-01")
    assert world.tick("lake", LONG_AFTER).skipped == "no one else has put an object"
    ours = object_of(lake, "yellow", "2023-01")
    pq.write_table(pq.read_table(ours, partitioning=None).slice(0, 20), ours)
    world.run(world.tick("lake", "2023-09-20T10:02"))
    assert rows_in_table(world, "2023-01") == 20
    world.land("yellow", "2023-01")  # by hand; our own object again
    assert rows_in_table(world, "2023-01") == 30
    assert world.tick("lake", "2023-09-20T10:04").skipped == "no one else has put an object"


def test_an_object_that_is_no_parquet_file_is_noted_and_no_run_is_requested_for_it(world: World, lake: Path) -> None:
    bad = object_of(lake, "yellow", "2023-01")
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"<html>Sign in</html>")
    (lake / "data/yellow/notes.parquet").write_bytes(b"not a month's name")
    tick = world.tick("lake", LONG_AFTER)
    assert tick.requests == []
    assert "yellow 2023-01: the object is not a readable Parquet file" in tick.skipped
    assert world.tick("lake", "2023-09-20T10:02").skipped == "no one else has put an object"


@pytest.mark.parametrize("name", ["yellow_tripdata_2018-13.parquet", "yellow_tripdata_0000-01.parquet", "odd.parquet"])
def test_an_object_whose_name_is_no_months_stops_no_other(world: World, lake: Path, name: str) -> None:
    elsewhere = _made_elsewhere(world, lake, "2023-02")
    here = object_of(lake, "yellow", "2023-02")
    here.parent.mkdir(parents=True)
    shutil.copyfile(elsewhere, here)
    shutil.copyfile(elsewhere, here.with_name(name))
    assert world.tick("lake", LONG_AFTER).months == ["yellow 2023-02"]


def test_an_object_that_cannot_be_read_for_a_reason_that_nobody_foresaw_stops_no_other(
    world: World, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = _made_elsewhere(world, lake, "2023-02")
    for month in ("2023-02", "2023-03"):
        here = object_of(lake, "yellow", month)
        here.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(elsewhere, here)
    find = FolderLake.find

    def odd(self: FolderLake, dataset: str, month: Month) -> LakeObject | None:
        if month == Month(2023, 3):
            raise RuntimeError("never seen before")
        return find(self, dataset, month)

    monkeypatch.setattr(FolderLake, "find", odd)
    tick = world.tick("lake", LONG_AFTER)
    assert tick.months == ["yellow 2023-02"]
    (note,) = [
        note.asset_observation
        for note in world.instance.fetch_observations(dg.AssetKey(["yellow", "gcs_object"]), limit=9).records
        if note.partition_key == "2023-03-01"
    ]
    assert note
    assert note.description == "never seen before"


def test_an_object_with_a_column_of_its_own_fails_its_load_once_and_the_old_month_stays(
    world: World, lake: Path
) -> None:
    world.publish("yellow", "2023-01", rows=30)
    world.land("yellow", "2023-01")
    ours = object_of(lake, "yellow", "2023-01")
    table = pq.read_table(ours, partitioning=None)
    pq.write_table(table.append_column("mood", table["fare_amount"]), ours)
    assert statuses(world.run(world.tick("lake", LONG_AFTER))) == ["FAILURE"]
    assert rows_in_table(world, "2023-01") == 30
    assert world.tick("lake", "2023-09-20T10:02").requests == []


def test_a_bucket_full_of_others_objects_does_not_flood_the_queue(
    world: World, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taxi_assets.sensors.lake.MAX_OPEN_RUNS", 2)
    elsewhere = _made_elsewhere(world, lake, "2023-01")
    for month in (1, 3, 5, 7):
        here = object_of(lake, "yellow", f"2023-{month:02}")
        here.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(elsewhere, here)
    first = world.tick("lake", LONG_AFTER)
    assert len(first.requests) == 2
    second = world.tick("lake", "2023-09-20T10:02")
    assert sorted(first.months + second.months) == [f"yellow 2023-{month:02}" for month in (1, 3, 5, 7)]


def _made_elsewhere(world: World, lake: Path, month: str) -> Path:
    """Return a good object of a month that Dagster knows nothing of: made with another instance and lake."""
    there = world.settings.model_copy(update={"data_dir": lake.parent / "elsewhere"})
    world.publish("yellow", month, rows=30)
    with dg.DagsterInstance.ephemeral() as instance:
        World(world.site, there, instance, world.names).land("yellow", month, steps=TO_LAKE)
    return object_of(there.lake_dir, "yellow", month)
