"""Declarative automation: what follows by itself from what has landed, without a schedule or a sensor of ours."""

from __future__ import annotations

from typing import Any

import dagster as dg

from taxi_assets.names import TAXI_ZONES

_DAILY, _MONDAYS = "0 5 * * *", "0 5 * * 1"


def follows_its_upstream() -> dg.AutomationCondition:
    """Load a month into the warehouse when it is new in the lake and the run that put it there did not load it.

    So `yellow_web_to_gcs`, or an object materialized by hand, is followed by its table. Dagster's `eager` looks at the
    latest month only, which TLC's lag of two months leaves behind; here every month counts. A month whose object is
    missing or under way is left alone, as is one of which a blocking check failed; one that failed is not tried again
    until its object changes. New names of zones change no report by themselves.
    """
    condition = dg.AutomationCondition.eager().without(dg.AutomationCondition.in_latest_time_window())
    condition = condition.ignore(dg.AssetSelection.assets(TAXI_ZONES))
    failed = dg.AutomationCondition.any_checks_match(dg.AutomationCondition.check_failed(), blocking_only=True)
    return (condition & ~dg.AutomationCondition.any_deps_match(failed)).with_label(
        "follows its upstream, whatever the month"
    )


def is_kept_fresh() -> dg.AutomationCondition:
    """Land reference data when there is none, at once and then daily, and every Monday: TLC announces no new one."""
    missing, passed = dg.AutomationCondition.missing(), dg.AutomationCondition.cron_tick_passed
    condition = missing.newly_true() | (missing & passed(_DAILY)) | passed(_MONDAYS)
    return (condition & ~dg.AutomationCondition.in_progress()).with_label("kept fresh")


def downstream_sensor(status: Any) -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that evaluates the conditions."""
    return dg.AutomationConditionSensorDefinition(
        "downstream",
        target=dg.AssetSelection.all(),
        default_status=status,
        minimum_interval_seconds=60,
        description="Loads months into the warehouse that are new in the lake and were not loaded by the same run; "
        "makes reports; lands the taxi zones, weekly.",
    )
