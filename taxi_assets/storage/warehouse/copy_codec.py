"""Between Arrow and PostgreSQL's COPY: rows out of Parquet, into the binary stream, and back out of the CSV stream.

Here belongs the format only (PostgreSQL manual, "COPY", section "Binary Format"); the store that sends and receives it
is in `postgres`. Rows are encoded column by column: for 1.37 M trips a row loop in Python takes 8.7 s of processor,
ADBC 3.4 s, this 2.5 s, and this needs no second driver.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_assets.contracts.model import Column
from taxi_assets.contracts.schemas import arrow_schema, arrow_type
from taxi_assets.errors import PermanentError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

_EPOCH_US = 946_684_800_000_000
"""Microseconds from 1970, where Arrow counts from, to 2000, where PostgreSQL does."""
_EPOCH_DAYS = 10_957
_BATCH_ROWS = 16_384
"""Rows encoded at a time, some 5 MB; 65,536 are no faster and take 80 MB more."""
_LARGEST = 16 * 1024 * 1024
"""Bytes that one piece may take before short values are squeezed; one long text makes all its neighbours this wide."""
_LONGEST_ROW = 64 * 1024 * 1024
"""Bytes of a row in CSV; pyarrow's reader wants a whole row in one block."""


def read(path: Path, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
    """Return a Parquet file's rows in small batches.

    Raises:
        PermanentError: It is no Parquet file, or its columns are not these.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [column.name for column in columns]
    try:
        # with pre_buffer the whole row group's bytes are held besides its values
        with pq.ParquetFile(path, pre_buffer=False) as file:
            have = {field.name: field.type for field in file.schema_arrow}
            want = {column.name: arrow_type(column.kind) for column in columns}
            wrong = sorted(name for name in have.keys() | want.keys() if have.get(name) != want.get(name))
            if wrong:
                raise PermanentError(
                    f"the file's columns are not the contract's: {', '.join(wrong)}",
                    location=str(path),
                    remedy="materialise cleaned_parquet for this month again",
                )
            for batch in file.iter_batches(_BATCH_ROWS):
                yield batch.select(names)
    except (OSError, pa.ArrowInvalid) as error:
        raise PermanentError(
            f"the file cannot be read as Parquet: {error}",
            location=str(path),
            remedy="materialise cleaned_parquet for this month again",
        ) from error


def without_zero(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """Return the rows whose number in a column is not zero; an unknown number is not zero."""
    import pyarrow.compute as pc

    return batch.filter(pc.fill_null(pc.not_equal(batch[name], 0), fill_value=True))


def parse(text: Iterable[Any], columns: Sequence[Column]) -> pa.Table:
    """Return the rows of a COPY in CSV without a header; the names are in lower case, as Postgres has them."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    schema = pa.schema([field.with_name(field.name.lower()) for field in arrow_schema(columns)])
    # an empty cell is NULL, an empty text comes in quotes
    convert = pa_csv.ConvertOptions(
        column_types=schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    parsing = pa_csv.ParseOptions(newlines_in_values=True)
    reading = pa_csv.ReadOptions(column_names=schema.names, block_size=_LONGEST_ROW)
    source = io.BufferedReader(_Chunks(text))
    try:
        return pa_csv.read_csv(source, reading, parsing, convert)
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return schema.empty_table()
        raise


class _Chunks(io.RawIOBase):
    """An iterator of bytes as a file."""

    def __init__(self, chunks: Iterable[Any]) -> None:
        self._chunks, self._rest = iter(chunks), memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def encode(batch: pa.RecordBatch) -> Iterator[memoryview]:
    """Return a batch as rows of a binary COPY, in one piece or a few; between `HEADER` and `TRAILER`, a whole stream.

    Args:
        batch: Columns of type int64, float64, string, timestamp[us] or date32, in the table's order.

    Raises:
        TypeError: A column has another type.
    """
    import numpy as np

    rows = batch.num_rows
    if not rows:
        return
    if rows > 1 and rows * sum(_longest(column) for column in batch.columns) > _LARGEST:
        yield from encode(batch.slice(0, rows // 2))
        yield from encode(batch.slice(rows // 2))
        return
    # each row is first laid out as wide as the widest; what a row does not use is then cut out in one stroke
    fields = [_field(column) for column in batch.columns]
    width = 2 + sum(4 + values.shape[1] for values, _ in fields)
    out = np.empty((rows, width), np.uint8)
    out[:, :2] = _big_endian(np.array([len(fields)]), ">i2")
    used: np.ndarray[Any, Any] | None = None
    at = 2
    for values, lengths in fields:
        size = values.shape[1]
        start, end = at + 4, at + 4 + size
        out[:, start:end] = values
        if lengths is None:
            out[:, at:start] = _big_endian(np.array([size]), ">i4")
        else:
            out[:, at:start] = _big_endian(lengths, ">i4")
            used = np.ones((rows, width), np.bool_) if used is None else used
            used[:, start:end] = np.arange(size) < lengths[:, None]
        at = end
    piece: Any = out if used is None else out[used]
    yield memoryview(piece).cast("B")


def _longest(column: pa.Array) -> int:
    """Return how many bytes the longest value takes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return (pc.max(pc.binary_length(column)).as_py() or 0) if column.type == pa.string() else 8


def _field(column: pa.Array) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]:
    """Return a column's values as rows of bytes, and how many of each row count: -1 for NULL; None for all of all."""
    import numpy as np
    import pyarrow as pa

    kind = column.type
    nulls = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
    if kind == pa.string():
        values, lengths = _texts(column)
        return values, lengths if nulls is None else np.where(nulls, -1, lengths)
    if kind == pa.timestamp("us"):
        values = _big_endian(_numbers(column.view(pa.int64())) - _EPOCH_US, ">i8")
    elif kind == pa.date32():
        values = _big_endian(_numbers(column.view(pa.int32())) - _EPOCH_DAYS, ">i4")
    elif kind == pa.int64():
        values = _big_endian(_numbers(column), ">i8")
    elif kind == pa.float64():
        values = _big_endian(_numbers(column), ">f8")
    else:
        raise TypeError(f"no binary form is known for {kind}")
    return values, None if nulls is None else np.where(nulls, -1, values.shape[1])


def _numbers(column: pa.Array) -> Any:
    return (column.fill_null(0) if column.null_count else column).to_numpy()


def _big_endian(numbers: np.ndarray[Any, Any], code: str) -> np.ndarray[Any, Any]:
    import numpy as np

    return numbers.astype(code).view(np.uint8).reshape(len(numbers), -1)


def _texts(column: pa.Array) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return texts as UTF-8, left-aligned in rows as wide as the longest, and their lengths."""
    import numpy as np

    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    lengths = np.diff(bounds)
    size = int(lengths.max(initial=0))
    if not size:
        return np.empty((len(column), 0), np.uint8), lengths
    # beyond the end of a text its neighbours' bytes are read, or the last byte again: they are cut out later
    places = np.minimum(bounds[:-1, None] + np.arange(size), bounds[-1] - 1)
    return np.frombuffer(data, np.uint8)[places], lengths
