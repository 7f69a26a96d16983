"""Dagster's own storage: files by default, Postgres by one variable; clear errors, and pools that survive a race."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

from taxi_assets.cli import doctor_checks
from taxi_assets.cli.main import main
from taxi_assets.definitions import build_definitions
from taxi_assets.demo.sample import write_month
from taxi_assets.errors import PermanentError, TaxiError, TransientError
from taxi_assets.instance import locks
from taxi_assets.instance.home import _names_postgres, dagster_instance, migrate
from taxi_assets.instance.postgres import POOLS
from taxi_assets.instance.sqlite import check_history, kept_open
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


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, where only the package's own dagster.yaml is at hand."""
    (tmp_path / "working").mkdir()
    monkeypatch.chdir(tmp_path / "working")


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
    assert "refused the user or password" in wrong.message
    assert wrong.remedy == "correct DAGSTER_POSTGRES_URL"
    assert "no such database" in refusal(postgres_url.rpartition("/")[0] + "/nowhere").message
    lacking = refusal(postgres_url.replace(f"taxi:{PASSWORD}", f"guest_of_{database}:x"))
    assert "permission denied for schema public" in lacking.message
    assert "GRANT CREATE ON SCHEMA public" in lacking.remedy
    postgres.stop()
    assert isinstance(refusal(postgres_url), TransientError)


