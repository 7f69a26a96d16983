"""Every tool that loads the project sees the same definitions."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.definitions import build_definitions
from taxi_assets.settings import Settings

STEPS = ("raw_file", "cleaned_parquet", "gcs_object", "bigquery_table")
GCP = {"TAXI_PROFILE": "gcp", "TAXI_GCP_PROJECT": "my-project-123", "TAXI_GCS_BUCKET": "my-bucket-123"}
POSTGRES = {"TAXI_POSTGRES_URL": "postgresql://taxi:x@127.0.0.1/trips"}


def test_every_dataset_has_its_chain_in_a_group_of_its_own(tmp_path: Path) -> None:
    graph = build_definitions(Settings.from_environment({})).resolve_asset_graph()
    for name in DATASETS:
        keys = [dg.AssetKey([name, step]) for step in STEPS]
        assert {graph.get(key).group_name for key in keys} == {name}
        for before, after in itertools.pairwise(keys):
            assert graph.get(after).parent_keys == {before}


def test_months_begin_with_tlcs_first_file_and_end_with_the_last_that_is_normally_published() -> None:
    november = datetime(2026, 11, 24, tzinfo=timezone.utc)
    first = {"yellow": "2009-01-01", "green": "2013-08-01", "fhv": "2015-01-01", "fhvhv": "2019-02-01"}
    graph = build_definitions(Settings.from_environment({})).resolve_asset_graph()
    for name, month in first.items():
        partitions = graph.get(dg.AssetKey([name, "raw_file"])).partitions_def
        assert isinstance(partitions, dg.TimeWindowPartitionsDefinition)
        assert partitions.get_first_partition_key() == month
        assert partitions.get_partition_keys(current_time=november)[-1] == "2026-09-01"


def test_importing_the_definitions_loads_no_cloud_library_and_no_data_library() -> None:
    code = (
        "import sys; import dagster; before = set(sys.modules); import taxi_assets.definitions; "
        "print(sorted(n for n in set(sys.modules) - before "
        "if n.startswith(('google', 'dagster_gcp', 'pandas', 'pyarrow'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
def test_the_tools_list_the_same_definitions() -> None:
    """`dg`, and what webserver, daemon and `dagster dev` load by `workspace.yaml`."""
    import json

    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget

    ours = build_definitions(Settings.from_environment({}))
    repository = ours.get_repository_def()
    keys = {key.to_user_string() for key in ours.resolve_asset_graph().get_all_asset_keys()}
    jobs = {job.name for job in repository.get_all_jobs()} - {"__ASSET_JOB"}
    schedules = {schedule.name for schedule in repository.schedule_defs}
    sensors = {sensor.name for sensor in repository.sensor_defs}

    dg_bin = Path(sys.executable).with_name("dg")
    listed = subprocess.run([dg_bin, "list", "defs", "--json"], capture_output=True, text=True, check=True).stdout
    found = json.loads(listed[listed.index("{" if listed.lstrip().startswith("{") else "[") :])
    assert {asset["asset_key"] for asset in found["assets"]} == keys
    assert {job["name"] for job in found["jobs"]} - {"__ASSET_JOB"} == jobs
    assert {schedule["name"] for schedule in found["schedules"]} == schedules
    assert {sensor["name"] for sensor in found["sensors"]} == sensors

    with (
        dg.instance_for_test() as instance,
        WorkspaceProcessContext(instance, WorkspaceFileTarget(paths=["workspace.yaml"])) as process,
    ):
        (location,) = process.create_request_context().code_locations
        assert location.name == "taxi_assets"
        (remote,) = location.get_repositories().values()
        assert {key.to_user_string() for key in remote.asset_graph.get_all_asset_keys()} == keys
        assert {job.name for job in remote.get_all_jobs()} - {"__ASSET_JOB"} == jobs
        assert {schedule.name for schedule in remote.get_schedules()} == schedules
        assert {sensor.name for sensor in remote.get_sensors()} == sensors
    for check in ("defs", "toml", "yaml"):
        subprocess.run([dg_bin, "check", check], check=True, capture_output=True)


@pytest.mark.parametrize("profile", ["local", "gcp"])
def test_every_asset_and_check_is_retried_as_the_settings_say(profile: str) -> None:
    given = {
        "TAXI_FIRST_WAIT": "0.25",
        "TAXI_ATTEMPTS": "4",
        **GCP,
        **POSTGRES,
        "TAXI_PROFILE": profile,
    }
    definitions = build_definitions(Settings.from_environment(given))
    policies = {each.op.retry_policy for each in [*(definitions.assets or ()), *(definitions.asset_checks or ())]}
    assert policies == {
        dg.RetryPolicy(max_retries=3, delay=0.25, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
    }


def test_a_backfill_makes_a_run_for_each_month() -> None:
    graph = build_definitions(Settings.from_environment({})).resolve_asset_graph()
    assert {graph.get(key).backfill_policy for key in graph.get_all_asset_keys()} == {None}


def test_checks_that_protect_the_ledger_block_and_the_others_warn() -> None:
    graph = build_definitions(Settings.from_environment({})).resolve_asset_graph()
    specs = {(key.asset_key.path[-1], key.name): graph.get_check_spec(key) for key in graph.asset_check_keys}
    blocking = {name for name, spec in specs.items() if spec.blocking}
    assert blocking == {
        ("raw_file", "not_empty"),
        ("cleaned_parquet", "ledger"),
        ("cleaned_parquet", "schema"),
        ("gcs_object", "ledger"),
        ("bigquery_table", "ledger"),
    }
    assert specs.keys() - blocking == {("cleaned_parquet", "rejected"), ("cleaned_parquet", "anomalies")}
    assert all(spec.partitions_def for spec in specs.values())


# What the UI says of an asset


def node(key: str, settings: Mapping[str, str] | None = None, **options: bool) -> Any:
    graph = build_definitions(Settings.from_environment(settings or {}), **options).resolve_asset_graph()
    return graph.get(dg.AssetKey.from_user_string(key))


@pytest.mark.parametrize(
    ("settings", "lake", "warehouse"), [({}, "file", "duckdb"), (GCP, "gcs", "bigquery")], ids=["local", "gcp"]
)
def test_the_kinds_of_assets_are_the_stores_of_the_profile(settings: dict[str, str], lake: str, warehouse: str) -> None:
    assert node("green/gcs_object", settings).kinds == {lake, "parquet"}
    assert node("green/bigquery_table", settings).kinds == {warehouse, "table"}
    assert warehouse in node("taxi_zones", settings).kinds


def test_each_column_is_followed_from_the_names_in_files_to_the_tables() -> None:
    def sources(asset: str, column: str) -> set[tuple[str, str]]:
        lineage = node(f"yellow/{asset}", POSTGRES).metadata["dagster/column_lineage"]
        return {(dep.asset_key.path[-1], dep.column_name) for dep in lineage.deps_by_column[column]}

    assert sources("cleaned_parquet", "tpep_pickup_datetime") == {
        ("raw_file", "tpep_pickup_datetime"),
        ("raw_file", "trip_pickup_datetime"),
        ("raw_file", "pickup_datetime"),
    }
    assert sources("gcs_object", "PULocationID") == {("cleaned_parquet", "PULocationID")}
    assert sources("bigquery_table", "source_month") == {("gcs_object", "source_month")}
    assert sources("postgres_table", "pulocationid") == {("cleaned_parquet", "PULocationID")}


def test_each_asset_links_to_its_code_in_the_ui_and_its_columns_to_tlcs_dictionary() -> None:
    found = node("fhvhv/cleaned_parquet")
    (reference,) = found.metadata["dagster/code_references"].code_references
    line = Path(reference.file_path).read_text("utf-8").splitlines()[reference.line_number - 1]
    assert line.strip() == "@dg.asset("
    assert found.metadata["dictionary"].url.endswith("/data_dictionary_trip_records_hvfhs.pdf")
    assert len(found.owners) == 1


def test_months_are_expected_in_time_and_a_report_needs_the_names_of_zones() -> None:
    days = {name: node(f"{name}/raw_file").freshness_policy.fail_window.to_timedelta().days for name in DATASETS}
    assert days == {"yellow": 75, "green": 75, "fhv": 150, "fhvhv": 75}
    assert dg.AssetKey("taxi_zones") in node("yellow/monthly_report").parent_keys


def test_texts_about_fhv_promise_nothing_that_it_lacks() -> None:
    definitions = build_definitions(Settings.from_environment(POSTGRES))
    graph = definitions.resolve_asset_graph()
    texts = {
        name: "\n".join(
            [
                *(str(graph.get(key).description) for key in graph.get_all_asset_keys() if key.path[0] == name),
                *(
                    str(graph.get_check_spec(key).description)
                    for key in graph.asset_check_keys
                    if key.asset_key.path[0] == name
                ),
            ]
        ).lower()
        for name in DATASETS
    }
    for word in ("passenger", "payment", "distance", "fare"):
        assert word in texts["yellow"]
        assert word not in texts["fhv"]


@pytest.mark.parametrize("settings", [{}, GCP | POSTGRES], ids=["local", "gcp"])
def test_the_launchpad_has_only_what_a_run_may_change_and_says_what_each_field_does(settings: dict[str, str]) -> None:
    definitions = build_definitions(Settings.from_environment(settings))

    def fields(dataset: str) -> dict[str, str | None]:
        config = definitions.resolve_job_def(f"{dataset}_everything").run_config_schema.config_type
        owners = {**config.fields["ops"].config_type.fields, **config.fields["resources"].config_type.fields}
        owners.pop("io_manager")  # Dagster's own, which nothing uses
        found: dict[str, str | None] = {}
        for key, owner in owners.items():
            form = owner.config_type.fields.get("config")
            found |= {
                f"{key}.{name}": field.description
                for name, field in getattr(form and form.config_type, "fields", {}).items()
            }
        return found

    source = {"csv_url", "parquet_url", "zones_url", "source", "connect_timeout", "read_timeout"}
    expected = {*(f"source.{name}" for name in source), "replacement.accept_row_count", "replacement.reload"}
    assert fields("fhv").keys() == expected
    rules = {f"yellow__cleaned_parquet.{name}" for name in ("missing_passengers", "drop_zero_passengers")}
    assert fields("yellow").keys() == expected | rules
    assert all(fields("yellow").values())
