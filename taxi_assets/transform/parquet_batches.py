"""A Parquet file as row batches. TLC's types drift from month to month; here only texts are normalized."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_assets.transform.arrays import is_text, row_numbers
from taxi_assets.transform.batches import RowBatch, display_text

_BATCH_ROWS = 40_960
"""15,360 take a tenth more processor time, 61,440 take 33 MiB more memory for 20 M rows of fhvhv."""

_MAX_BYTES = 2
"""Bytes per value of a column that has few distinct values; those of fhvhv have 0.25 at most."""

_TEXT_TYPES = (
    is_text,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)


class ParquetFile:
    """A Parquet file of any schema version.

    Args:
        path: Path of the file.

    Attributes:
        names: Names of its columns.
    """

    def __init__(self, path: Path) -> None:
        # without pre-buffering, a column chunk is read bit by bit and not whole
        self._file = pq.ParquetFile(
            path,
            read_dictionary=_short_dictionaries(path),
            pre_buffer=False,
            buffer_size=1 << 18,
            page_checksum_verification=True,
        )
        self.names: list[str] = list(self._file.schema_arrow.names)

    def row_batches(self, type_hints: Mapping[int, pa.DataType]) -> Iterator[RowBatch]:
        """Yield the file's rows in order; a row's line number is its number, from 1, and its raw text is JSON."""
        first = 1
        for batch in self._file.iter_batches(_BATCH_ROWS):
            texts = [_normalize_text(column) for column in batch.columns]
            batch = pa.RecordBatch.from_arrays(texts, batch.schema.names)
            batch.validate(full=True)
            numbers = row_numbers(first, batch.num_rows)
            yield RowBatch(numbers, batch.columns, _RowLocator(batch, first).locate)
            first += batch.num_rows


def _short_dictionaries(path: Path) -> list[str]:
    """Return the text columns to take as dictionaries: 0.43 s less processor time for 2.5 million rows of fhvhv.

    Arrow cannot do that with delta encodings, and keeps the values of a whole row group: where most of them differ, it
    would hold the column in memory.
    """
    with pq.ParquetFile(path) as file:
        metadata = file.metadata
        texts = {field.name for field in file.schema_arrow if is_text(field.type)}
    names = [metadata.schema.column(index).path for index in range(metadata.num_columns)]
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [
        name
        for index, name in enumerate(names)
        if name in texts and all(_has_short_dictionary(group.column(index)) for group in groups)
    ]


def _has_short_dictionary(chunk: pq.ColumnChunkMetaData) -> bool:
    delta = any(encoding.startswith("DELTA") for encoding in chunk.encodings)
    return not delta and chunk.total_uncompressed_size <= _MAX_BYTES * chunk.num_values


class _RowLocator:
    """Finds a row of a record batch."""

    def __init__(self, batch: pa.RecordBatch, first: int) -> None:
        self._batch, self._first = batch, first

    def locate(self, row: int) -> tuple[int, str]:
        columns = zip(self._batch.schema.names, self._batch.columns, strict=True)
        values = {name: display_text(column, row) for name, column in columns}
        return self._first + row, json.dumps(values, ensure_ascii=False)


def _normalize_text(column: pa.Array) -> pa.Array:
    """Return texts of any type, bytes included, as Arrow strings; all of them as bytes if one is not UTF-8."""
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(column.indices, _normalize_text(column.dictionary))
    if not any(matches(column.type) for matches in _TEXT_TYPES):
        return column
    try:
        texts = column.cast(pa.string())
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return column.cast(pa.binary())
    return texts
