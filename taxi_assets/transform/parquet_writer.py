"""Write rows to Parquet: in row groups of one size, so that the same rows give the same bytes.

Encodings and compression were chosen by measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_assets.contracts.model import SOURCE_MONTH, SOURCE_ROW
from taxi_assets.transform.batches import Reject

ROW_GROUP = 122_880
LEVEL, FIRST_TIME_LEVEL = 1, 2
"""zstd levels of all columns but the first time, and of that. For a month of 1.37 M rows, level 3 throughout gives
26.6 MB in 0.36 s of processor time, these give 27.9 MB in 0.31 s, and level 1 throughout gives 28.6 MB in 0.28 s, which
is more than the tutorial's gzip file has."""

FILE_LAYOUT = (
    f"pyarrow, zstd {LEVEL} and {FIRST_TIME_LEVEL}, dictionaries but for timestamps and row numbers, "
    f"statistics of these and months, row groups of {ROW_GROUP}"
)

REJECTS = pa.schema(
    [("line_number", pa.int64()), ("column", pa.string()), ("reason", pa.string()), ("raw_text", pa.string())]
)
"""Columns of a rejects file."""

_REJECTED_BYTES = 8 << 20


class ParquetWriter:
    """Writes record batches to a Parquet file, while the caller prepares the next ones.

    Args:
        path: Where to write.
        schema: Of the batches.
        metadata: Key-value metadata of the file.
    """

    def __init__(self, path: Path, schema: pa.Schema, metadata: Mapping[str, str]) -> None:
        self._schema = schema
        self._held: list[pa.RecordBatch] = []
        self._size = 0
        # nearly all times and every row number differ: a dictionary would be larger than they are
        times = [field.name for field in schema if pa.types.is_timestamp(field.type)]
        plain = [*times, SOURCE_ROW.name]
        self._writer = pq.ParquetWriter(
            path,
            schema.with_metadata(dict(metadata)),
            compression="zstd",
            compression_level=dict.fromkeys(schema.names, LEVEL) | dict.fromkeys(times[:1], FIRST_TIME_LEVEL),
            use_dictionary=[name for name in schema.names if name not in plain],
            # other columns have the same values in each row group, so that no reader can skip one; 7% less time
            write_statistics=[*plain, SOURCE_MONTH.name],
        )
        self._thread = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        self._held.append(batch)
        self._size += batch.num_rows
        if self._size >= ROW_GROUP:
            whole = self._size - self._size % ROW_GROUP
            rest = pa.Table.from_batches(self._held, self._schema).slice(whole).to_batches()
            self._write(whole)
            self._held, self._size = rest, self._size - whole

    def _write(self, rows: int) -> None:
        # chunks combined, because their bounds would show in the pages; here, because encoding takes longest
        table = pa.Table.from_batches(self._held, self._schema).slice(0, rows).combine_chunks()
        self._held = []
        self._wait()
        self._pending = self._thread.submit(self._writer.write_table, table, ROW_GROUP)

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending:
            pending.result()

    def __enter__(self) -> ParquetWriter:  # noqa: PYI034 - typing.Self is not in Python 3.10
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Write the remaining rows and close the file."""
        try:
            if kind is None and self._held:
                self._write(self._size)
            self._wait()
        finally:
            self._thread.shutdown()
            self._writer.close()


class RejectsWriter:
    """Writes rejected rows to a Parquet file, created only if there are any."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: list[Reject] = []
        self._size = 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, rejects: Iterable[Reject]) -> None:
        """Add rejected rows."""
        for reject in rejects:
            self._held.append(reject)
            self._size += len(reject.raw_text) + 100
            if self._size >= _REJECTED_BYTES:
                self._write()

    def _write(self) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._path, REJECTS, compression="zstd", use_dictionary=["column", "reason"]
            )
        columns = [
            pa.array(values, kind) for values, kind in zip(zip(*self._held, strict=True), REJECTS.types, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=REJECTS))
        self._held, self._size = [], 0

    def __enter__(self) -> RejectsWriter:  # noqa: PYI034 - as above
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Write the remaining rows and close the file."""
        try:
            if kind is None and self._held:
                self._write()
        finally:
            if self._writer:
                self._writer.close()
