"""What PostgreSQL refuses: each cause has its own clear message without the password, and the old month stays."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pyarrow.parquet as pq
import pytest

from taxi_assets.contracts import DATASETS
from taxi_assets.errors import PermanentError, TaxiError, TransientError
from taxi_assets.months import Month
from taxi_assets.storage.warehouse.postgres import PostgresStore
from taxi_assets_tests.servers.postgres import PASSWORD, PostgresServer
from taxi_assets_tests.storage.made_months import JANUARY, make_month, write_month

pytest_plugins = ["taxi_assets_tests.servers.fixtures_postgres"]

YELLOW = DATASETS["yellow"]


@pytest.fixture
def store(postgres_url: str) -> PostgresStore:
    return PostgresStore(postgres_url)


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the owner's to the same database."""
    with contextlib.closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        yield connection


def refusal(url: str, kind: type[TaxiError]) -> TaxiError:
    """Return the error of asking a store for a month; neither it nor its causes may show the password."""
    with pytest.raises(kind) as caught:
        PostgresStore(url).find_month("yellow", JANUARY)
    notified = "".join(traceback.format_exception(caught.value))
    assert "s3cr" not in notified
    assert "et-7" not in notified
    assert PASSWORD not in notified
    return caught.value


# --- the connection


def test_a_wrong_password_a_missing_database_and_a_missing_user_have_messages_of_their_own(
    postgres_url: str, admin: psycopg.Connection[Any]
) -> None:
    assert "refused the user or password" in refusal(postgres_url.replace(PASSWORD, "s3cret-7"), PermanentError).message
    assert "requires a password" in refusal(postgres_url.replace(f":{PASSWORD}", ""), PermanentError).message
    nowhere = refusal(postgres_url.rpartition("/")[0] + "/nowhere", PermanentError)
    assert "no such database" in nowhere.message
    assert "createdb" in nowhere.remedy
    assert "/nowhere" in nowhere.location


def test_a_server_that_does_not_answer_is_a_passing_trouble(postgres: PostgresServer, postgres_url: str) -> None:
    postgres.stop()
    assert "Connection refused" in refusal(postgres_url, TransientError).message
    host = postgres_url.replace("127.0.0.1", "no-such-host.invalid")
    assert "no-such-host.invalid" in refusal(host, TransientError).message


def test_too_many_connections_are_a_passing_trouble_and_a_missing_right_to_connect_is_not(
    postgres_url: str, admin: psycopg.Connection[Any]
) -> None:
    (database,) = admin.execute("SELECT current_database()").fetchone() or ("",)
    name = f"guest_of_{database}"
    admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 's3cret-7' CONNECTION LIMIT 0")
    url = postgres_url.replace(f"taxi:{PASSWORD}", f"{name}:s3cret-7")
    assert "too many connections" in refusal(url, TransientError).message
    admin.execute(f"ALTER ROLE {name} CONNECTION LIMIT -1")
    admin.execute(f"REVOKE CONNECT ON DATABASE {database} FROM public")
    assert "GRANT CONNECT" in refusal(url, PermanentError).remedy


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://taxi:s3cr@et-7@127.0.0.1/trips",
        "postgresql://taxi:s3cr/et-7@127.0.0.1/trips",
        "postgresql://taxi:s3cr%et-7@127.0.0.1/trips",
        "postgresql://taxi:s3cret-7@127.0.0.1:port/trips",
        "postgresql+psycopg2://taxi:s3cret-7@127.0.0.1/trips",
        "taxi:s3cret-7@127.0.0.1/trips",
        "host=127.0.0.1 password=s3cret-7 port",
        "",
    ],
)
def test_an_unreadable_address_is_refused_without_being_shown(url: str) -> None:
    error = refusal(url, PermanentError)
    assert error.location == "TAXI_POSTGRES_URL"
    assert "%40 for @" in error.remedy


def test_a_password_of_odd_characters_works_when_percent_encoded(
    postgres_url: str, admin: psycopg.Connection[Any]
) -> None:
    (database,) = admin.execute("SELECT current_database()").fetchone() or ("",)
    name, password = f"odd_of_{database}", "a@b/c?d%e:f#g"
    admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    url = postgres_url.replace(f"taxi:{PASSWORD}", f"{name}:{quote(password, safe='')}")
    assert PostgresStore(url).find_month("yellow", JANUARY) is None


# --- the work


