"""The pool sensor: creates the pools, and lets steps go on that wait in spite of a free slot.

Both mend a defect of dagster 1.13, see `taxi_assets.instance.pools` and `create_pools`. It requests no run, and is
switched on in every profile: a backfill that a person launched must not stand still.
"""

from __future__ import annotations

import dagster as dg

from taxi_assets.instance.pools import requeue_lost_steps

INTERVAL_SECONDS = 300
"""A tick is two lines in the terminal of `taxi-assets dev`; the defect was seen once in some hundred pairs of runs."""


def pool_sensor() -> dg.SensorDefinition:
    """Return the sensor."""

    @dg.sensor(
        name="pools",
        description="Creates the pools; lets steps go on that wait in spite of a free slot. Requests no run.",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def pools(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        from taxi_assets.instance.postgres import create_pools

        instance, lost = context.instance, 0
        limit = str(instance.global_op_concurrency_default_limit)
        if context.cursor != limit:  # not at each tick, see `_stuck` of the watchdog
            create_pools(instance)
        if instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            lost = requeue_lost_steps(instance)
        said = f"steps that waited in vain: {lost}"
        return dg.SensorResult(skip_reason=said, cursor=limit)

    return pools
