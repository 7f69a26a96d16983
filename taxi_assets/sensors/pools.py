"""The pool sensor: lets steps go on that wait for a pool in spite of a free slot; see `taxi_assets.instance.pools`.

It requests no run, and is switched on in every profile: a backfill that a person launched must not stand still.
"""

from __future__ import annotations

import dagster as dg

from taxi_assets.instance.pools import requeue_lost_steps

INTERVAL_SECONDS = 60


def pool_sensor() -> dg.SensorDefinition:
    """Return the sensor."""

    @dg.sensor(
        name="pools",
        description="Lets steps go on that wait for a pool in spite of a free slot. Requests no run.",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def pools(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if context.instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            requeue_lost_steps(context.instance)
        return dg.SkipReason("no step waits for a pool in vain")

    return pools
