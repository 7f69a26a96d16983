"""A small world for automation: a web server as the source, a real instance, and a clock that a test sets.

Ticks are evaluated as the daemon does, and what they request is run in this process.
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

import dagster as dg
from dagster._core.test_utils import freeze_time
from dagster._core.utils import make_new_run_id

from taxi_assets.contracts import DATASETS
from taxi_assets.definitions import build_definitions
from taxi_assets.demo.sample import write_month
from taxi_assets.instance.history import landed, months_of_run
from taxi_assets.instance.launch import origin_of, run_months
from taxi_assets.months import Month
from taxi_assets.settings import Settings
from taxi_assets_tests.servers.http_source import HttpSource

STEPS = ("raw_file", "cleaned_parquet", "gcs_object", "bigquery_table")
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
            dg.build_sensor_context(
                instance=self.instance,
                cursor=self.cursors.get(sensor),
                repository_def=self.definitions.get_repository_def(),
                sensor_name=sensor,
                resources=self.resources(definition.required_resource_keys),
            ) as context,
        ):
            done = definition.evaluate_tick(context)
        self.cursors[sensor] = done.cursor
        for event in done.asset_events:
            self.instance.report_runless_asset_event(event)
        return Tick(list(done.run_requests or []), done.skip_message or "")

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
            keys = job.asset_layer.selected_asset_keys
            months = tick_months(request)
            runs.append(run_months(self.definitions, self.instance, keys, months[0], months[-1]))
        return runs

    def land(self, dataset: str, first: str, last: str = "", steps: Iterable[str] = STEPS) -> dg.DagsterRun:
        """Run a dataset's assets for a range of months."""
        keys = [dg.AssetKey([dataset, station]) for station in steps]
        return run_months(self.definitions, self.instance, keys, Month.parse(first), Month.parse(last or first))

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
        return sorted(
            f"{request.job_name.partition('_')[0]} {month}"
            for request in self.requests
            for month in tick_months(request)
        )


def tags_of(request: Any) -> dict[str, str]:
    """Return a request's tags, as the daemon would put them on the run."""
    return {**request.tags, **({"dagster/partition": request.partition_key} if request.partition_key else {})}


def tick_months(request: Any) -> list[Month]:
    """Return the months of a request."""
    return [month for _, month in months_of_run(dg.DagsterRun(job_name=request.job_name, tags=tags_of(request)))]


def make_instance(folder: Path) -> dg.DagsterInstance:
    """Return a real instance with the project's own dagster.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "dagster.yaml", folder / "dagster.yaml")
    return dg.DagsterInstance.from_config(str(folder))


def statuses(runs: Iterable[dg.DagsterRun]) -> list[str]:
    """Return how runs ended."""
    return [run.status.value for run in runs]
