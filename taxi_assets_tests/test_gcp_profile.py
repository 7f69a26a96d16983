"""The whole chain in the gcp profile, against Google's services on this machine."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from taxi_assets.cli.main import main
from taxi_assets.cli.run import land
from taxi_assets.contracts import DATASETS
from taxi_assets.definitions import build_definitions
from taxi_assets.demo.sample import write_month
from taxi_assets.errors import TransientError
from taxi_assets.io_managers import metadata
from taxi_assets.ledger_row import LedgerRow
from taxi_assets.months import Month, parse_months
from taxi_assets.reconciliation import Ledger
from taxi_assets.resources.gcp import BigQueryWarehouseResource, GcsLakeResource, GcsStagingResource
from taxi_assets.settings import Settings
from taxi_assets.storage.factory import build_lake, build_warehouse
from taxi_assets_tests.automation.world import World, make_instance
from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.servers.cloud import JANUARY
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.servers.http_source import HttpSource
from taxi_assets_tests.servers.proxy import faulty_proxy
from taxi_assets_tests.storage.months import cleaned_month


def run(settings: Settings, dataset: str = "yellow", months: str = "2021-01") -> list[LedgerRow]:
    return land(settings, DATASETS[dataset], parse_months(months))


def counts(rows: list[LedgerRow]) -> list[LedgerRow]:
    """Returns rows without what rightly differs between profiles and runs."""
    return [dataclasses.replace(row, object_uri="", seconds=0.0, status="") for row in rows]


def sorted_rows(table: pa.Table) -> list[dict]:
    return table.sort_by([(name, "ascending") for name in table.column_names]).to_pylist()


def sent(gcs: GcsServer, bigquery: BigQueryServer) -> tuple[int, int]:
    """Returns how many uploads were begun, and how many load jobs were there in all."""
    uploads = sum("/upload/" in line and "upload_id" not in line for line in gcs.front.asked)
    return uploads, len([job for job in bigquery.front._jobs.values() if not isinstance(job, str)])


# The same as in the local profile


def same_in_both(settings: Settings, dataset: str, months: str) -> None:
    """Runs months in both profiles and compares what they print, where rows lie, and the lake's values."""
    local = settings.model_copy(update={"profile": "local"})
    ours, theirs = run(settings, dataset, months), run(local, dataset, months)
    assert {row.status for row in ours} == {"landed"}, ours
    assert counts(ours) == counts(theirs)
    for row in ours:
        assert row.object_uri.startswith(f"gs://{settings.gcs_bucket}/lake/data/{dataset}/")
        assert row.source_rows == row.table_rows + row.rejected_rows + row.dropped_rows
    cloud, here = build_warehouse(settings), build_warehouse(local)
    table = DATASETS[dataset].table
    assert cloud.count_months(table) == here.count_months(table) == {Month.parse(r.month): r.table_rows for r in ours}
    for month in parse_months(months):
        stored, expected = build_lake(settings).find(dataset, month), build_lake(local).find(dataset, month)
        assert build_lake(settings).read(stored).equals(build_lake(local).read(expected))


def facts(settings: Settings, dataset: str) -> list[dict]:
    """Returns, for each month and column of a table, how many values and different ones, the lowest and the highest."""
    columns = ", ".join(
        f"COUNT({c.name}) AS n_{c.name}, COUNT(DISTINCT {c.name}) AS d_{c.name}, MIN({c.name}) AS min_{c.name}, "
        f"MAX({c.name}) AS max_{c.name}"
        for c in DATASETS[dataset].table_columns
    )
    table = f"{settings.warehouse_schema}.{DATASETS[dataset].table}"
    sql = f"SELECT {columns} FROM {table} GROUP BY source_month ORDER BY source_month"
    return build_warehouse(settings).query(sql).to_pylist()


@pytest.mark.parametrize(("dataset", "months"), [("yellow", "2021-01..2021-02"), ("fhvhv", "2021-01")])
def test_sample_months_land_as_in_the_local_profile_column_by_column(made: Settings, dataset: str, months: str) -> None:
    same_in_both(made, dataset, months)
    local = made.model_copy(update={"profile": "local"})
    for month in parse_months(months):
        there, expected = (build_warehouse(each).read_month(dataset, month) for each in (made, local))
        assert there.schema.names == expected.schema.names
        assert there.schema.types == expected.schema.types
        assert sorted_rows(there) == sorted_rows(expected)


def test_a_run_connects_once_for_each_store(made: Settings) -> None:
    in_bucket = made.model_copy(update={"work_url": f"gs://{made.gcs_bucket}/work"})
    for kind in (GcsStagingResource, GcsLakeResource, BigQueryWarehouseResource):
        resource = kind.from_settings(in_bucket)
        assert resource.create() is resource.create()
        assert resource.get_object_to_set_on_execution_context() is resource