def test_a_user_without_privileges_learns_which_to_ask_for_and_needs_none_where_nothing_is_missing(
    postgres_url: str, store: PostgresStore, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    (database,) = admin.execute("SELECT current_database()").fetchone() or ("",)
    name = f"clerk_of_{database}"
    admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    clerk = PostgresStore(postgres_url.replace(f"taxi:{PASSWORD}", f"{name}:x"))
    record = make_month(tmp_path / "m", 3)
    with pytest.raises(PermanentError, match="lacks a privilege: permission denied for database") as caught:
        clerk.replace_month(YELLOW, record, tmp_path / "m")
    assert "GRANT CREATE ON DATABASE" in caught.value.remedy

    store.replace_month(YELLOW, record, tmp_path / "m")
    with pytest.raises(PermanentError, match="lacks a privilege: permission denied for schema nyc_tlc"):
        clerk.replace_month(YELLOW, record, tmp_path / "m")
    admin.execute(f"GRANT USAGE ON SCHEMA nyc_tlc TO {name}; GRANT SELECT ON ALL TABLES IN SCHEMA nyc_tlc TO {name}")
    assert not clerk.replace_month(YELLOW, record, tmp_path / "m").changed


@pytest.mark.parametrize(
    ("state", "kind", "message"),
    [
        ("53100", PermanentError, "disk is full"),
        ("53200", TransientError, "no memory or connections"),
        ("40P01", TransientError, "another transaction was in the way"),
        ("57P01", TransientError, "canceled the statement"),
        ("57014", TransientError, "canceled the statement"),
        ("25006", PermanentError, "read-only"),
        ("XX001", PermanentError, "the server refused: .* \\(XX001\\)"),
    ],
)
def test_what_goes_wrong_on_the_server_is_sorted_by_its_code_and_the_old_month_stays(
    state: str,
    kind: type[TaxiError],
    message: str,
    store: PostgresStore,
    tmp_path: Path,
    admin: psycopg.Connection[Any],
) -> None:
    store.replace_month(YELLOW, make_month(tmp_path / "m", 3), tmp_path / "m")
    admin.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'it fails' USING ERRCODE = '{state}'; END $$"
    )
    admin.execute("CREATE TRIGGER fail BEFORE INSERT ON nyc_tlc.month_loads EXECUTE FUNCTION fail()")
    with pytest.raises(kind, match=message):
        store.replace_month(YELLOW, make_month(tmp_path / "m", 5), tmp_path / "m")
    assert store.count_months("yellow_trips") == {JANUARY: 3}


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk of its own, to be filled, can only be made by root")
def test_a_disk_that_fills_up_during_a_load_is_reported_as_such_and_nothing_is_lost(
    postgres: PostgresServer, store: PostgresStore, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    disk = postgres.log.parent / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no disk can be mounted: {mounted.stderr.decode().strip()}")
    try:
        shutil.chown(disk, postgres.log.parent.stat().st_uid)
        admin.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        (database,) = admin.execute("SELECT current_database()").fetchone() or ("",)
        admin.execute(f"ALTER DATABASE {database} SET default_tablespace = small")
        store.replace_month(YELLOW, make_month(tmp_path / "m", 1000), tmp_path / "m")
        with pytest.raises(PermanentError, match="disk is full: could not extend file") as caught:
            store.replace_month(YELLOW, make_month(tmp_path / "m", 100_000), tmp_path / "m")
        assert "free or add disk space" in caught.value.remedy
        assert store.count_months("yellow_trips") == {JANUARY: 1000}
        admin.execute("DROP SCHEMA nyc_tlc CASCADE")
        admin.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_file_that_does_not_match_its_record_never_becomes_a_month(store: PostgresStore, tmp_path: Path) -> None:
    record = dataclasses.replace(make_month(tmp_path / "m", 10), cleaned_rows=11)
    with pytest.raises(PermanentError, match="should have 11 rows: 10 were sent, 0 dropped"):
        store.replace_month(YELLOW, record, tmp_path / "m")
    assert store.count_months("yellow_trips") == {}


@pytest.mark.parametrize("there", [False, True], ids=["first load", "reload"])
def test_a_row_of_another_month_is_refused(there: bool, store: PostgresStore, tmp_path: Path) -> None:
    if there:
        store.replace_month(YELLOW, make_month(tmp_path / "m", 3), tmp_path / "m")
    strange = make_month(tmp_path / "m", 5, source_month=Month(2021, 2).first_day)
    with pytest.raises(PermanentError, match="does not fit the table"):
        store.replace_month(YELLOW, strange, tmp_path / "m")
    assert store.count_months("yellow_trips") == ({JANUARY: 3} if there else {})


def test_a_damaged_or_foreign_file_is_refused_by_name(store: PostgresStore, tmp_path: Path) -> None:
    good = make_month(tmp_path / "m", 3)
    (tmp_path / "cut").write_bytes((tmp_path / "m").read_bytes()[:-9])
    with pytest.raises(PermanentError, match="cannot be read as Parquet"):
        store.replace_month(YELLOW, good, tmp_path / "cut")
    with pytest.raises(PermanentError, match="cannot be read as Parquet"):
        store.replace_month(YELLOW, good, tmp_path / "gone")
    table = pq.read_table(tmp_path / "m")
    foreign = write_month(tmp_path / "foreign", table.rename_columns([name.upper() for name in table.column_names]))
    with pytest.raises(PermanentError, match=r"columns are not the contract's: .*AIRPORT_FEE"):
        store.replace_month(YELLOW, foreign, tmp_path / "foreign")
    assert store.count_months("yellow_trips") == {}


def test_a_text_that_postgres_cannot_hold_is_refused(store: PostgresStore, tmp_path: Path) -> None:
    record = make_month(tmp_path / "m", 2, store_and_fwd_flag=["N", "a\0b"])
    with pytest.raises(PermanentError, match="a value does not fit the table"):
        store.replace_month(YELLOW, record, tmp_path / "m")


# --- a table that differs from the contract


def test_a_column_new_in_the_contract_is_added_and_empty_in_older_months(store: PostgresStore, tmp_path: Path) -> None:
    earlier = dataclasses.replace(YELLOW, columns=YELLOW.columns[:-3])
    store.replace_month(earlier, make_month(tmp_path / "a", 3, JANUARY, earlier), tmp_path / "a")
    february = make_month(tmp_path / "b", 2, Month(2021, 2), dropoff_latitude=40.7)
    store.replace_month(YELLOW, february, tmp_path / "b")

    assert store.read_month(YELLOW, JANUARY)["dropoff_latitude"].to_pylist() == [None] * 3
    assert store.read_month(YELLOW, Month(2021, 2))["dropoff_latitude"].to_pylist() == [40.7] * 2


def test_a_table_that_differs_otherwise_is_refused_with_the_difference_and_left_alone(
    store: PostgresStore, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    record = make_month(tmp_path / "m", 3)
    admin.execute("CREATE SCHEMA nyc_tlc")
    admin.execute("CREATE TABLE nyc_tlc.yellow_trips (vendorid text, tip_amount double precision, mine int NOT NULL)")
    with pytest.raises(PermanentError) as caught:
        store.replace_month(YELLOW, record, tmp_path / "m")
    assert "it is not partitioned" in caught.value.message
    assert "vendorid is text, not bigint" in caught.value.message
    assert "mine is integer, not in the contract" in caught.value.message
    assert admin.execute("SELECT count(*) FROM nyc_tlc.yellow_trips").fetchone() == (0,)


def test_a_nullable_column_that_the_contract_does_not_know_is_left_alone_and_named(
    store: PostgresStore, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    earlier = dataclasses.replace(YELLOW, columns=YELLOW.columns[:-1])
    late = YELLOW.columns[-1].name.lower()
    store.replace_month(YELLOW, make_month(tmp_path / "a", 3), tmp_path / "a")
    admin.execute("ALTER TABLE nyc_tlc.yellow_trips ADD COLUMN mine int")

    loaded = store.replace_month(earlier, make_month(tmp_path / "b", 2, Month(2021, 2), earlier), tmp_path / "b")

    assert (loaded.rows, loaded.unknown_columns) == (2, (late, "mine"))
    sql = f"SELECT count(*), count({late}), count(mine) FROM nyc_tlc.yellow_trips WHERE source_month = '2021-02-01'"
    assert admin.execute(sql).fetchone() == (2, 0, 0)


def test_a_month_that_somebody_detached_is_not_taken_for_a_part_of_the_table(
    store: PostgresStore, tmp_path: Path, admin: psycopg.Connection[Any]
) -> None:
    store.replace_month(YELLOW, make_month(tmp_path / "m", 3), tmp_path / "m")
    admin.execute("ALTER TABLE nyc_tlc.yellow_trips DETACH PARTITION nyc_tlc.yellow_trips_2021_01")
    with pytest.raises(PermanentError, match="not a partition of"):
        store.replace_month(YELLOW, make_month(tmp_path / "m", 5), tmp_path / "m")
    assert admin.execute("SELECT count(*) FROM nyc_tlc.yellow_trips_2021_01").fetchone() == (3,)
