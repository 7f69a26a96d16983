"""Whatever happens to a file on its way, each of its lines lands or is rejected, and damage stays where it is."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxi_assets.contracts import DATASETS, Column
from taxi_assets.errors import TaxiError
from taxi_assets.source import streams
from taxi_assets.transform import arrays, csv_batches, values
from taxi_assets_tests.transform.landing import Landed, land
from taxi_assets_tests.transform.schema_versions import SCHEMA_VERSIONS, SchemaVersion, read_by_hand

BITS = [
    b'"',
    b'""',
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\0",
    b"\xff",
    b",",
    b",,",
    b"x",
    b"0x",
    b" ",
    b"nan",
    b"NA",
    b"\\N",
    b"-",
    b".5",
    "é".encode(),
]
quick = settings(max_examples=120, derandomize=True, deadline=None)


@st.composite
def schema_versions(draw: st.DrawFn) -> SchemaVersion:
    """A schema version with its rows in any number and order, quoted or not."""
    version = draw(st.sampled_from(SCHEMA_VERSIONS))
    rows = draw(st.lists(st.sampled_from(version.rows), min_size=1, max_size=12))
    # so that most pickups are in the month, whatever the damage
    rows += [row for row in version.rows if str(version.month) in row][:1] * (
        5 + sum(str(version.month) not in row for row in rows)
    )
    if draw(st.booleans()):
        rows = [
            ",".join(f'"{text}"' if n % 3 and '"' not in text else text for n, text in enumerate(r.split(",")))
            for r in rows
        ]
    return SchemaVersion(version.dataset, version.month, version.ends, version.header, tuple(rows), version.columns)


@st.composite
def files(draw: st.DrawFn, *, damages: int) -> tuple[SchemaVersion, bytes]:
    """A file of a schema version, with any line end, and damaged at up to `damages` places behind the header."""
    version = draw(schema_versions())
    content = version.content
    if draw(st.booleans()):
        content = content.replace(b"\r\n", draw(st.sampled_from([b"\n", b"\r"])))
    start = len(version.header) + 1
    for _ in range(draw(st.integers(0, damages))):
        at = draw(st.integers(start, len(content)))
        removed = draw(st.sampled_from([0, 0, 1, 1, 2, 20]))
        content = content[:at] + draw(st.sampled_from([b"", *BITS])) + content[at + removed :]
    return version, content


def lines_of(content: bytes) -> list[str]:
    """Return a file's lines as Python's universal newlines have them, each byte a character."""
    return io.TextIOWrapper(io.BytesIO(content), "latin-1", newline=None).read().split("\n")


def land_here(content: bytes, version: SchemaVersion) -> Landed:
    with tempfile.TemporaryDirectory() as folder:
        return land(content, Path(folder), version.dataset, version.month)


def refuse(*_: object) -> None:
    raise pa.ArrowInvalid


def outcome(content: bytes, version: SchemaVersion) -> Any:
    try:
        landed = land_here(content, version)
    except TaxiError as error:
        return type(error), error.message
    # NaN never lands, so equality is enough
    return landed.rows, landed.rejects, landed.cleaned.sha256, landed.cleaned.anomalies


def assert_each_line_landed_or_was_rejected(landed: Landed, content: bytes) -> list[str]:
    """Check the ledger and `source_row` against the file's lines; return those that landed."""
    numbered = [(number, line) for number, line in enumerate(lines_of(content), 1) if line][1:]
    record = landed.cleaned
    assert record.source_rows == len(numbered)
    assert record.cleaned_rows + record.dropped_rows + record.rejected_rows == record.source_rows
    assert landed.table.num_rows == record.cleaned_rows
    lines = dict(numbered)
    for reject in landed.rejects:
        line = lines.pop(reject["line_number"]).encode("latin-1")
        assert reject["raw_text"] == line.decode("utf-8", "backslashreplace")
        assert reject["reason"]
    assert len(landed.rejects) == record.rejected_rows
    assert landed.column("source_row") == [n for n, (number, _) in enumerate(numbered, 1) if number in lines]
    return list(lines.values())


