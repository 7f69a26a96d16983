"""Inspection: a file that is no trip file is refused by the name of what it is; lines are counted as Python does."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxi_assets.source.inspection import Contents, FileInspector
from taxi_assets.source.streams import MAX_LINE_BYTES, LineCounter, NotATripFileError, text_blocks
from taxi_assets_tests.transform.landing import TRIP, csv

CSV = csv([TRIP] * 300)


def inspect(content: bytes, folder: Path, chunk: int = 1000) -> Contents:
    path = folder / "file"
    path.write_bytes(content)
    inspector = FileInspector()
    for start in range(0, len(content), chunk):
        inspector.feed(content[start : start + chunk])
    return inspector.finish(path)


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"trips": range(5)}), sink)
    return sink.getvalue()


def zipped() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("yellow.csv"), CSV)
    return sink.getvalue()


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 8]) + content[at + 1 :]


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)  # the same bytes in each process, for they are part of a test's name


PACKED = packed(CSV)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("an HTML page", b"\n<!DOCTYPE html>\n<html><head><title>404, sorry</title>"),
        ("an HTML page", packed(b"<html><body>Please log in, first</body></html>")),
        ("an XML error page (AccessDenied)", b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>'),
        ("an XML page", b'<?xml version="1.0"?><rss></rss>'),
        ("a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:55\nsize 9\n"),
        ("a JSON document", b'{"message": "Not Found", "status": 404}'),
        ("a PDF document", b"%PDF-1.4 ,,,"),
        ("it is empty (0 bytes)", b""),
        ("it is empty (2 bytes)", b"\r\n"),
        ("it is empty", packed(b"")),
        ("it is empty", packed(b"\n\r\n\n")),
        ("a zip archive", zipped()),
        ("a bzip2 archive", bz2.compress(CSV)),
        ("an xz archive", lzma.compress(CSV)),
        ("a zstd archive", b"\x28\xb5\x2f\xfd" + bytes(100)),
        ("a gzip file that was cut off", PACKED[:-1]),
        ("a gzip file that was cut off", PACKED[: len(PACKED) // 2]),
        ("a gzip file that was cut off", PACKED[:12]),
        ("a damaged gzip file", flipped(PACKED, len(PACKED) // 2)),
        ("a damaged gzip file", flipped(PACKED, len(PACKED) - 6)),
        ("a damaged gzip file", flipped(PACKED, len(PACKED) - 2)),
        ("a damaged gzip file", PACKED + b"and something else"),
        ("a Parquet file inside a gzip file", packed(parquet())),
        ("a Parquet file without a readable footer", parquet()[:-20]),
        ("a Parquet file without a readable footer", parquet().replace(b"trips", b"tri\x80s")),
        ("a Parquet file without a readable footer", b"PAR1"),
        ("a gzip file inside a gzip file", packed(PACKED)),
        ("text in UTF-16", CSV.decode().encode("utf-16")),
        ("text in UTF-16", CSV.decode().encode("utf-16-le")),
        ("text in UTF-16", CSV.decode().encode("utf-16-be")),
        ("separated by semicolons (';')", CSV.replace(b",", b";")),
        ("separated by semicolons (';')", packed(CSV.replace(b",", b";").replace(b".", b","))),
        ("separated by tabs", b"\xef\xbb\xbf" + CSV.replace(b",", b"\t")),
        ("binary data", b"\0\1\2\3,\4" * 1000),
        ("its first line names no columns", b"hello\nworld, again\n"),
    ],
)
def test_what_is_no_trip_file_is_refused_by_the_name_of_what_it_is(name: str, content: bytes, tmp_path: Path) -> None:
    for chunk in (7, 1000, 1 << 20):
        with pytest.raises(NotATripFileError, match="not a trip file") as caught:
            inspect(content, tmp_path, chunk)
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("file", "name"),
    {
        "lfs-pointer/green_tripdata_2019-09.csv.gz": "Git LFS pointer",
        "s3-access-denied-xml/yellow_tripdata_2021-01.csv": "AccessDenied",
        "truncated-no-footer/yellow_tripdata_2021-01.parquet": "Parquet file without a readable footer",
        "two-bytes/green_tripdata_2019-10.csv.gz": "it is empty (2 bytes)",
    }.items(),
)
def test_each_real_broken_download_is_refused_by_name(file: str, name: str, real_data: Path, tmp_path: Path) -> None:
    with pytest.raises(NotATripFileError, match=re.escape(name)):
        inspect((real_data / "broken" / file).read_bytes(), tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_without_line_ends_is_refused_before_it_fills_the_memory(packed: bool) -> None:
    block = b"a,b," * (1 << 15)
    packer = zlib.compressobj(wbits=31)
    inspector = FileInspector()

    def feed(blocks: int) -> None:
        for _ in range(blocks):
            inspector.feed(packer.compress(block) + packer.flush(zlib.Z_SYNC_FLUSH) if packed else block)

    with pytest.raises(NotATripFileError, match="a line is longer than 4 MiB"):
        feed(2 * MAX_LINE_BYTES // len(block))


@pytest.mark.parametrize(
    "content",
    [
        PACKED,
        packed(CSV[:5000]) + packed(CSV[5000:9000]) + packed(b"") + packed(CSV[9000:]),
        PACKED + bytes(512),
    ],
    ids=["one member", "several members", "padded with zeros"],
)
@pytest.mark.parametrize("chunk", [1, 1000, 1 << 20])
def test_gzip_is_known_by_its_content_and_read_to_its_end(content: bytes, chunk: int, tmp_path: Path) -> None:
    contents = inspect(content, tmp_path, chunk)
    assert (contents.format, contents.compression, contents.source_rows) == ("csv", "gzip", 300)
    assert contents.bytes == len(content)
    assert b"".join(text_blocks(tmp_path / "file", "gzip")) == CSV


def test_a_plain_file_and_parquet_are_known_by_their_content(tmp_path: Path) -> None:
    assert inspect(CSV, tmp_path).compression == "none"
    contents = inspect(parquet(), tmp_path)
    assert (contents.format, contents.source_rows) == ("parquet", 5)


def chunks(content: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield content[:size]
        content = content[size:]
    yield content


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b"bb,", b"\n", b"\r", b"\r\n", b"\x0b", b"\x85", b'"', b" "]), max_size=40),
    st.lists(st.integers(0, 9), max_size=30),
)
def test_lines_are_counted_as_python_reads_them_however_they_arrive(parts: list[bytes], sizes: list[int]) -> None:
    content = b"".join(parts)
    lines = io.TextIOWrapper(io.BytesIO(content), "latin-1", newline=None).read().split("\n")

    counter = LineCounter()
    for chunk in chunks(content, sizes):
        counter.feed(chunk)

    assert counter.lines == sum(1 for line in lines if line)
    assert counter.ends == len(lines) - 1
