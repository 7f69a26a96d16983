"""Dagster's own storage: files by default, Postgres by one variable; told apart errors, and pools that bear a race."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from taxi_assets.cli.common import migrate
from taxi_assets.cli.main import main
from taxi_assets.demo.sample import write_month
from taxi_assets.errors import PermanentError, TaxiError, TransientError
from taxi_assets.months import Month
from taxi_assets.settings import SettingError, Settings
from taxi_assets_tests.servers.deployment import PROJECT
from taxi_assets_tests.servers.postgres import PASSWORD, PostgresServer

pytest_plugins = ["taxi_assets_tests.servers.fixtures_postgres"]


@contextlib.contextmanager
def instance_of(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Migrate the storage as a start does, and open it."""
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
    migrate(Settings.from_environment())
    with dg.DagsterInstance.get() as instance:
        yield instance


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_history_is_in_files_by_default_and_in_postgres_by_its_variable(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with instance_of("", monkeypatch) as instance:
        instance.add_dynamic_partitions("found", ["in files"])
    assert list((tmp_path / "data" / "dagster").rglob("*.db"))
    with instance_of(postgres_url, monkeypatch) as instance:
        assert instance.get_dynamic_partitions("found") == []
        instance.add_dynamic_partitions("found", ["in postgres"])
        # what processes hand each other, on command lines too
        assert PASSWORD not in repr(instance.get_ref())
    assert {"runs", "event_logs", "instigators", "alembic_version"} <= tables(postgres_url)
    with instance_of(postgres_url, monkeypatch) as instance:  # the next start migrates again
        assert instance.get_dynamic_partitions("found") == ["in postgres"]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_an_address_works_however_its_scheme_is_written(
    scheme: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with instance_of(postgres_url.replace("postgresql", scheme, 1), monkeypatch):
        assert "runs" in tables(postgres_url)


@pytest.mark.parametrize(
    "url",
    ["mysql://taxi:s3cret-7@db/x", "postgresql://taxi:s3cr/et-7@db/x", "postgresql://taxi:s3cr@et-7@db/x", "s3cret-7"],
)
def test_an_unreadable_address_is_a_wrong_setting_and_is_not_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError) as caught, instance_of(url, monkeypatch):
        pass
    assert caught.value.location == "DAGSTER_POSTGRES_URL"
    assert "s3cr" not in str(caught.value)
    assert "et-7" not in str(caught.value)


def test_what_keeps_dagster_from_its_database_is_told_apart(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        (database,) = admin.execute("SELECT current_database()").fetchone() or ("",)
        admin.execute(f"CREATE ROLE guest_of_{database} LOGIN PASSWORD 'x'")
        admin.execute("REVOKE CREATE ON SCHEMA public FROM public")

    def refusal(url: str) -> TaxiError:
        with pytest.raises(TaxiError) as caught, instance_of(url, monkeypatch):
            pass
        assert PASSWORD not in str(caught.value)
        assert "s3cret" not in str(caught.value)
        return caught.value

    wrong = refusal(postgres_url.replace(PASSWORD, "s3cret"))
    assert isinstance(wrong, PermanentError)
    assert "refused user or password" in wrong.message
    assert wrong.remedy == "correct DAGSTER_POSTGRES_URL"
    assert "no such database" in refusal(postgres_url.rpartition("/")[0] + "/nowhere").message
    lacking = refusal(postgres_url.replace(f"taxi:{PASSWORD}", f"guest_of_{database}:x"))
    assert "permission denied for schema public" in lacking.message
    assert "GRANT CREATE ON SCHEMA public" in lacking.remedy
    postgres.stop()
    assert isinstance(refusal(postgres_url), TransientError)


def test_runs_that_use_a_pool_first_at_the_same_moment_all_get_it_and_later_its_changed_limit(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dagster's own storage one of two fails here: issue 33552."""

    def limits(instance: Any) -> dict[str, tuple[int, bool, int]]:
        log = instance.event_log_storage
        info = {pool.name: pool for pool in log.get_pool_limits()}
        return {n: (p.limit, p.from_default, log.get_concurrency_info(n).slot_count) for n, p in info.items()}

    with instance_of(postgres_url, monkeypatch) as instance:
        together = threading.Barrier(4)

        def use(_: int) -> None:
            together.wait()
            instance.event_log_storage.initialize_concurrency_limit_to_default("source")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(use, range(4)))
        instance.event_log_storage.set_concurrency_slots("warehouse", 4)  # a person's choice
        assert limits(instance) == {"source": (1, True, 1), "warehouse": (4, False, 4)}
    home = tmp_path / "data" / "dagster"
    (home / "dagster.yaml").write_text(
        (home / "dagster.yaml").read_text().replace("default_limit: 1", "default_limit: 3")
    )
    with dg.DagsterInstance.get() as instance:
        for name in ("source", "warehouse"):
            instance.event_log_storage.initialize_concurrency_limit_to_default(name)
        assert limits(instance) == {"source": (3, True, 3), "warehouse": (4, False, 4)}


def test_a_month_can_be_landed_by_hand_in_the_code_locations_container(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs are launched into containers there, by variables that only the services have that launch them."""
    home = tmp_path / "home"
    home.mkdir()
    parts = (PROJECT / "dagster.yaml", PROJECT / "deploy/compose/run_launcher.yaml")
    (home / "dagster.yaml").write_text("".join(part.read_text() for part in parts))
    write_month(tmp_path / "site" / "yellow_2021-01.csv.gz", "yellow", Month(2021, 1), 100)
    for name, value in {
        "DAGSTER_HOME": str(home),
        "DAGSTER_POSTGRES_URL": postgres_url,
        "TAXI_CSV_URL": f"file://{tmp_path}/site/{{dataset}}_{{year}}-{{month:02}}.csv.gz",
        "TAXI_SOURCE": "csv",
    }.items():
        monkeypatch.setenv(name, value)
    assert main(["migrate"]) == 0
    assert main(["run", "yellow", "2021-01"]) == 0


def test_events_are_stored_though_the_server_breaks_connections_and_restarts(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dagster's own storage a step fails here, and with it a month that has landed."""
    stored = threading.Event()

    def disturb() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            for _ in range(30):
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                stored.wait(0.02)
        postgres.kill()
        stored.wait(0.5)
        postgres.start()

    months = {f"month {number}" for number in range(40)}
    with instance_of(postgres_url, monkeypatch) as instance, ThreadPoolExecutor(1) as beside:
        trouble = beside.submit(disturb)
        rounds = 0
        while not trouble.done() or not rounds:
            rounds += 1
            for month in sorted(months):
                instance.report_runless_asset_event(dg.AssetMaterialization(f"asset_{rounds}", partition=month))
        trouble.result()
        for number in range(1, rounds + 1):
            assert set(instance.get_materialized_partitions(dg.AssetKey(f"asset_{number}"))) == months
