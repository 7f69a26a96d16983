"""`taxi-assets run`, killed in place of a change that it is about to make, and run again, ends as if undisturbed.

The moments are the system calls that change a file below the data folder (of the raw, cleaned and lake files, of DuckDB
and of Dagster's databases) or that send something to a server (the bucket, BigQuery, Postgres). They are drawn with a
seed: a few for `make test`, more than 300 for `make torture`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taxi_assets.months import parse_months
from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.servers.postgres import PostgresServer
from taxi_assets_tests.torture.bench import Bench, bench, drawn, state_of
from taxi_assets_tests.torture.places import Cloud, Here, Place, Postgres
from taxi_assets_tests.torture.tally import Tally

pytest_plugins = ["taxi_assets_tests.servers.fixtures", "taxi_assets_tests.servers.fixtures_postgres"]

MONTH, RANGE = "2021-01", "2021-01..2021-02"
SEED = 20260101


Kill = Callable[[Place, str, int], None]


@pytest.fixture
def kill(tmp_path: Path, tally: Tally) -> Kill:
    """Kills runs of months at drawn moments, and compares what they leave when run again."""

    def do(place: Place, months: str, kills: int) -> None:
        with bench(tmp_path, place.settings, place.more) as trials:
            _try(trials, place, ("run", "yellow", months, "--json"), kills, tally)

    return do


def _try(trials: Bench, place: Place, words: tuple[str, ...], kills: int, tally: Tally) -> None:
    undisturbed, own = trials.data("undisturbed"), place.empty()
    done = trials.run(undisturbed, *words, **own)
    assert done.status == 0, done.said
    wanted = state_of(undisturbed, place.rows(undisturbed, own))
    assert wanted.rows > 290
    for at in drawn(done.changes, kills, SEED):
        data, own = trials.data("killed"), place.empty()
        killed = trials.run(data, *words, at=at, **own)
        assert killed.status in (-9, 0), f"{at}: {killed.said}"  # a run may take fewer changes than the first one
        again = trials.run(data, *words, **own)
        assert again.status == 0, f"killed in place of {killed.changes[-1]}, the {at}th change:\n{again.said}"
        found = state_of(data, place.rows(data, own))
        tally.compare(wanted.tables, found.tables)
        tally.add(kills=killed.status == -9)
        assert found == wanted, f"killed in place of {killed.changes[-1]}, the {at}th change"
    tally.add(moments_to_draw_from=len(done.changes), inputs=len(parse_months(words[2])))


def short_and_full(**kills: int) -> pytest.MarkDecorator:
    """Give a test a few kills for `make test`, and more for `make torture`."""
    return pytest.mark.parametrize(
        ("months", "kills"),
        [
            pytest.param(MONTH, kills["few"], id="few"),
            pytest.param(MONTH, kills["month"], id="month", marks=pytest.mark.torture),
            pytest.param(RANGE, kills["range_"], id="range", marks=pytest.mark.torture),
        ],
    )


@short_and_full(few=2, month=104, range_=104)
def test_a_run_killed_at_any_moment_and_run_again_ends_as_if_undisturbed(
    kill: Kill, source: dict[str, str], months: str, kills: int
) -> None:
    kill(Here(source), months, kills)


@short_and_full(few=2, month=42, range_=42)
def test_so_does_one_that_lands_in_the_cloud(
    kill: Kill,
    cloud: dict[str, str],
    gcs: GcsServer,
    bigquery: BigQueryServer,
    months: str,
    kills: int,
) -> None:
    kill(Cloud(gcs, bigquery, cloud), months, kills)


@short_and_full(few=2, month=42, range_=42)
def test_so_does_one_that_lands_in_postgres_too(
    kill: Kill, source: dict[str, str], postgres: PostgresServer, months: str, kills: int
) -> None:
    kill(Postgres(postgres, source), months, kills)
