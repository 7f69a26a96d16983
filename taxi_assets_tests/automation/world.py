"""A small world for automation: a web server as the source, a real instance, and a clock that a test sets.

Ticks are evaluated as the daemon evaluates them, and what they request runs in this process.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
from dagster._core.test_utils import freeze_time
from dagster._core.utils import make_new_run_id

from taxi_assets.contracts import DATASETS
from taxi_assets.definitions import build_definitions
from taxi_assets.demo.sample import write_month
from taxi_assets.instance.history import RUN_KEY_TAG, landed
from taxi_assets.months import Month, months_between
from taxi_assets.settings import Settings
from taxi_assets_tests.automation.origins import origin_of
from taxi_assets_tests.servers.http_source import HttpSource

STEPS = ("raw_file", "cleaned_parquet", "gcs_object", "bigquery_table")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
ROOT = Path(__file__).parents[2]


def at(text: str) -> datetime:
    """Read a moment, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@functools.cache
def month_bytes(dataset: str, month: Month, rows: int) -> bytes:
    """Return a month's file."""
    with tempfile.TemporaryDirectory() as folder:
        return write_month(Path(folder, "month.csv.gz"), dataset, month, rows).read_bytes()


@dataclass
class World:
    """The world; `datasets` are those with assets in it."""

    site: HttpSource
    settings: Settings
    instance: dg.DagsterInstance
    names: tuple[str, ...] = ("yellow", "green")
    cursors: dict[str, str | None] = field(default_factory=dict)

    @functools.cached_property
    def definitions(self) -> dg.Definitions:
        """The project's, for these datasets only."""
        return build_definitions(self.settings, datasets={name: DATASETS[name] for name in self.names})

    def path(self, dataset: str, month: str) -> str:
        """Return where the source has a month."""
        return f"/{dataset}_{month}.csv.gz"

    def publish(self, dataset: str, months: str, rows: int = 20) -> None:
        """Put months (comma-separated) on the source."""
        for month in months.split(","):
            self.site.files[self.path(dataset, month)] = month_bytes(dataset, Month.parse(month), rows)

    def tick(self, sensor: str, now: str) -> Tick:
        """Evaluate a sensor at a moment; keep its cursor and its events as the daemon does."""
        definition = self.definitions.get_repository_def().get_sensor_def(sensor)
        with (
            freeze_time(at(now)),
            patch("taxi_assets.sensors.polling.utc_now", return_value=at(now)),
            dg.build_sensor_context(
                instance=self.instance,
                cursor=self.cursors.get(sensor),
                repository_def=self.definitions.get_repository_def(),
                sensor_name=sensor,
                resources=self.resources(definition.required_resource_keys),
            ) as context,
        ):
            done = definition.evaluate_tick(context)
        assert not [each for each in done.dagster_run_reactions or [] if each.error]
        self.cursors[sensor] = done.cursor
        for event in done.asset_events:
            self.instance.report_runless_asset_event(event)
        tick = Tick(list(done.run_requests or []), done.skip_message or "")
        keys = [request.run_key for request in tick.requests]
        assert len(keys) == len(set(keys)) == len(tick.months)
        ran = dg.RunsFilter(tags={RUN_KEY_TAG: keys})
        assert not keys or not self.instance.get_runs(ran)  # the daemon would skip them
        return tick

    def resources(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return resources by their keys."""
        return {key: (self.definitions.resources or {})[key] for key in keys}

    def schedule(self, name: str, now: str) -> Tick:
        """Evaluate a schedule at a moment."""
        definition = self.definitions.get_repository_def().get_schedule_def(name)
        with (
            freeze_time(at(now)),
            dg.build_schedule_context(
                instance=self.instance,
                scheduled_execution_time=at(now),
                repository_def=self.definitions.get_repository_def(),
                resources=self.resources(definition.required_resource_keys),
            ) as context,
        ):
            done = definition.evaluate_tick(context)
        return Tick(list(done.run_requests or []), done.skip_message or "")

    def run(self, tick: Tick) -> list[dg.DagsterRun]:
        """Run what a tick requested."""
        runs = []
        for request in tick.requests:
            job = self.definitions.resolve_job_def(request.job_name)
            done = job.execute_in_process(
                instance=self.instance,
                partition_key=request.partition_key,
                tags=tags_of(request),
                run_config=QUIET,
                raise_on_error=False,
            )
            runs.append(self.find(done.run_id))
        return runs

    def land(self, dataset: str, month: str, steps: Iterable[str] = STEPS) -> dg.DagsterRun:
        """Run a dataset's assets for a month, as a person would in the UI."""
        done = self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey([dataset, step]) for step in steps],
            partition_key=f"{month}-01",
            run_config=QUIET,
            raise_on_error=False,
        )
        return self.find(done.run_id)

    def land_all(self, dataset: str, first: str, last: str, steps: Iterable[str] = STEPS) -> list[dg.DagsterRun]:
        """Run a dataset's assets for each month of a range."""
        months = months_between(Month.parse(first), Month.parse(last))
        return [self.land(dataset, str(month), steps) for month in months]

    def find(self, run_id: str) -> dg.DagsterRun:
        """Return a run as it is now."""
        run = self.instance.get_run_by_id(run_id)
        assert run
        return run

    def queue(self, tick: Tick) -> None:
        """Leave what a tick requested waiting in the queue."""
        for request in tick.requests:
            self.instance.add_run(
                dg.DagsterRun(
                    job_name=str(request.job_name),
                    run_id=make_new_run_id(),
                    tags=tags_of(request),
                    status=dg.DagsterRunStatus.QUEUED,
                    remote_job_origin=origin_of(str(request.job_name)),
                )
            )

    def loaded(self, dataset: str) -> list[str]:
        """Return the months in the warehouse's table, as Dagster has them."""
        return [str(month) for month in sorted(landed(self.instance, dataset))]


@dataclass
class Tick:
    """What a tick did: its requests, or why there are none."""

    requests: list[dg.RunRequest]
    skipped: str

    @property
    def months(self) -> list[str]:
        """The months requested, with their datasets, in order."""
        return sorted(f"{request.tags['dataset']} {request.tags['month']}" for request in self.requests)


def tags_of(request: dg.RunRequest) -> dict[str, str]:
    """Return a request's tags, as the daemon would put them on the run."""
    key = {RUN_KEY_TAG: request.run_key} if request.run_key else {}
    return {**request.tags, "dagster/partition": str(request.partition_key), **key}


def make_instance(folder: Path) -> dg.DagsterInstance:
    """Return a real instance with the project's own dagster.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "dagster.yaml", folder / "dagster.yaml")
    return dg.DagsterInstance.from_config(str(folder))


def statuses(runs: Iterable[dg.DagsterRun]) -> list[str]:
    """Return how runs ended."""
    return [run.status.value for run in runs]
