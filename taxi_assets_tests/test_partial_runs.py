"""Runs of single assets, as from the UI: each month for itself, no way around a check; and assets of a user's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from taxi_assets.cli.run import land
from taxi_assets.contracts import DATASETS
from taxi_assets.definitions import build_definitions
from taxi_assets.demo.sample import write_month
from taxi_assets.instance import history
from taxi_assets.instance.home import dagster_instance
from taxi_assets.instance.runs import ASSET_JOB, Outcome, run_month
from taxi_assets.months import Month, months_between
from taxi_assets.partitions import partitions_of
from taxi_assets.reconciliation import Ledger
from taxi_assets.settings import Settings

JANUARY, FEBRUARY, MARCH = (Month(2021, number) for number in (1, 2, 3))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


def settings_for(folder: Path, **more: str) -> Settings:
    """Return settings with a source of two months, of which the second has damaged rows."""
    if not (folder / "source").exists():
        write_month(folder / "source" / "yellow-2021-01.csv", "yellow", JANUARY, 50)
        write_month(folder / "source" / "yellow-2021-02.csv", "yellow", FEBRUARY, 50, damaged=3)
    url = (folder / "source").as_uri() + "/{dataset}-{year}-{month:02}.csv"
    return Settings.from_environment(
        {"TAXI_DATA_DIR": str(folder / "data"), "TAXI_CSV_URL": url, "TAXI_SOURCE": "csv", **more}
    )


def run(settings: Settings, instance: dg.DagsterInstance, first: Month, last: Month, *names: str) -> dict[str, Outcome]:
    """Run some of yellow's assets."""
    definitions = build_definitions(settings, datasets={"yellow": DATASETS["yellow"]})
    keys = [dg.AssetKey(["yellow", name]) for name in names]
    return {
        str(month): run_month(definitions, instance, ASSET_JOB, "yellow", month, selection=keys)[0]
        for month in months_between(first, last)
    }


