"""A network that breaks: a source, a bucket, BigQuery or Postgres that cuts off, refuses, or sends something else.

Whatever the run made of it, the next one ends as if there had been no fault, with every row once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.servers.http_source import Answer, broken, http_source, redirect, status
from taxi_assets_tests.servers.postgres import PostgresServer
from taxi_assets_tests.servers.proxy import FaultyProxy, faulty_proxy
from taxi_assets_tests.torture.bench import Bench, State, bench, state_of
from taxi_assets_tests.torture.places import Cloud, Here, Place, Postgres
from taxi_assets_tests.torture.tally import Tally

pytest_plugins = ["taxi_assets_tests.servers.fixtures", "taxi_assets_tests.servers.fixtures_postgres"]

RUN = ("run", "yellow", "2021-01", "--json")
PATH = "/yellow_2021-01.csv.gz"


@dataclass(frozen=True)
class Fault:
    """A fault of the network.

    Attributes:
        start: Starts it.
        end: Ends it; says whether it took effect.
        fatal: Whether no run can land anything while it lasts.
    """

    start: Callable[[], object]
    end: Callable[[], bool]
    fatal: bool = False


def few_and_all(every: int) -> pytest.MarkDecorator:
    """Give a test every nth fault for `make test`, and all for `make torture`."""
    return pytest.mark.parametrize(
        "every", [pytest.param(every, id="few"), pytest.param(1, id="all", marks=pytest.mark.torture)]
    )


def disturb(trials: Bench, place: Place, tally: Tally, faults: dict[str, Fault]) -> None:
    """Run with each fault, and again without; compare what lies in the place with what an undisturbed run leaves."""
    undisturbed, own = trials.data("undisturbed"), place.empty()
    done = trials.run(undisturbed, *RUN, **own)
    assert done.status == 0, done.said
    wanted = state_of(undisturbed, place.rows(undisturbed, own))
    for name, fault in faults.items():
        data, own = trials.data("disturbed"), place.empty()
        fault.start()
        disturbed = trials.run(data, *RUN, **own)
        tally.add(faults=fault.end())
        assert disturbed.status in ((1,) if fault.fatal else (0, 1)), (name, disturbed.said)
        assert "Traceback" not in disturbed.said, (name, disturbed.said)
        if disturbed.status:
            assert "what to do: " in disturbed.said, (name, disturbed.said)
        assert not fault.fatal or not state_of(data, place.rows(data, own)).rows, name
        again = trials.run(data, *RUN, **own)
        assert again.status == 0, (name, again.said)
        found = state_of(data, place.rows(data, own))
        tally.compare(wanted.tables, found.tables)
        assert found.tables == wanted.tables, name
        assert found.landed == wanted.landed, name
        assert _contents(found) == _contents(wanted), name


def _contents(state: State) -> dict[str, str]:
    """Return the files of months without their records, which say how many rows a refused file had."""
    return {name: checksum for name, checksum in state.files.items() if not name.endswith(".json")}


def shares(parts: int) -> list[float]:
    """Return so many places of a stream, as shares of its length."""
    return [number / parts for number in range(parts)]


def answers(content: bytes, other_month: bytes) -> dict[str, Answer]:
    """Return what a source may answer instead of a month."""
    found: dict[str, Answer] = {
        "another month": status(200, other_month),
        "a page": status(200, b"<html><body>Sign in</body></html>"),
        "nothing": status(200),
        "a circle": redirect(PATH),
        **{f"status {code}": status(code) for code in (400, 403, 404, 410, 429, 500, 502, 503, 504)},
    }
    for at in (int(share * len(content)) for share in shares(12)):
        found[f"reset at {at}"] = broken(content, at)
        found[f"closed at {at}"] = broken(content, at, reset=False)
    for at in (int(share * len(content)) for share in shares(8)[1:]):
        found[f"cut at {at}"] = status(200, content[:at])
        found[f"a flipped bit at {at}"] = status(200, content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    return found


@few_and_all(12)
def test_nothing_lands_of_what_a_source_sends_instead_of_a_month(
    source: dict[str, str], tally: Tally, tmp_path: Path, every: int
) -> None:
    folder = Path(source["TAXI_CSV_URL"].removeprefix("file://")).parent
    with http_source() as site:
        site.files |= {f"/{path.name}": path.read_bytes() for path in folder.iterdir()}

        def fault(answer: Answer) -> Fault:
            def start() -> None:
                site.asked[PATH].clear()
                site.standing[PATH] = answer

            def stop() -> bool:
                del site.standing[PATH]
                return bool(site.asked[PATH])

            return Fault(start, stop, fatal=True)

        instead = answers(site.files[PATH], site.files["/yellow_2021-02.csv.gz"])
        faults = {name: fault(answer) for name, answer in list(instead.items())[::every]}
        address = f"{site.url}/{{dataset}}_{{year}}-{{month:02}}.csv.gz"
        place = Here(source | {"TAXI_CSV_URL": address, "TAXI_ATTEMPTS": "2"})
        with bench(tmp_path, place.settings) as trials:
            disturb(trials, place, tally, faults)


@few_and_all(10)
def test_a_cloud_that_answers_with_errors_gets_each_row_once(
    cloud: dict[str, str],
    gcs: GcsServer,
    bigquery: BigQueryServer,
    tally: Tally,
    tmp_path: Path,
    every: int,
) -> None:
    def fault(code: int, reason: str, when: str, times: int) -> Fault:
        front = bigquery.front if "bigquery" in when else gcs.front

        def end() -> bool:
            took_effect = len(front.refusals) < times
            front.reset()
            return took_effect

        return Fault(lambda: front.refuse(code, reason, "an error of the service's", when=when, times=times), end)

    errors = {403: "forbidden", 404: "notFound", 429: "rateLimitExceeded", 500: "backendError", 503: "backendError"}
    requests = ("/upload/storage", "GET /storage", "POST /bigquery", "GET /bigquery")
    faults = {
        f"{times} x {code} to {when}": fault(code, reason, when, times)
        for when in requests
        for code, reason in errors.items()
        for times in (1, 3)
    }
    with bench(tmp_path, cloud, Cloud.more) as trials:
        place = Cloud(gcs, bigquery, cloud)
        disturb(trials, place, tally, dict(list(faults.items())[::every]))


@dataclass(frozen=True, kw_only=True)
class _ThroughProxy(Postgres):
    """A Postgres that is reached by a proxy."""

    proxy: FaultyProxy

    def empty(self) -> dict[str, str]:
        """See `Place.empty`."""
        ours, theirs = f":{self.server.port}/", f":{self.proxy.port}/"
        return {name: url.replace(ours, theirs) for name, url in super().empty().items()}


@few_and_all(8)
def test_a_postgres_whose_connections_break_gets_each_row_once(
    source: dict[str, str], postgres: PostgresServer, tally: Tally, tmp_path: Path, every: int
) -> None:
    with faulty_proxy("127.0.0.1", postgres.port) as proxy:

        def fault(after: int, direction: str) -> Fault:
            def end() -> bool:
                resets, proxy.resets = proxy.resets, 0
                proxy.heal()
                return bool(resets)

            return Fault(lambda: proxy.reset_after(after, direction), end)  # type: ignore[arg-type]

        faults = {
            f"reset after {after} bytes {direction}": fault(after, direction)
            for direction, total in (("up", 60_000), ("down", 12_000))
            for after in (int(share * total) + 1 for share in shares(12))
        }
        place = _ThroughProxy(postgres, source, proxy=proxy)
        with bench(tmp_path, place.settings, place.more) as trials:
            disturb(trials, place, tally, dict(list(faults.items())[::every]))
