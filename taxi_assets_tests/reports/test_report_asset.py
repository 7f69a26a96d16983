"""The report as an asset and as a command: on demand, or after its table where automation runs; never on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.definitions import build_definitions
from taxi_assets.demo.sample import write_month
from taxi_assets.instance.runs import ASSET_JOB, run_month
from taxi_assets.months import Month
from taxi_assets.settings import Settings
from taxi_assets.source.addresses import local_path

JANUARY, FEBRUARY, MARCH = (Month(2021, n) for n in (1, 2, 3))
TABLE, REPORT = dg.AssetKey(["yellow", "bigquery_table"]), dg.AssetKey(["yellow", "monthly_report"])
CHAIN = [dg.AssetKey(["yellow", name]) for name in ("raw_file", "cleaned_parquet", "gcs_object", "bigquery_table")]


def site(folder: Path) -> dict[str, str]:
    """Make a site with January and February and a zone lookup; return its settings."""
    for month in (JANUARY, FEBRUARY):
        write_month(folder / f"yellow_{month}.csv.gz", "yellow", month, 200)
    (folder / "zones.csv").write_text(
        "LocationID,Borough,Zone,service_zone\n" + "".join(f"{n},Queens,Place {n},Boro Zone\n" for n in range(1, 266))
    )
    return {
        "TAXI_CSV_URL": f"file://{folder}/{{dataset}}_{{year}}-{{month:02}}.csv.gz",
        "TAXI_SOURCE": "csv",
        "TAXI_ZONES_URL": f"file://{folder}/zones.csv",
        "TAXI_DATA_DIR": str(folder / "data"),
        "TAXI_AUTOMATION": "stopped",
    }


@pytest.fixture
def definitions(tmp_path: Path) -> dg.Definitions:
    return build_definitions(Settings.from_environment(site(tmp_path)), datasets={"yellow": DATASETS["yellow"]})


def land(definitions: dg.Definitions, instance: dg.DagsterInstance, month: Month) -> None:
    assert run_month(definitions, instance, "yellow_everything", "yellow", month)[0].status == "landed"


def report(definitions: dg.Definitions, instance: dg.DagsterInstance, month: Month) -> dg.ExecuteInProcessResult:
    outcome, result = run_month(definitions, instance, ASSET_JOB, "yellow", month, selection=[REPORT])
    assert not outcome.error
    return result


def python(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_landing_makes_no_report_and_the_command_makes_those_of_months_that_have_landed(tmp_path: Path) -> None:
    environment = site(tmp_path)
    code = f"""if True:
        import pathlib, sys
        from taxi_assets.cli.main import main
        assert main(["run", "yellow", "2021-01..2021-02", "--json"]) == 0
        assert not [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]
        assert not pathlib.Path({str(tmp_path)!r}, "data/lake/reports").exists()
        assert main(["report", "yellow", "2021-01"]) == 0
    """
    nameless = python("-c", code, **environment | {"TAXI_ZONES_URL": "file:///nowhere.csv"})
    assert nameless.returncode == 0, nameless.stderr
    assert "the names of the taxi zones are not available now" in nameless.stderr
    assert "Place " not in local_path(nameless.stdout.splitlines()[-1]).read_text("utf-8")

    done = python("-m", "taxi_assets.cli.main", "report", "yellow", "2021-01..2021-04", **environment)
    pages = [local_path(line) for line in done.stdout.splitlines()]
    assert [path.parent.name for path in pages] == ["2021-01", "2021-02"], done.stderr
    assert all("<h1>Yellow taxi trips, " in path.read_text("utf-8") for path in pages)
    assert "Place 161 (Queens)" in pages[0].read_text("utf-8")  # the zones came on the way
    assert done.returncode == 1
    months = "yellow 2021-03..2021-04"
    assert done.stderr.endswith(f"taxi-assets: {months} have not landed\nwhat to do: taxi-assets run {months}\n")


def test_each_report_is_a_materialization_with_figures_to_plot(definitions: dg.Definitions) -> None:
    with dg.instance_for_test() as instance:
        for month in (JANUARY, FEBRUARY):
            land(definitions, instance, month)
            (made,) = report(definitions, instance, month).get_asset_materialization_events()
            event = made.step_materialization_data.materialization
            assert event.partition == f"{month}-01"
            assert Path(str(event.metadata["report"].value)).is_file()
            assert "data:image/svg+xml" in str(event.metadata["trips_per_day"].value)
            assert event.metadata["dagster/partition_row_count"].value == 200
            assert 0 < float(str(event.metadata["share_credit_card"].value)) < 1
            assert float(str(event.metadata["median_miles"].value)) > 0


def test_the_jobs_that_land_months_leave_the_report_out(definitions: dg.Definitions) -> None:
    selected = definitions.resolve_job_def("yellow_everything").asset_layer.executable_asset_keys
    assert set(CHAIN) <= set(selected)
    assert REPORT not in selected


def test_where_automation_runs_a_report_follows_its_table_once(definitions: dg.Definitions) -> None:
    with dg.instance_for_test() as instance:
        only = dg.AssetSelection.assets(REPORT)
        first = dg.evaluate_automation_conditions(definitions, instance, only)
        land(definitions, instance, JANUARY)
        landed = dg.evaluate_automation_conditions(definitions, instance, only, cursor=first.cursor)
        assert landed.get_requested_partitions(REPORT) == {"2021-01-01"}
        report(definitions, instance, JANUARY)
        after = dg.evaluate_automation_conditions(definitions, instance, only, cursor=landed.cursor)
        assert after.total_requested == 0
