"""A file as sheets: consecutive rows, column by column, as published. What the columns mean stands in `reading`.

A sheet of a CSV file is made by Arrow's parser if what it gives proves that it took each line for one row of the
file's width. Else the lines are divided, and in the end looked at one by one, so that one damaged line costs its
neighbours nothing.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from taxi_assets.source.streams import BOM, LineCounter, text_blocks
from taxi_assets.transform.values import is_present, is_text, within

TEXT = pa.dictionary(pa.int32(), pa.string())
"""How texts are read: few of them are different."""

_BATCH_BYTES = 1 << 20
_BATCH_ROWS = 16_384
_SAMPLE = 100
"""Lines from which the usual number of fields is taken; TLC's rows can have more fields than the header has names."""

_SMALL_BLOCK_LINES = 64
"""Lines that are looked at one by one before a doubtful text is divided further."""


class Reject(NamedTuple):
    """A row that cannot be read: where it stands (the header is line 1), what is wrong with it, and all of it."""

    line_number: int
    column: str | None
    reason: str
    raw_text: str


@dataclass(frozen=True)
class RowBatch:
    """Consecutive rows of a file.

    Attributes:
        rows: How many.
        columns: Their values, by the position of the column.
        locate: Returns line number and raw text of a row, counted from 0.
        damaged: Lines among them that are no rows.
    """

    rows: int
    columns: list[pa.Array]
    locate: Callable[[int], tuple[int, str]]
    damaged: list[Reject] = field(default_factory=list)


class CsvFile:
    """A CSV file of any era.

    Args:
        path: Where it lies.
        compression: `gzip` or `none`.

    Attributes:
        names: The header's names; None if it cannot be read.
    """

    def __init__(self, path: Path, compression: str) -> None:
        self._path, self._compression = path, compression
        lines = [line for line in next(self._texts(), b"").splitlines()[:_SAMPLE] if line] or [b""]
        self.names = split_line(lines[0].removeprefix(BOM))
        width = len(self.names or ())
        usual = Counter(len(split_line(line) or ()) for line in lines[1:]).most_common(1)
        self._width = max([width, *(fields for fields, _ in usual)])

    def row_batches(self, types: Mapping[int, pa.DataType]) -> Iterator[RowBatch]:
        """Yield the file's data lines in order.

        Args:
            types: By position, the types of columns that can probably be parsed as such; the others are texts. A
                column that has another value somewhere is given as text from there on.
        """
        type_hints = {position: types.get(position, TEXT) for position in range(self._width)}
        number, header = 1, True
        for text in self._texts():
            if header:
                skipped, text = _after_header(text)
                number, header = number + _count(skipped).ends, False
            counted = _count(text)
            if counted.lines:
                yield from self._read(text, number, counted.lines, type_hints)
            number += counted.ends

    def _texts(self) -> Iterator[bytes]:
        """Yield the file in texts that end where a line does, of about 1 MiB."""
        held: list[bytes] = []
        size = 0
        for block in text_blocks(self._path, self._compression):
            held.append(block)
            size += len(block)
            if size < _BATCH_BYTES:
                continue
            text = b"".join(held)
            # a CR at the very end may be half of a CRLF
            end = max(text.rfind(b"\n"), text.rfind(b"\r", 0, -1)) + 1
            held, size = [text[end:]], len(text) - end
            if end:
                yield text[:end]
        if text := b"".join(held):
            yield text

    def _read(self, text: bytes, first: int, rows: int, type_hints: dict[int, pa.DataType]) -> Iterator[RowBatch]:
        """Yield the lines of a text, of which `rows` are not blank, and which begins at line `first`."""
        columns = self._parse(text, type_hints, rows)
        if columns:
            yield RowBatch(rows, columns, _Lines(text, first).locate)
            return
        lines = text.splitlines(keepends=True)
        if len(lines) <= _SMALL_BLOCK_LINES:
            yield self._line_by_line(lines, first)
            return
        step = max(_SMALL_BLOCK_LINES, math.ceil(len(lines) / 16))
        for start in range(0, len(lines), step):
            part = b"".join(lines[start : start + step])
            yield from self._read(part, first + start, _count(part).lines, type_hints)

    def _parse(self, text: bytes, type_hints: dict[int, pa.DataType], lines: int) -> list[pa.Array] | None:
        """Return the columns as Arrow's parser has them; None if it did not take each line for a row of the width."""
        quoted = b'"' in text
        if b"\0" in text or (quoted and not _quotes_are_plain(text)):
            return None
        types = type_hints
        if (b"x" in text and b"0x" in text) or (b"X" in text and b"0X" in text):  # Arrow reads 0x10 as 16
            types = {position: TEXT if pa.types.is_integer(kind) else kind for position, kind in type_hints.items()}
        columns = _parse(text, types, quoted=quoted)
        if columns is None:
            columns = _parse(text, dict.fromkeys(types, TEXT), quoted=quoted)
            if columns is None:
                return None
            type_hints.update({n: TEXT for n, kind in types.items() if kind != TEXT and not _fits(columns[n], kind)})
        if len(columns[0]) != lines:
            return None
        if odd := [position for position, column in enumerate(columns) if not _is_plain(column)]:
            type_hints.update(dict.fromkeys(odd, TEXT))
            return self._parse(text, type_hints, lines)
        beyond = columns[len(self.names or ()) :]
        return None if any(pc.any(is_present(column)).as_py() for column in beyond) else columns

    def _line_by_line(self, lines: list[bytes], first: int) -> RowBatch:
        width = len(self.names or ())
        rows: list[list[str]] = []
        location: list[tuple[int, str]] = []
        damaged: list[Reject] = []
        for number, end in enumerate(lines, first):
            line = end.rstrip(b"\r\n")
            if not line:
                continue
            fields = split_line(line)
            place = number, line.decode("utf-8", "backslashreplace")
            if fields is None:
                damaged.append(Reject(place[0], None, "it is not UTF-8 text with matching quotes", place[1]))
            elif len(fields) < width:
                damaged.append(
                    Reject(place[0], None, f"it has {len(fields)} fields, the header names {width}", place[1])
                )
            elif any(text.strip() for text in fields[width:]):
                damaged.append(
                    Reject(place[0], None, "it has values beyond the last column that the header names", place[1])
                )
            else:
                rows.append(fields[:width])
                location.append(place)
        columns = [pa.array([row[n] for row in rows], pa.string()) for n in range(width)]
        return RowBatch(len(rows), columns, location.__getitem__, damaged)