@quick
@given(files(damages=4))
def test_each_line_lands_or_is_rejected_and_damage_costs_no_other_line_its_values(
    file: tuple[SchemaVersion, bytes],
) -> None:
    version, content = file
    landed = land_here(content, version)

    left = assert_each_line_landed_or_was_rejected(landed, content)

    columns = dict.fromkeys(column.name for column in DATASETS[version.dataset].columns)
    month = {"source_month": version.month.first_day}
    whole = {
        row: columns | values | month
        for row, values in zip(version.rows, read_by_hand(version.content, version), strict=True)
    }
    for line, row in zip(left, landed.rows, strict=True):
        row.pop("source_row")
        assert line not in whole or row == whole[line]
    assert not any(reject["raw_text"] in whole for reject in landed.rejects)


@quick
@given(st.data(), files(damages=0))
def test_damage_anywhere_even_in_the_header_is_refused_by_name_or_obeys_the_ledger(
    data: st.DataObject, file: tuple[SchemaVersion, bytes]
) -> None:
    version, content = file
    at = data.draw(st.integers(0, len(version.header) + 2))
    content = content[:at] + data.draw(st.sampled_from(BITS)) + content[at + data.draw(st.integers(0, 3)) :]
    try:
        landed = land_here(content, version)
    except TaxiError as error:
        refused = error
    else:
        assert_each_line_landed_or_was_rejected(landed, content)
        return
    assert (refused.message, refused.location) != ("", "")


@quick
@given(files(damages=3), st.integers(20, 400), st.integers(1, 5))
def test_the_quick_ways_of_reading_give_what_the_slow_ways_give(
    file: tuple[SchemaVersion, bytes], batch: int, few: int
) -> None:
    version, content = file
    fast = outcome(content, version)

    with pytest.MonkeyPatch.context() as patch:  # batches of a few lines, that end anywhere
        patch.setattr(streams, "_BLOCK_BYTES", 7)
        patch.setattr(csv_batches, "_BATCH_BYTES", batch)
        patch.setattr(csv_batches, "_SMALL_BLOCK_LINES", few)
        patch.setattr(arrays, "_SMALL_ARRAY", few)
        assert outcome(content, version) == fast

    with pytest.MonkeyPatch.context() as patch:  # line by line and value by value
        patch.setattr(csv_batches.CsvFile, "_parse", lambda *_: None)
        patch.setattr(csv_batches, "_SMALL_BLOCK_LINES", 10_000)
        patch.setattr(arrays, "_at_once", refuse)
        assert outcome(content, version) == fast


texts = st.one_of(
    st.text(st.sampled_from("0123456789+-.eExXnaif _"), max_size=12),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.datetimes().map(str),
    st.sampled_from(sorted(values.MISSING_WORDS)).flatmap(lambda word: st.sampled_from([word, word.upper()])),
    st.from_regex(r"\A\d{4}-\d\d-\d\d[ T]\d\d(:\d\d(:\d\d(\.\d{1,6}0{0,4})?)?)?( ?UTC|Z|\+0[01](:?00)?)?\Z"),
    st.datetimes().map(lambda time: f"{time:%Y-%m-%dT%H:%M:%S.%f}000Z"),
    st.from_regex(r"\A\d\d?/\d\d?/\d{4} \d\d?:\d\d(:\d\d)?( [AP]M)?\Z"),
)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.sampled_from(["int64", "float64", "timestamp", "string"]), st.lists(texts, max_size=20))
def test_an_array_of_texts_means_what_each_text_means(kind: Any, published: list[str]) -> None:
    column = Column("c", kind, "")
    parsed, wrong = arrays.parse_column(column, pa.array(published, pa.string()))

    assert parsed.to_pylist() == [values.parse_value(column, text) for text in published]
    unread = [
        value is None and not values.is_missing(column, text)
        for value, text in zip(parsed.to_pylist(), published, strict=True)
    ]
    assert (wrong.to_pylist() if wrong is not None else [False] * len(published)) == unread
