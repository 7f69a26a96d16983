"""A CSV file as row batches.

Arrow parses a block of about 2 MiB at once, and its result counts only if it proves that Arrow took each line for one
row of the file's width. Otherwise the block is divided, down to single lines, so that a damaged line costs its
neighbors nothing.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from taxi_assets.source.streams import BOM, LineCounter, text_blocks
from taxi_assets.transform.arrays import all_true, constants, is_present, row_numbers, within, without_missing
from taxi_assets.transform.batches import Reject, RowBatch
from taxi_assets.transform.read_ahead import read_ahead
from taxi_assets.transform.values import MISSING_WORDS

TEXT = pa.dictionary(pa.int32(), pa.string())
"""How text columns are parsed: few of their values differ."""

_BATCH_BYTES = 2 << 20
"""1 MiB takes a tenth more processor time (best of six runs); 4 MiB save 2% more, and take 16 MiB of memory more."""
_SAMPLE_LINES = 100
"""Lines that decide how many fields a row has; TLC's rows can have more fields than the header has names."""

_SMALL_BLOCK_LINES = 64
"""A block that Arrow refused is read line by line if it is this small, and divided if it is larger."""

_MISSING = ["", *sorted({spell(word) for word in MISSING_WORDS for spell in (str.lower, str.upper, str.title)}), "NaN"]
"""What Arrow takes for a missing number or time; in other spellings, the column is given as text."""


class CsvFile:
    """A CSV file of any schema version.

    Args:
        path: Path of the file.
        compression: `gzip` or `none`.

    Attributes:
        names: The header's names; None if it cannot be read.
    """

    def __init__(self, path: Path, compression: str) -> None:
        self._path, self._compression = path, compression
        lines = [line for line in next(self._blocks(), b"").splitlines()[:_SAMPLE_LINES] if line] or [b""]
        self.names = split_line(lines[0].removeprefix(BOM))
        width = len(self.names or ())
        usual = Counter(len(split_line(line) or ()) for line in lines[1:]).most_common(1)
        self._width = max([width, *(fields for fields, _ in usual)])

    def row_batches(self, type_hints: Mapping[int, pa.DataType]) -> Iterator[RowBatch]:
        """Yield the file's data lines in order.

        Args:
            type_hints: By position, the types that columns probably parse as; the others are texts. A column with a
                value of another type is given as text from that block on.
        """
        hints = {position: type_hints.get(position, TEXT) for position in range(self._width)}
        number, row = 1, 1
        # unpacking and counting, a third of the work, run in a thread of their own while Arrow parses
        for text, counted in read_ahead(self._data_blocks()):
            if counted.lines:
                yield from self._read(text, number, row, counted.lines, hints)
            number, row = number + counted.ends, row + counted.lines

    def _data_blocks(self) -> Iterator[tuple[bytes, LineCounter]]:
        """Yield the file's blocks without the header, and their lines counted; first the header's, without text."""
        blocks = self._blocks()
        header, text = _split_header(next(blocks, b""))
        counted = _count(header)
        counted.lines = 0
        yield b"", counted
        for block in chain([text], blocks):
            yield block, _count(block)

    def _blocks(self) -> Iterator[bytes]:
        """Yield the file in blocks of about 2 MiB that end where a line ends."""
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

    def _read(self, text: bytes, first: int, row: int, rows: int, hints: dict[int, pa.DataType]) -> Iterator[RowBatch]:
        """Yield a block of `rows` lines that are not blank; it begins at line `first` and data row `row`."""
        columns = self._parse(text, hints, rows)
        if columns:
            yield RowBatch(row_numbers(row, rows), columns, _LineLocator(text, first).locate)
            return
        lines = text.splitlines(keepends=True)
        if len(lines) <= _SMALL_BLOCK_LINES:
            yield self._read_lines(lines, first, row)
            return
        step = max(_SMALL_BLOCK_LINES, math.ceil(len(lines) / 16))
        for start in range(0, len(lines), step):
            part = b"".join(lines[start : start + step])
            lines_in_part = _count(part).lines
            yield from self._read(part, first + start, row, lines_in_part, hints)
            row += lines_in_part

    def _parse(self, text: bytes, hints: dict[int, pa.DataType], lines: int) -> list[pa.Array] | None:
        """Return the columns as Arrow parses them; None if Arrow did not take each line for a row of the width."""
        quoted = b'"' in text
        if b"\0" in text or (quoted and not _quotes_are_plain(text)):
            return None
        types = hints
        if (b"x" in text and b"0x" in text) or (b"X" in text and b"0X" in text):  # Arrow reads 0x10 as 16
            types = {position: TEXT if pa.types.is_integer(kind) else kind for position, kind in hints.items()}
        columns = _parse(text, types, quoted=quoted)
        if columns is None:
            columns = _parse(text, dict.fromkeys(types, TEXT), quoted=quoted)
            if columns is None:
                return None
            hints.update({n: TEXT for n, kind in types.items() if kind != TEXT and not _fits(columns[n], kind)})
        if len(columns[0]) != lines:
            return None
        if odd := [position for position, column in enumerate(columns) if not _is_plain(column)]:
            hints.update(dict.fromkeys(odd, TEXT))
            return self._parse(text, hints, lines)
        beyond = columns[len(self.names or ()) :]
        return None if any(pc.any(is_present(column)).as_py() for column in beyond) else columns

    def _read_lines(self, lines: list[bytes], first: int, row: int) -> RowBatch:
        """Read lines one by one; a line that is not a row is damaged."""
        width = len(self.names or ())
        rows: list[list[str]] = []
        numbers: list[int] = []
        locations: list[tuple[int, str]] = []
        damaged: list[Reject] = []
        for number, end in enumerate(lines, first):
            line = end.rstrip(b"\r\n")
            if not line:
                continue
            fields = split_line(line)
            raw_text = line.decode("utf-8", "backslashreplace")
            if reason := _line_fault(fields, width):
                damaged.append(Reject(number, None, reason, raw_text))
            elif fields:
                rows.append(fields[:width])
                numbers.append(row)
                locations.append((number, raw_text))
            row += 1
        columns = [pa.array([row[n] for row in rows], pa.string()) for n in range(width)]
        return RowBatch(constants(numbers, pa.int64()), columns, locations.__getitem__, damaged)