class ParquetFile:
    """A Parquet file, whose types drift from month to month.

    Args:
        path: Where it lies.

    Attributes:
        names: Names of its columns.
    """

    def __init__(self, path: Path) -> None:
        # without pre-buffering, a column chunk is read bit by bit and not whole
        self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 18, page_checksum_verification=True)
        self.names: list[str] = list(self._file.schema_arrow.names)

    def row_batches(self, types: Mapping[int, pa.DataType]) -> Iterator[RowBatch]:
        """Yield the file's rows in order; a row's line number is its number, from 1, and its raw text is JSON."""
        first = 1
        for batch in self._file.iter_batches(_BATCH_ROWS):
            batch = pa.RecordBatch.from_arrays([_as_text(column) for column in batch.columns], batch.schema.names)
            batch.validate(full=True)
            yield RowBatch(batch.num_rows, batch.columns, _Rows(batch, first).locate)
            first += batch.num_rows


class _Lines:
    """Finds a row among the lines of a text."""

    def __init__(self, text: bytes, first: int) -> None:
        self._text, self._first = text, first
        self._rows: list[tuple[int, bytes]] = []

    def locate(self, row: int) -> tuple[int, str]:
        if not self._rows:
            self._rows = [(n, line) for n, line in enumerate(self._text.splitlines(), self._first) if line]
        number, line = self._rows[row]
        return number, line.decode("utf-8", "backslashreplace")


class _Rows:
    """Finds a row of a record batch."""

    def __init__(self, batch: pa.RecordBatch, first: int) -> None:
        self._batch, self._first = batch, first

    def locate(self, row: int) -> tuple[int, str]:
        one = {
            name: shown(column, row) for name, column in zip(self._batch.schema.names, self._batch.columns, strict=True)
        }
        return self._first + row, json.dumps(one, ensure_ascii=False)


_TEXTS = (
    is_text,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)


def _as_text(column: pa.Array) -> pa.Array:
    """Return texts, also those that the file calls bytes, as Arrow's usual ones; all as bytes if one is no UTF-8."""
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(column.indices, _as_text(column.dictionary))
    if not any(is_one(column.type) for is_one in _TEXTS):
        return column
    try:
        texts = column.cast(pa.string())
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return column.cast(pa.binary())
    return texts


def shown(column: pa.Array, row: int) -> str | None:
    """Return a value as a person would write it."""
    value = column[row]
    if not value.is_valid:
        return None
    try:
        plain = value.as_py()
        return plain.decode("utf-8", "backslashreplace") if isinstance(plain, bytes) else str(plain)
    except (ValueError, OverflowError):  # a time that Python's datetime cannot hold
        return str(value.cast(pa.string()).as_py())


def split_line(line: bytes) -> list[str] | None:
    """Return the fields of one CSV line, or None if it is not UTF-8 or its quotes do not match."""
    try:
        text = line.decode("utf-8")
        return next(csv.reader([text], strict=True), None) if "\0" not in text else None
    except (UnicodeDecodeError, csv.Error):
        return None


def _parse(text: bytes, types: Mapping[int, pa.DataType], *, quoted: bool) -> list[pa.Array] | None:
    names = [str(position) for position in types]
    try:
        table = pyarrow.csv.read_csv(
            pa.py_buffer(text),
            pyarrow.csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=names),
            pyarrow.csv.ParseOptions(quote_char='"' if quoted else False),
            pyarrow.csv.ConvertOptions(
                column_types=dict(zip(names, types.values(), strict=True)), null_values=[""], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid:
        return None
    return [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in table.columns]


def _fits(column: pa.Array, kind: pa.DataType) -> bool:
    try:
        column.dictionary.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _is_plain(column: pa.Array) -> bool:
    """Whether a parsed column is free of what only Arrow reads: the numbers nan and inf, times of the year 0."""
    if pa.types.is_floating(column.type):
        return bool(pc.all(pc.is_finite(column)).as_py())
    return not pa.types.is_timestamp(column.type) or bool(pc.all(within(column)).as_py())


def _quotes_are_plain(text: bytes) -> bool:
    """Whether each quotation mark opens or closes a field, so that no parser can differ on where fields end."""
    marks = np.frombuffer(b"\n" + text + b"\n", np.uint8)
    at = np.flatnonzero(marks == ord('"'))
    bounds = np.frombuffer(b",\r\n", np.uint8)
    return bool(
        len(at) % 2 == 0 and np.isin(marks[at[0::2] - 1], bounds).all() and np.isin(marks[at[1::2] + 1], bounds).all()
    )


def _count(text: bytes) -> LineCounter:
    counter = LineCounter()
    counter.feed(text)
    return counter


def _after_header(text: bytes) -> tuple[bytes, bytes]:
    """Divide a file's first text behind the first line that is not blank."""
    start = text.lstrip(b"\r\n")
    body = start[len(start.splitlines(keepends=True)[0]) :] if start else b""
    return text[: len(text) - len(body)], body