def test_loading_from_the_lake_is_no_failure_where_another_version_was_cleaned(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, yellow = settings_for(tmp_path), DATASETS["yellow"]
    land(settings, yellow, [JANUARY])
    run(settings_for(tmp_path, TAXI_DROP_ZERO_PASSENGERS="true"), instance, JANUARY, JANUARY, "cleaned_parquet")
    settings.duckdb_path.unlink()
    (row,) = land(settings, yellow, [JANUARY], from_lake=True)
    assert (row.status, row.error, row.table_rows) == ("landed", "", 50)
    assert row.notes == "the cleaned file and the object in the lake are different versions"


def test_an_unchanged_month_runs_again_if_its_last_run_failed_so_that_the_ui_does_not_show_it_as_failed(
    tmp_path: Path,
) -> None:
    settings, yellow = settings_for(tmp_path), DATASETS["yellow"]
    elsewhere = settings.model_copy(update={"csv_url": settings.csv_url.replace("/source/", "/elsewhere/")})
    statuses, runs = [], []
    for each in (settings, settings, elsewhere, settings, settings):
        statuses += [row.status for row in land(each, yellow, [JANUARY])]
        with dagster_instance(settings) as instance:
            runs.append(instance.get_runs_count())
    assert statuses == ["landed", "unchanged", "failed", "unchanged", "unchanged"]
    assert runs == [1, 1, 2, 3, 3]
    with dagster_instance(settings) as instance:
        assert history.last_failed(instance, "yellow", [JANUARY, FEBRUARY]) == set()


def objects(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.lake_dir.rglob("*.parquet"))


def test_a_month_that_a_check_stopped_is_stopped_in_a_run_of_the_next_asset_too(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    strict = settings_for(tmp_path, TAXI_REJECTED_SHARE_LIMIT="0.01")
    run(strict, instance, JANUARY, FEBRUARY, "raw_file", "cleaned_parquet")

    found = run(strict, instance, JANUARY, FEBRUARY, "gcs_object")

    assert {month: outcome.status for month, outcome in found.items()} == {"2021-01": "landed", "2021-02": "failed"}
    assert "5.6604% could not be read, the limit is 1.0000%" in found["2021-02"].error
    assert objects(strict) == ["yellow_tripdata_2021-01.parquet"]
    lax = settings_for(tmp_path, TAXI_REJECTED_SHARE_LIMIT="0.1")
    assert run(lax, instance, FEBRUARY, FEBRUARY, "gcs_object")["2021-02"].status == "landed"


def test_a_month_of_which_only_the_first_assets_ran_has_failed_only_where_a_check_stops_it(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = settings_for(tmp_path, TAXI_REJECTED_SHARE_LIMIT="0.01")
    run(settings, instance, JANUARY, FEBRUARY, "raw_file", "cleaned_parquet")

    found = Ledger(settings).rows(DATASETS["yellow"])

    assert {month: row.status for month, row in found.items()} == {JANUARY: "not_loaded", FEBRUARY: "failed"}
    assert found[JANUARY].error.endswith("\nwhat to do: taxi-assets run yellow 2021-01")
    assert "5.6604% could not be read, the limit is 1.0000%" in found[FEBRUARY].error


def test_a_month_whose_upstream_asset_is_not_there_fails_alone(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings = settings_for(tmp_path)
    run(settings, instance, JANUARY, JANUARY, "raw_file")

    found = run(settings, instance, JANUARY, MARCH, "cleaned_parquet", "gcs_object")

    assert {month: outcome.status for month, outcome in found.items()} == {
        "2021-01": "landed",
        "2021-02": "failed",
        "2021-03": "failed",
    }
    assert "the raw file of yellow 2021-03 is not there" in found["2021-03"].error
    assert objects(settings) == ["yellow_tripdata_2021-01.parquet"]


@pytest.mark.parametrize(("step", "unfinished"), [("raw_file", "work/tmp"), ("gcs_object", "lake/.incoming/tmp")])
def test_a_disk_that_takes_no_file_fails_the_month_with_what_the_machine_says_and_leaves_nothing_half_done(
    step: str, unfinished: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = settings_for(tmp_path)
    if step == "gcs_object":
        run(settings, instance, JANUARY, JANUARY, "raw_file", "cleaned_parquet")
    folder = settings.data_dir / unfinished
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_bytes(b"")  # where the folder of unfinished files should be; root obeys no permissions

    (outcome,) = run(settings, instance, JANUARY, JANUARY, step).values()

    assert outcome.status == "failed"
    assert "the operating system refused" in outcome.error
    assert str(folder) in outcome.error
    assert "yellow 2021-01" in outcome.error
    assert objects(settings) == []
    folder.unlink()
    assert run(settings, instance, JANUARY, JANUARY, step)["2021-01"].status == "landed"


def test_a_month_is_handed_to_an_asset_or_a_notebook_in_the_form_it_asks_for(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    got: list[Any] = []

    def reader(name: str, upstream: str, kind: Any) -> dg.AssetsDefinition:
        def read(rows: Any) -> None:
            got.append(rows)

        read.__annotations__["rows"] = kind
        partitions, ins = partitions_of(DATASETS["yellow"]), {"rows": dg.AssetIn(["yellow", upstream])}
        return dg.asset(name=name, partitions_def=partitions, ins=ins)(read)

    readers = [reader("frame", "bigquery_table", pd.DataFrame), reader("table", "gcs_object", pa.Table)]
    settings = settings_for(tmp_path)
    definitions = dg.Definitions.merge(
        build_definitions(settings, datasets={"yellow": DATASETS["yellow"]}), dg.Definitions(assets=readers)
    )
    run(settings, instance, JANUARY, JANUARY, "raw_file", "cleaned_parquet", "gcs_object", "bigquery_table")

    keys = [dg.AssetKey("frame"), dg.AssetKey("table")]
    _, done = run_month(definitions, instance, ASSET_JOB, "yellow", JANUARY, selection=keys)
    frame, table = sorted(got, key=lambda rows: type(rows).__name__)
    noted = definitions.load_asset_value(
        ["yellow", "cleaned_parquet"], python_type=pd.DataFrame, partition_key="2021-01-01", instance=instance
    )

    assert done.success
    assert isinstance(table, pa.Table)
    names = [column.name for column in DATASETS["yellow"].table_columns]
    assert list(frame.columns) == list(noted.columns) == table.column_names == names
    assert len(frame) == len(noted) == table.num_rows == 50
    published = pd.read_csv(tmp_path / "source" / "yellow-2021-01.csv")
    assert frame["total_amount"].tolist() == noted["total_amount"].tolist() == published["total_amount"].tolist()