class _LineLocator:
    """Finds a row among the lines of a block."""

    def __init__(self, text: bytes, first: int) -> None:
        self._text, self._first = text, first
        self._rows: list[tuple[int, bytes]] = []

    def locate(self, row: int) -> tuple[int, str]:
        if not self._rows:
            self._rows = [(n, line) for n, line in enumerate(self._text.splitlines(), self._first) if line]
        number, line = self._rows[row]
        return number, line.decode("utf-8", "backslashreplace")


def split_line(line: bytes) -> list[str] | None:
    """Return the fields of one CSV line, or None if it is not UTF-8 or its quotes do not match."""
    try:
        text = line.decode("utf-8")
        return next(csv.reader([text], strict=True), None) if "\0" not in text else None
    except (UnicodeDecodeError, csv.Error):
        return None


def _line_fault(fields: list[str] | None, width: int) -> str:
    """Return why a line's fields are not a row of the header's width; nothing if they are."""
    if fields is None:
        return "it is not UTF-8 text with matching quotes"
    if len(fields) < width:
        return f"it has {len(fields)} fields, the header names {width}"
    if any(text.strip() for text in fields[width:]):
        return "it has values beyond the last column that the header names"
    return ""


def _parse(text: bytes, types: Mapping[int, pa.DataType], *, quoted: bool) -> list[pa.Array] | None:
    """Return the columns that Arrow's parser makes of a block, or None if it refuses."""
    names = [str(position) for position in types]
    try:
        table = pyarrow.csv.read_csv(
            pa.py_buffer(text),
            pyarrow.csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=names),
            pyarrow.csv.ParseOptions(quote_char='"' if quoted else False),
            pyarrow.csv.ConvertOptions(
                column_types=dict(zip(names, types.values(), strict=True)), null_values=_MISSING
            ),
        )
    except pa.ArrowInvalid:
        return None
    return [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in table.columns]


def _fits(column: pa.Array, kind: pa.DataType) -> bool:
    try:
        without_missing(column.dictionary).cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _is_plain(column: pa.Array) -> bool:
    """Whether a parsed column is free of what only Arrow reads: the numbers nan and inf, times of the year 0."""
    if pa.types.is_floating(column.type):
        return all_true(pc.is_finite(column))
    return not pa.types.is_timestamp(column.type) or all_true(within(column))


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


def _split_header(text: bytes) -> tuple[bytes, bytes]:
    """Divide a file's first block after the first line that is not blank."""
    start = text.lstrip(b"\r\n")
    body = start[len(start.splitlines(keepends=True)[0]) :] if start else b""
    return text[: len(text) - len(body)], body