def test_runs_that_use_a_pool_first_at_the_same_moment_all_get_it_and_later_its_changed_limit(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pools that no migration created fail here in one of two runs: dagster issue 33552."""
    runs: list[str] = []

    def limits(instance: Any) -> dict[str, tuple[int, bool, int]]:
        log = instance.event_log_storage
        info = {pool.name: pool for pool in log.get_pool_limits()}
        return {n: (p.limit, p.from_default, log.get_concurrency_info(n).slot_count) for n, p in info.items()}

    def claim(instance: Any, number: int) -> bool:
        run = dg.DagsterRun(f"job_{number}")
        with InstanceConcurrencyContext(instance, run) as context:
            claimed = context.claim("source", f"step_{number}")
        runs.append(run.run_id)
        return bool(claimed)

    with instance_of(postgres_url, monkeypatch) as instance:
        together = threading.Barrier(4)

        def use(number: int) -> bool:
            together.wait()
            return claim(instance, number)

        with ThreadPoolExecutor(4) as pool:
            assert any(pool.map(use, range(4)))
        for run_id in runs:  # they end; dagster 1.13 may have given one slot to several of them
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
        instance.event_log_storage.set_concurrency_slots("warehouse", 4)  # a person's choice
        default = (1, True, 1)
        assert limits(instance) == {"source": default, "lake": default, "warehouse": (4, False, 4), "postgres": default}
    changed = (PROJECT / "dagster.yaml").read_text().replace("default_limit: 1", "default_limit: 3")
    Path("dagster.yaml").write_text(changed)
    with instance_of(postgres_url, monkeypatch) as instance:
        default = (3, True, 3)
        assert limits(instance) == {"source": default, "lake": default, "warehouse": (4, False, 4), "postgres": default}
        assert claim(instance, 5)


def test_every_pool_of_the_assets_is_created_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_POSTGRES_URL", "postgresql://nobody@localhost/x")
    graph = build_definitions(Settings.from_environment()).get_repository_def().asset_graph
    assert {pool for key in graph.get_all_asset_keys() for pool in graph.get(key).pools} == set(POOLS)


@pytest.mark.parametrize("left_behind", ["of the other storage", "of a release whose class is gone"])
def test_a_home_that_was_made_for_the_other_storage_is_made_to_fit(
    left_behind: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "elsewhere"
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with instance_of("", monkeypatch):
        assert not _names_postgres((home / "dagster.yaml").read_text())
    if left_behind == "of a release whose class is gone":
        (home / "dagster.yaml").write_text("storage: {custom: {module: taxi_assets.x, class: SqliteOrPostgres}}")
    with instance_of(postgres_url, monkeypatch):
        assert _names_postgres((home / "dagster.yaml").read_text())


def test_a_persons_own_dagster_yaml_stays_and_is_refused_if_it_keeps_another_storage(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "elsewhere"
    home.mkdir()
    (home / "dagster.yaml").write_text("nux: {enabled: true}")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with instance_of("", monkeypatch):
        assert (home / "dagster.yaml").read_text() == "nux: {enabled: true}"
    with pytest.raises(SettingError) as caught, instance_of(postgres_url, monkeypatch):
        pass
    assert caught.value.location == str(home / "dagster.yaml")


def test_a_month_can_be_landed_by_hand_in_the_code_locations_container(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs are launched into containers there, by variables that only the services have that launch them."""
    home = tmp_path / "home"
    home.mkdir()
    parts = (PROJECT / name for name in ("dagster.yaml", "deploy/dagster.yaml", "deploy/compose/run_launcher.yaml"))
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


_START_SIDE_BY_SIDE = """
import sys, time
from taxi_assets.cli.main import main
import dagster, taxi_assets.definitions
time.sleep(max(0, float(sys.argv[1]) - time.time()))
raise SystemExit(main(["migrate"]))
"""


def test_two_first_starts_at_the_same_moment_make_one_history(tmp_path: Path) -> None:
    for number in range(4):
        home = tmp_path / f"home {number}"
        moment = str(time.time() + 6)
        command = [sys.executable, "-c", _START_SIDE_BY_SIDE, moment]
        both = [subprocess.Popen(command, env=os.environ | {"DAGSTER_HOME": str(home)}) for _ in range(2)]
        assert [process.wait() for process in both] == [0, 0]
        check_history(home)
        with sqlite3.connect(home / "history" / "runs.db") as database:
            assert len(database.execute("SELECT * FROM alembic_version").fetchall()) == 1


def test_a_history_with_two_schema_versions_is_refused_with_how_to_mend_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with instance_of("", monkeypatch) as instance:
        instance.add_dynamic_partitions("found", ["before"])
    path = tmp_path / "data" / "dagster" / "history" / "runs.db"
    with sqlite3.connect(path) as database:
        ((newest,),) = database.execute("SELECT version_num FROM alembic_version").fetchall()
        database.execute("INSERT INTO alembic_version VALUES ('5771160a95ad')")
    with pytest.raises(PermanentError) as caught, instance_of("", monkeypatch):
        pass
    assert caught.value.location == str(path)
    with pytest.raises(PermanentError, match="schema versions"):
        doctor_checks._check_dagster()
    assert f"every row but {newest}" in caught.value.remedy
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM alembic_version WHERE version_num <> ?", (newest,))
    with instance_of("", monkeypatch) as instance:
        assert instance.get_dynamic_partitions("found") == ["before"]


def test_the_history_is_kept_open_during_a_command_and_whole_in_its_files_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_POSTGRES_URL", raising=False)
    history = tmp_path / "data" / "dagster" / "history"
    with dagster_instance(Settings.from_environment()) as instance, kept_open(instance, "a-run"):
        for path in (history / "runs.db", history / "runs" / "index.db", history / "runs" / "a-run.db"):
            with contextlib.closing(sqlite3.connect(path)) as database, database:
                database.execute("CREATE TABLE written (number)")
            assert path.with_name(f"{path.name}-wal").stat().st_size, "the last connection moved the log into the file"
    assert not list(history.rglob("*-wal"))
    with sqlite3.connect(history / "runs" / "a-run.db") as database:
        assert database.execute("SELECT count(*) FROM written").fetchall() == [(0,)]


def test_a_history_in_postgres_opens_no_files(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with instance_of("", monkeypatch):
        pass  # files of an earlier time
    with instance_of(postgres_url, monkeypatch) as instance, kept_open(instance, "a-run"):
        assert not (tmp_path / "data" / "dagster" / "history" / "runs" / "a-run.db").exists()


_HOLD = """
import sqlite3, sys, time
holder = sqlite3.connect(sys.argv[1], isolation_level=None)
holder.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
holder.execute("ROLLBACK")
"""


@contextlib.contextmanager
def held(path: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Lock a SQLite file in another process."""
    command = [sys.executable, "-c", _HOLD, str(path), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


@pytest.fixture
def month_to_land(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A published month, and Dagster's home."""
    write_month(tmp_path / "site" / "yellow_2021-01.csv.gz", "yellow", Month(2021, 1), 100)
    monkeypatch.setenv("TAXI_CSV_URL", f"file://{tmp_path}/site/{{dataset}}_{{year}}-{{month:02}}.csv.gz")
    monkeypatch.setenv("TAXI_SOURCE", "csv")
    assert main(["migrate"]) == 0
    return tmp_path / "data" / "dagster"


@pytest.mark.slow
@pytest.mark.parametrize("file", ["history/runs.db", "history/runs/index.db"])
def test_a_run_waits_for_a_process_that_has_dagsters_history_locked(month_to_land: Path, file: str) -> None:
    """Python's driver waits for 5 s, and Dagster leaves it at that for the storage of runs."""
    with held(month_to_land / file, 60) as holder:
        command = [sys.executable, "-m", "taxi_assets.cli.main", "run", "yellow", "2021-01"]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            pytest.fail(f"it did not wait: {run.communicate(timeout=15)[0]}")
        holder.kill()
        said, _ = run.communicate(timeout=120)
    assert run.returncode == 0, said


def test_a_lock_that_outlasts_the_wait_is_told_with_what_to_do(
    month_to_land: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(locks, "WAIT_SECONDS", 0)
    with held(month_to_land / "history/runs.db", 60):
        assert main(["run", "yellow", "2021-01"]) == 1
    said = capsys.readouterr().err
    assert "database is locked" in said
    assert "close the program that holds it" in said
