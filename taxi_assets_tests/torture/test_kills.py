"""`taxi-assets run`, killed in place of a change that it is about to make, and run again, ends as if undisturbed.

The moments are the system calls that change a file below the data folder: of the raw, cleaned and lake files, of DuckDB
and of Dagster's databases. `make torture` tries 300 of them, drawn with a seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from taxi_assets.demo.sample import write_month
from taxi_assets.months import parse_months
from taxi_assets_tests.torture.bench import Bench, State, bench, state_of
from taxi_assets_tests.torture.moments import why_not

MONTHS = "2021-01..2021-02"
SEED = 20260101


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    if reason := why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("kills")
    for month in parse_months(MONTHS):
        write_month(folder / "site" / f"yellow_{month}.csv.gz", "yellow", month, 300, damaged=2)
    address = f"file://{folder}/site/{{dataset}}_{{year}}-{{month:02}}.csv.gz"
    # one month at a time, so that the changes come in the same order in every trial
    settings = {"TAXI_CSV_URL": address, "TAXI_SOURCE": "csv", "TAXI_THREADS": "1"}
    with bench(folder, settings) as running:
        yield running


def _try(trials: Bench, months: str, kills: int) -> int:
    """Kill runs at moments that are drawn; return the rows that were compared."""
    words = ("run", "yellow", months, "--json")
    undisturbed = trials.data("undisturbed")
    done = trials.run(undisturbed, *words)
    assert done.status == 0, done.said
    wanted = state_of(undisturbed)
    assert wanted.rows > 290
    rows = 0
    for at in random.Random(SEED).sample(range(1, len(done.changes) + 1), kills):
        data = trials.data("killed")
        killed = trials.run(data, *words, at=at)
        assert killed.status in (-9, 0), f"{at}: {killed.said}"  # a run may take fewer changes than the first one
        again = trials.run(data, *words)
        assert again.status == 0, f"killed in place of {killed.changes[-1]}, the {at}th change:\n{again.said}"
        found: State = state_of(data)
        assert found == wanted, f"killed in place of {killed.changes[-1]}, the {at}th change"
        rows += found.rows
    print(f"\n{months}: {kills} kills at {len(done.changes)} moments, {rows} rows compared, 0 lost, 0 twice")
    return rows


@pytest.mark.torture
@pytest.mark.parametrize("months", ["2021-01", MONTHS])
def test_a_run_killed_at_any_moment_and_run_again_ends_as_if_undisturbed(trials: Bench, months: str) -> None:
    assert _try(trials, months, 150)
