"""Ticks of sensors and schedules on the history of DAGSTER_HOME, as the daemon has them evaluated.

`python -m benchmarks.ticks NAME ...` prints the seconds of each one's first tick as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime, timezone

import dagster as dg

from taxi_assets.definitions import build_definitions
from taxi_assets.settings import Settings


def tick(definitions: dg.Definitions, instance: dg.DagsterInstance, name: str) -> float:
    """Evaluate a tick; return its seconds."""
    repository = definitions.get_repository_def()
    sensors = {sensor.name for sensor in repository.sensor_defs}
    sensor = name in sensors
    definition = repository.get_sensor_def(name) if sensor else repository.get_schedule_def(name)
    resources = {key: (definitions.resources or {})[key] for key in definition.required_resource_keys}
    build = dg.build_sensor_context if sensor else dg.build_schedule_context
    given = {"sensor_name": name} if sensor else {"scheduled_execution_time": datetime.now(timezone.utc)}
    with build(instance=instance, repository_def=repository, resources=resources, **given) as context:
        start = time.perf_counter()
        done = definition.evaluate_tick(context)
        seconds = time.perf_counter() - start
    print(f"{name}: {len(done.run_requests or [])} runs; {done.skip_message or ''}", file=sys.stderr)
    return seconds


if __name__ == "__main__":
    project = build_definitions(Settings.from_environment())
    with dg.DagsterInstance.get() as history:
        print(json.dumps({name: tick(project, history, name) for name in sys.argv[1:]}))
