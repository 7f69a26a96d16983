"""An earlier release on tables that a later one widened: months land, and the run says which columns stay empty."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import duckdb

from taxi_assets.contracts import DATASETS
from taxi_assets.definitions import build_definitions
from taxi_assets.demo.sample import write_month
from taxi_assets.instance.runs import run_month
from taxi_assets.jobs import EVERYTHING
from taxi_assets.months import Month
from taxi_assets.settings import Settings


def test_a_month_lands_beside_a_column_of_a_later_release_and_its_run_says_so(tmp_path: Path) -> None:
    months = [Month(2021, 1), Month(2021, 2)]
    for month in months:
        write_month(tmp_path / f"yellow-{month}.csv", "yellow", month, 50)
    url = tmp_path.as_uri() + "/{dataset}-{year}-{month:02}.csv"
    settings = Settings.from_environment(
        {"TAXI_DATA_DIR": str(tmp_path / "data"), "TAXI_CSV_URL": url, "TAXI_SOURCE": "csv"}
    )
    definitions = build_definitions(settings, datasets={"yellow": DATASETS["yellow"]})
    with dg.instance_for_test() as instance:
        for month in months:
            outcome, done = run_month(definitions, instance, f"yellow_{EVERYTHING}", "yellow", month)
            assert outcome.status == "landed", outcome.error
            with duckdb.connect(str(settings.duckdb_path)) as connection:
                connection.execute("ALTER TABLE nyc_tlc.yellow_trips ADD COLUMN IF NOT EXISTS surge DOUBLE")
        warnings = [entry.user_message for entry in instance.all_logs(done.run_id) if entry.level == 30]
        (landed,) = done.asset_materializations_for_node("yellow__bigquery_table")

    said = "nyc_tlc.yellow_trips has columns that this release does not know, left empty: surge"
    assert said in warnings
    assert landed.metadata["unknown_columns"].value == ["surge"]