@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "months"), [("yellow", "2018-12..2019-01"), ("green", "2024-07")])
def test_real_months_land_as_in_the_local_profile_column_by_column(
    made: Settings, real_data: Path, dataset: str, months: str
) -> None:
    mirror = (real_data / "mirror").as_uri()
    urls = {
        "csv_url": f"{mirror}/releases/download/{{dataset}}/{{dataset}}_tripdata_{{year}}-{{month:02}}.csv.gz",
        "parquet_url": f"{mirror}/trip-data/{{dataset}}_tripdata_{{year}}-{{month:02}}.parquet",
    }
    settings = made.model_copy(update={**urls, "source": "auto"})
    same_in_both(settings, dataset, months)
    assert facts(settings, dataset) == facts(settings.model_copy(update={"profile": "local"}), dataset)


# Twice is once


def test_a_second_run_sends_and_loads_nothing(
    made: Settings, gcs: GcsServer, bigquery: BigQueryServer, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(made)
    before = sent(gcs, bigquery)
    again = run(made)
    assert [row.status for row in again] == ["unchanged"]
    assert counts(again) == counts(first)
    assert sent(gcs, bigquery) == before
    assert main(["ledger", "--verify"]) == 0, capsys.readouterr().out


def test_of_a_month_that_another_machine_landed_object_and_table_are_compared(
    made: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    run(made)
    shutil.rmtree(made.work_dir)
    assert main(["ledger", "--verify"]) == 0
    said = capsys.readouterr().out
    assert "the raw and cleaned files are not on this machine, so only object and tables can be compared" in said
    assert "every file read that is on this machine" in said


def test_a_reset_in_the_middle_of_an_upload_loses_nothing(
    made: Settings, gcs: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_proxy("127.0.0.1", gcs.front.port) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        proxy.reset_after(12_000)  # within the one chunk of the sample month: what goes before it has 8 kB
        (row,) = run(made)
        assert proxy.resets == 1
    assert (row.status, row.table_rows, row.object_rows) == ("landed", row.cleaned_rows, row.cleaned_rows)


def test_a_load_that_fails_leaves_the_old_month_and_the_other_months_land(
    made: Settings, source: HttpSource, bigquery: BigQueryServer, tmp_path: Path
) -> None:
    run(made)
    before = build_warehouse(made).read_month("yellow", JANUARY)
    newer = write_month(tmp_path / "month.csv.gz", "yellow", JANUARY, 300)
    source.files["/yellow_2021-01.csv.gz"] = newer.read_bytes()
    table = f"throw-away:{made.warehouse_schema}.yellow_trips$202101"
    bigquery.front.fail_loads[table] = "Error while reading data, error message: Parquet column 'fare_amount' is odd"
    bad, good = run(made, months="2021-01..2021-02")
    assert (bad.status, good.status) == ("failed", "landed")
    for part in ("column fare_amount", "is odd", "yellow_tripdata_2021-01.parquet", "stays"):
        assert part in bad.error
    assert sorted_rows(build_warehouse(made).read_month("yellow", JANUARY)) == sorted_rows(before)
    del bigquery.front.fail_loads[table]
    (healed,) = run(made)
    assert (healed.status, healed.table_rows) == ("landed", 300)


def test_the_zones_land_in_bucket_and_dataset(made: Settings, source: HttpSource) -> None:
    rows = "\r\n".join(f'{n},"Borough","Zone {n}","Boro Zone"' for n in range(1, 266))
    source.files["/zones.csv"] = f'"LocationID","Borough","Zone","service_zone"\r\n{rows}\r\n'.encode()
    definitions = build_definitions(made.model_copy(update={"zones_url": f"{source.url}/zones.csv"}))
    with dg.instance_for_test() as instance:
        job = definitions.resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("taxi_zones")]).success
    zones = build_warehouse(made).query(f"SELECT * FROM {made.warehouse_schema}.taxi_zones ORDER BY LocationID")
    assert zones.num_rows == 265
    assert zones.slice(3, 1).to_pylist() == [
        {"LocationID": 4, "Borough": "Borough", "Zone": "Zone 4", "service_zone": "Boro Zone"}
    ]


def test_a_month_that_someone_else_puts_into_the_bucket_is_loaded_and_our_own_is_not_again(
    made: Settings, gcs: GcsServer, source: HttpSource, tmp_path: Path
) -> None:
    with make_instance(tmp_path / "home") as instance:
        world = World(source, made, instance, names=("yellow",))
        world.land("yellow", "2021-01")
        assert world.tick("lake", "2023-09-20T10:00").skipped == "no one else has put an object"
        _, path = cleaned_month(tmp_path, rows=300)
        gcs.front.require_credentials = False
        theirs = gcs.client().bucket(made.gcs_bucket).blob("lake/data/yellow/yellow_tripdata_2021-01.parquet")
        theirs.upload_from_filename(path)
        gcs.front.require_credentials = True
        tick = world.tick("lake", "2023-09-20T10:02")
        assert tick.months == ["yellow 2021-01"]
        (done,) = world.run(tick)
        assert done.status == dg.DagsterRunStatus.SUCCESS
        assert build_warehouse(made).count_months("yellow_trips") == {JANUARY: 300}
        assert world.tick("lake", "2023-09-20T10:04").skipped == "no one else has put an object"


# The ledger


def ledger(settings: Settings) -> dict[str, LedgerRow]:
    return {row.month: row for row in Ledger(settings).rows(DATASETS["yellow"]).values()}


def test_an_object_rewritten_by_someone_else_is_seen_by_the_ledger_and_by_verify(
    made: Settings, gcs: GcsServer, tmp_path: Path
) -> None:
    run(made, months="2021-01..2021-02")
    gcs.front.require_credentials = False
    _, other = cleaned_month(tmp_path, rows=ledger(made)["2021-01"].table_rows)
    blob = gcs.client().bucket(made.gcs_bucket).get_blob("lake/data/yellow/yellow_tripdata_2021-01.parquet")
    blob.upload_from_filename(other)  # keeps the metadata
    gcs.front.require_credentials = True
    rows = ledger(made)
    assert [row.status for row in rows.values()] == ["failed", "landed"]
    assert "the table was loaded from other bytes than the object has" in rows["2021-01"].error
    assert rows["2021-01"].notes == "someone else put the object in the lake"
    assert Ledger(made).verify(rows["2021-01"]) == ["the table was loaded from other bytes than the object has"]
    assert Ledger(made).verify(rows["2021-02"]) == []


def test_a_damaged_object_has_a_line_of_its_own(made: Settings, gcs: GcsServer) -> None:
    run(made, months="2021-01..2021-02")
    gcs.front.require_credentials = False
    gcs.client().bucket(made.gcs_bucket).blob("lake/data/yellow/yellow_tripdata_2021-01.parquet").upload_from_string(
        b"PAR1 and no more"
    )
    gcs.front.require_credentials = True
    rows = ledger(made)
    assert [row.status for row in rows.values()] == ["failed", "landed"]
    assert "not a readable Parquet file" in rows["2021-01"].error
    assert run(made)[0].status == "landed", "a run mends it"


def test_a_table_that_requires_a_partition_filter_serves_run_ledger_and_report(
    made: Settings, bigquery: BigQueryServer
) -> None:
    run(made)
    client = bigquery.client()
    bigquery.front.require_credentials = False
    table = client.get_table(f"throw-away.{made.warehouse_schema}.yellow_trips")
    table.require_partition_filter = True
    client.update_table(table, ["require_partition_filter"])
    bigquery.front.require_credentials = True
    assert [row.status for row in run(made, months="2021-01..2021-02")] == ["unchanged", "landed"]
    assert [row.status for row in ledger(made).values()] == ["landed", "landed"]
    assert Ledger(made).verify(ledger(made)["2021-01"]) == []
    assert main(["report", "yellow", "2021-01"]) == 0


@pytest.mark.parametrize(("status", "reason"), [(503, "backendError"), (429, "rateLimitExceeded")])
def test_a_busy_bigquery_does_not_silence_the_ledger(
    made: Settings, bigquery: BigQueryServer, monkeypatch: pytest.MonkeyPatch, status: int, reason: str
) -> None:
    run(made)
    monkeypatch.setenv("TAXI_ATTEMPTS", "2")
    monkeypatch.setenv("TAXI_FIRST_WAIT", "0")
    bigquery.front.refuse(status, reason, "Busy.", when="/jobs", times=20)
    with pytest.raises(TransientError, match="does not answer as it should"):
        ledger(Settings.from_environment())
    assert len(bigquery.front.refusals) == 20 - 2


def test_the_ui_links_object_and_table_to_googles_console(made: Settings) -> None:
    stored = build_lake(made).find("yellow", JANUARY)
    assert stored is None
    run(made)
    stored = build_lake(made).find("yellow", JANUARY)
    assert stored is not None
    assert metadata.of_object(stored)["console"].value == (
        f"https://console.cloud.google.com/storage/browser/_details/{made.gcs_bucket}/lake/data/yellow/"
        "yellow_tripdata_2021-01.parquet"
    )
    loaded = build_warehouse(made).find_month("yellow", JANUARY)
    assert loaded is not None
    shown = metadata.of_table(loaded)
    assert shown["console"].value == (
        f"https://console.cloud.google.com/bigquery?p=throw-away&d={made.warehouse_schema}&t=yellow_trips%24202101"
        "&page=table"
    )
    assert "&j=bq%3AEU%3A" in shown["job_console"].value


# The other profile


def test_the_local_profile_never_loads_googles_libraries(source: HttpSource, tmp_path: Path) -> None:
    code = (
        "import sys; from taxi_assets.cli.main import main; "
        "assert main(['run', 'yellow', '2021-01']) == 0; "
        "print([name for name in sys.modules if name.startswith(('google.cloud', 'google.auth', 'dagster_gcp'))])"
    )
    address = f"{source.url}/{{dataset}}_{{year}}-{{month:02}}.csv.gz"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TAXI_CSV_URL": address, "TAXI_SOURCE": "csv", "TAXI_REJECTED_SHARE_LIMIT": "0.1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stdout + done.stderr
