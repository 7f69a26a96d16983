"""Several processes at work on the same months at the same time, in the local profile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from taxi_assets.demo.sample import write_month
from taxi_assets.months import Month
from taxi_assets.settings import Settings
from taxi_assets.storage.factory import build_warehouse
from taxi_assets_tests.torture.bench import Bench, bench, state_of
from taxi_assets_tests.torture.tally import Tally

MONTHS = "2021-01..2021-02"


@pytest.fixture
def machines(source: dict[str, str], tmp_path: Path) -> Iterator[list[Bench]]:
    """Two processes that run commands."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with bench(tmp_path / "one", source) as one, bench(tmp_path / "other", source) as other:
        yield [one, other]


def test_runs_of_the_same_months_at_the_same_time_land_each_once(
    machines: list[Bench], tally: Tally, tmp_path: Path
) -> None:
    one = machines[0]
    alone = one.data("alone")
    for months in ("2021-01", MONTHS):
        assert one.run(alone, "run", "yellow", months, "--json").status == 0
    wanted = state_of(alone)

    data = one.data("together")
    assert one.run(data, "migrate").status == 0
    together = threading.Barrier(2)

    def run(machine: Bench, months: str) -> int | None:
        together.wait()
        done = machine.run(data, "run", "yellow", months, "--json", watched=tmp_path / "nothing")
        assert done.status == 0, done.said
        assert {row["status"] for row in done.rows()} <= {"landed", "unchanged"}
        return done.status

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(run, machines, ("2021-01", MONTHS))) == [0, 0]

    found = state_of(data)
    assert found.files == wanted.files
    tally.compare(wanted.tables, found.tables)
    assert found.tables == wanted.tables
    assert found.landed == wanted.landed
    tally.add(inputs=2)


def test_who_reads_a_month_while_it_is_replaced_sees_the_old_or_the_new_one(
    source: dict[str, str], tally: Tally, tmp_path: Path
) -> None:
    month, rows = Month(2021, 1), {300, 500}
    site = tmp_path / "site"
    settings = source | {"TAXI_CSV_URL": f"file://{site}/{{dataset}}_{{year}}-{{month:02}}.csv.gz"}
    seen: dict[str, set[int]] = {"object": set(), "table": set()}
    over = threading.Event()

    def read(data: Path) -> int:
        warehouse = build_warehouse(Settings.from_environment({"TAXI_DATA_DIR": str(data)}))
        reads = 0
        while not over.is_set() or not reads:
            with (data / f"lake/data/yellow/yellow_tripdata_{month}.parquet").open("rb") as file:
                seen["object"].add(pq.read_table(file).num_rows)
            seen["table"].add(warehouse.count_months("yellow_trips")[month])
            reads += 1
        return reads

    with bench(tmp_path, settings) as machine, ThreadPoolExecutor(1) as beside:
        data = machine.data("replaced")
        write_month(site / f"yellow_{month}.csv.gz", "yellow", month, 300)
        assert machine.run(data, "run", "yellow", str(month)).status == 0
        reader = beside.submit(read, data)
        try:
            for number in (500, 300, 500):
                write_month(site / f"yellow_{month}.csv.gz", "yellow", month, number)
                done = machine.run(data, "run", "yellow", str(month), watched=tmp_path / "nothing")
                assert done.status == 0, done.said
        finally:
            over.set()
        reads = reader.result()
    assert seen["object"] <= rows
    assert seen["table"] <= rows
    tally.add(inputs=3, reads_during_replacement=reads)
