"""Files, addresses and settings made to do harm: each is refused by name, or lands as the plain data that it is."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import tempfile
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxi_assets.cli.main import main
from taxi_assets.cli.run import land as run
from taxi_assets.contracts import DATASETS
from taxi_assets.demo.sample import write_month
from taxi_assets.errors import PermanentError, TaxiError
from taxi_assets.ledger_row import LedgerRow
from taxi_assets.months import Month
from taxi_assets.settings import SettingError, Settings
from taxi_assets.source import client as source
from taxi_assets.source import inspection as inspector
from taxi_assets.source.inspection import FileInspector
from taxi_assets.source.streams import NotATripFileError
from taxi_assets.storage.factory import build_warehouse
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets_tests.servers.http_source import Handler, HttpSource, http_source, redirect
from taxi_assets_tests.torture.tally import Tally
from taxi_assets_tests.transform.landing import TRIP, csv, land

pytest_plugins = ["taxi_assets_tests.servers.fixtures_postgres"]

JANUARY = Month(2021, 1)
BOBBY = "B'); DROP TABLE nyc_tlc.fhv_trips; --\"$$"


@pytest.fixture
def site() -> Iterator[HttpSource]:
    with http_source() as running:
        yield running


# Bombs


def test_a_gzip_bomb_is_refused_long_before_its_end_and_takes_no_memory() -> None:
    line = (TRIP + "\n").encode() * 1000
    packer = zlib.compressobj(9, wbits=31)
    bomb = FileInspector()

    def a_gigabyte() -> None:
        for _ in range(10_000):
            bomb.feed(packer.compress(line))

    tracemalloc.start()
    with pytest.raises(NotATripFileError, match="unpacks to more than 100 times its size"):
        a_gigabyte()
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_a_large_month_of_trips_that_resemble_each_other_is_no_bomb() -> None:
    block = "".join(f"{number % 7},{TRIP}\n" for number in range(2000)).encode()
    month, packed = FileInspector(), 0
    for _ in range(500):
        packer = zlib.compressobj(1, wbits=31)
        member = packer.compress(block) + packer.flush()
        packed += len(member)
        month.feed(member)
    assert 500 * len(block) > inspector.ALWAYS_ALLOWED_BYTES
    assert 500 * len(block) / packed > 20  # four times as much as TLC's


def test_a_parquet_file_of_more_rows_than_its_size_can_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    nothing = pa.table({"VendorID": pa.nulls(5_000_000, pa.int8())})
    with pq.ParquetWriter(path, nothing.schema) as writer:
        for _ in range(16):
            writer.write_table(nothing)
    with pytest.raises(NotATripFileError, match="claims 80,000,000 rows, too many for its size"):
        inspector.parquet_rows(path)


def test_a_parquet_file_of_columns_that_unpack_beyond_bounds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector, "MAX_COLUMN_CHUNK_BYTES", 1 << 20)
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"flag": [bytes(2 << 20)]}), path, use_dictionary=False, compression="zstd")
    assert path.stat().st_size < 10_000
    with pytest.raises(NotATripFileError, match=r"a column unpacks to 2,097,\d\d\d bytes at a time"):
        inspector.parquet_rows(path)


def test_a_body_without_end_is_given_up(site: HttpSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspector, "MAX_BYTES", 4 << 20)

    def endless(handler: Handler) -> None:
        handler.close_connection = True
        handler.send_response(200)
        handler.end_headers()  # without a length: until the connection closes
        with contextlib.suppress(OSError):
            handler.wfile.write(csv([]))
            while True:
                handler.wfile.write((TRIP + "\n").encode() * 1000)

    site.standing["/endless"] = endless
    staging = StagingArea(tmp_path)
    with pytest.raises(NotATripFileError, match="does not end"):
        source.Source(f"{site.url}/endless", "", "csv").fetch("yellow", JANUARY, staging)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# Addresses


@pytest.mark.parametrize(
    "to",
    [
        "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token",
        "http://127.0.0.1:8080/admin",
        "http://10.1.2.3/",
        "http://[::1]/",
        "http://[fe80::1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://127.0.0.1./",
        "http://%31%32%37.0.0.1:9200/",
        "http://93.184.216.35\\@127.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::10.0.0.1]/",
        "http://[2002:a00:1::1]/",
        "file:///etc/passwd",
        "ftp://93.184.216.34/month.csv",
        "http://[::1",
    ],
)
def test_a_source_on_the_internet_cannot_lead_into_a_private_network_or_to_a_file(
    to: str, site: HttpSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", site.url)  # which answers for the internet
    monkeypatch.setenv("no_proxy", "")
    site.standing["/month.csv"] = redirect(to)
    with pytest.raises(PermanentError, match=r"which is not on the internet|an invalid address") as caught:
        source.Source("http://93.184.216.34/month.csv", "", "csv").fetch("yellow", JANUARY, StagingArea(tmp_path))
    assert "put the one that it redirects to into the settings" in caught.value.remedy
    assert list(site.asked) == ["/month.csv"]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_source_on_the_internet_may_lead_elsewhere_on_it(
    site: HttpSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    monkeypatch.setenv("no_proxy", "")
    site.standing["/month.csv"] = redirect("http://93.184.216.35/mirror.csv")
    site.files["/mirror.csv"] = csv([TRIP])
    raw, _ = source.Source("http://93.184.216.34/month.csv", "", "csv").fetch("yellow", JANUARY, StagingArea(tmp_path))
    assert raw.source_rows == 1


# Names and values


def test_what_looks_like_sql_in_a_file_lands_as_text_and_does_nothing(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bobby = f'"{BOBBY.replace(chr(34), chr(34) * 2)}"'
    header = f"pickup_datetime,dropOff_datetime,PUlocationID,DOlocationID,SR_Flag,{bobby},dispatching_base_num"
    line = f"2021-01-05 08:00:00,2021-01-05 08:10:00,1,2,,x,{bobby}"
    (tmp_path / "fhv_2021-01.csv").write_bytes(csv([line], header=header))
    chosen = {
        "TAXI_CSV_URL": f"{tmp_path.as_uri()}/{{dataset}}_{{year}}-{{month:02}}.csv",
        "TAXI_SOURCE": "csv",
        "TAXI_DATA_DIR": str(tmp_path / "data"),
        "TAXI_POSTGRES_URL": postgres_url,
    }
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    settings_ = Settings.from_environment(chosen)
    rows: list[LedgerRow] = run(settings_, DATASETS["fhv"], [JANUARY])
    assert [(row.status, row.table_rows, row.postgres_rows) for row in rows] == [("landed", 1, 1)], rows[0].error
    (base,) = build_warehouse(settings_).query("SELECT dispatching_base_num FROM nyc_tlc.fhv_trips").to_pylist()
    assert base == {"dispatching_base_num": BOBBY}
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT dispatching_base_num FROM nyc_tlc.fhv_trips").fetchall() == [(BOBBY,)]


@pytest.mark.parametrize(
    "words",
    [
        ("run", "../../etc/passwd", "2021-01"),
        ("run", "yellow'; DROP TABLE nyc_tlc.yellow_trips; --", "2021-01"),
        ("run", "yellow", "2021-01' OR '1'='1"),
        ("run", "yellow", "../2021-01"),
        ("ledger", 'yellow" UNION SELECT 1 --'),
    ],
)
def test_a_dataset_or_month_that_is_none_is_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "what to do: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TAXI_WAREHOUSE_SCHEMA", 'nyc"; DROP SCHEMA public CASCADE; --'),
        ("TAXI_WAREHOUSE_SCHEMA", "../nyc"),
        ("TAXI_GCP_PROJECT", "x`; SELECT 1"),
        ("TAXI_GCS_BUCKET", "bucket/../other"),
        ("TAXI_CSV_URL", "file:///months/{dataset.__class__.__mro__}/{year}/{month:02}"),
        ("TAXI_CSV_URL", "gopher://host/{dataset}/{year}/{month:02}"),
    ],
)
def test_a_setting_that_would_reach_further_than_it_should_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingError) as caught:
        Settings.from_environment({name: value})
    assert name in str(caught.value)


# Any bytes at all


@functools.cache
def _month_as(kind: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        packed = write_month(Path(folder) / "m.csv.gz", "yellow", JANUARY, 60).read_bytes()
    if kind == "gzip":
        return packed
    sink = io.BytesIO()
    pq.write_table(pyarrow.csv.read_csv(io.BytesIO(gzip.decompress(packed))), sink, row_group_size=25)
    return sink.getvalue()


def _any_bytes_land_or_are_refused(kind: str, data: st.DataObject) -> None:
    """Damage a file anywhere; see that it lands whole by its ledger, or is refused by name, and leaves nothing."""
    content = bytearray(_month_as(kind))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with tempfile.TemporaryDirectory() as folder:
        try:
            record = land(bytes(content), Path(folder)).cleaned
        except TaxiError:
            pass  # any other exception is a failure
        else:
            assert record.source_rows == record.cleaned_rows + record.dropped_rows + record.rejected_rows
        assert not list(Path(folder).glob("work/tmp/*"))


@pytest.mark.parametrize("kind", ["parquet", "gzip"])
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_bytes_land_by_the_ledger_or_are_refused_by_name(kind: str, data: st.DataObject) -> None:
    _any_bytes_land_or_are_refused(kind, data)


@pytest.mark.torture
@pytest.mark.parametrize("kind", ["parquet", "gzip"])
@settings(max_examples=3000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_so_do_thousands_of_them(kind: str, data: st.DataObject, tally: Tally) -> None:
    _any_bytes_land_or_are_refused(kind, data)
    tally.add(damaged_files=1)
