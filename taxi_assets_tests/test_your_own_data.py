"""Another monthly dataset goes through the whole chain by its contract alone, as docs/your-own-data.md promises."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dagster as dg
import duckdb
import pyarrow.parquet as pq
import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.definitions import build_definitions
from taxi_assets.settings import Settings
from taxi_assets_tests.air_quality import AIR
from taxi_assets_tests.documents import ROOT

JANUARY = "sensor_id,measured_at,pm25,quality\n7,2024-01-31 23:00:00,12.5,ok\n8,2024-01-31 23:00:00,,bad\n"
FEBRUARY = (
    "SENSOR,measured_at,pm25,quality,humidity,wind\n"
    "7,2024-02-01 00:00:00,11,1,81.5,3\n"
    "8,2024-02-01 00:00:00,many,1,80,3\n"  # cannot be read
    "9,2024-02-01 00:00:00,9.25,2,79,3\n"
)


@pytest.fixture
def definitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    monkeypatch.setitem(DATASETS, "air", AIR)
    for month, text in (("2024-01", JANUARY), ("2024-02", FEBRUARY)):
        (tmp_path / f"air_{month}.csv").write_text(text)
    settings = {
        "TAXI_CSV_URL": f"file://{tmp_path}/{{dataset}}_{{year}}-{{month:02}}.csv",
        "TAXI_SOURCE": "csv",
        "TAXI_DATA_DIR": str(tmp_path / "data"),
        "TAXI_REJECTED_SHARE_LIMIT": "0.5",
    }
    return build_definitions(Settings.from_environment(settings), datasets={"air": AIR})


def test_it_lands_in_lake_and_warehouse_and_has_a_report(definitions: dg.Definitions, tmp_path: Path) -> None:
    report = dg.AssetKey(["air", "monthly_report"])
    with dg.instance_for_test() as instance:
        job = definitions.resolve_job_def("air_everything")
        for key in ("2024-01-01", "2024-02-01"):
            assert job.execute_in_process(partition_key=key, instance=instance).success
        only_report = definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection={report})
        assert only_report.execute_in_process(partition_key="2024-02-01", instance=instance).success
        checks = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey(["air", "cleaned_parquet"]), "ledger"), limit=10
        )
        assert len(checks) == 2
        page = instance.get_latest_materialization_event(report)

    rows = "SELECT sensor, measured_at::VARCHAR, pm25, quality, humidity, source_month::VARCHAR FROM nyc_tlc.air_trips"
    with duckdb.connect(str(tmp_path / "data/warehouse.duckdb"), read_only=True) as warehouse:
        assert warehouse.execute(f"{rows} ORDER BY source_month, sensor").fetchall() == [
            (7, "2024-01-31 23:00:00", 12.5, 1, None, "2024-01-01"),
            (8, "2024-01-31 23:00:00", None, 2, None, "2024-01-01"),
            (7, "2024-02-01 00:00:00", 11.0, 1, 81.5, "2024-02-01"),
            (9, "2024-02-01 00:00:00", 9.25, 2, 79.0, "2024-02-01"),
        ]
    assert pq.read_metadata(tmp_path / "data/lake/data/air/air_tripdata_2024-02.parquet").num_rows == 2
    rejects = [path for path in (tmp_path / "data/work/cleaned/air").iterdir() if "rejects" in path.name]
    assert len(rejects) == 1
    assert page
    assert page.asset_materialization
    path = unquote(urlsplit(str(page.asset_materialization.metadata["dagster/uri"].value)).path)
    assert "<h1>Air quality, February 2024</h1>" in Path(path).read_text("utf-8")


def test_the_contract_in_the_document_is_the_one_that_was_tried() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/your-own-data.md").read_text("utf-8"), re.DOTALL)
    assert block.strip() in (ROOT / "taxi_assets_tests/air_quality.py").read_text("utf-8")
