"""Inspection: what a file's bytes reveal while they stream past, before anything parses them.

Takes size, checksum, compression, format and the number of data lines. This code knows nothing of columns or types, so
the ledger's first figure is independent of every parser. A file that is no trip file is refused by the name of what it
looks like.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from taxi_assets.source.streams import BOM, Gunzip, LineCounter, NotATripFileError

MAX_BYTES = 16 << 30
"""A longer file counts as endless. The largest published file has 2.5 GB (fhvhv CSV)."""

MAX_UNPACK_RATIO, MAX_ROWS_PER_BYTE, ALWAYS_ALLOWED_BYTES = 100, 10, 64 << 20
"""Limits against decompression bombs: past 64 MiB of text, a gzip file may unpack to 100 times its size; past as many
rows, a Parquet file may claim ten rows a byte. TLC's files reach 4.5 times and 0.06 rows; gzip allows 1,000 times."""

MAX_COLUMN_CHUNK_BYTES = 1 << 30
"""Bytes to which one column chunk of a Parquet file may unpack; 25 million trips in one row group need 200 million."""

_HEAD_BYTES = 1 << 16

_HTML = rb"\s*<(!doctype html|html|head|body)"
_LOOKS_LIKE = (
    (_HTML, "an HTML page"),
    (rb"\s*<\?xml.*<Code>AccessDenied</Code>", "an XML error page (AccessDenied)"),
    (rb"\s*<", "an XML page"),
    (rb"version https://git-lfs", "a Git LFS pointer, not the file it points to"),
    (rb"\s*[{\[]", "a JSON document"),
    (rb"%PDF", "a PDF document"),
)
_GZIP = b"\x1f\x8b"
_MAGIC = (
    (b"PK\x03\x04", "a zip archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\xd0\xcf\x11\xe0", "a Microsoft Office document"),
)


@dataclass(frozen=True)
class Contents:
    """What inspection found; the fields are those of `RawFile`."""

    format: str
    compression: str
    bytes: int
    sha256: str
    source_rows: int
    last_line_ends: bool = True


class FileInspector:
    """Inspects a file's bytes, fed in order.

    Attributes:
        bytes: Size so far.
        format: `csv` or `parquet`; empty until the first bytes have come.
        compression: `gzip` or `none`; empty until the first bytes have come.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.format = self.compression = ""
        self._sha = hashlib.sha256()
        self._start = b""
        self._head = b""
        self._text = 0
        self._gunzip: Gunzip | None = None
        self._lines = LineCounter()

    def feed(self, chunk: bytes) -> None:
        """Inspect the next bytes.

        Raises:
            NotATripFileError: This is no trip file.
        """
        self.bytes += len(chunk)
        if self.bytes > MAX_BYTES:
            raise NotATripFileError(f"not a trip file: it does not end after {MAX_BYTES >> 30} GiB")
        self._sha.update(chunk)
        if not self.format:
            self._start += chunk
            if len(self._start) < 8:
                return
            self._detect_format(self._start)
            chunk, self._start = self._start, b""
        if self.format == "csv":
            self._read(chunk)

    def finish(self, path: Path) -> Contents:
        """Finish the inspection.

        Args:
            path: A file of the bytes fed; a Parquet footer is read from it.

        Raises:
            NotATripFileError: The file is cut off, empty, or no trip file.
        """
        if not self.format:
            if not self._start.strip():
                raise NotATripFileError(f"not a trip file: it is empty ({self.bytes} bytes)")
            self._detect_format(self._start)
            self._read(self._start)
        sha256 = self._sha.hexdigest()
        if self.format == "parquet":
            return Contents("parquet", "none", self.bytes, sha256, parquet_rows(path))
        if self._gunzip:
            self._gunzip.finish()
        self._check_head()
        counted = self._lines
        return Contents("csv", self.compression, self.bytes, sha256, counted.lines - 1, counted.last_line_ends)

    @classmethod
    def sniff(cls, start: bytes) -> None:
        """Refuse a file whose first bytes already show that it is no trip file.

        Raises:
            NotATripFileError: This is no trip file.
        """
        inspector = cls()
        inspector.feed(start)
        if inspector.format == "csv":
            inspector._check_head()

    def _detect_format(self, start: bytes) -> None:
        for magic, name in _MAGIC:
            if start.startswith(magic):
                raise NotATripFileError(name)
        if start.startswith(b"PAR1"):
            self.format, self.compression = "parquet", "none"
            return
        self.format, self.compression = "csv", "none"
        if start.startswith(_GZIP):
            self.compression, self._gunzip = "gzip", Gunzip()

    def _read(self, chunk: bytes) -> None:
        for text in self._gunzip.feed(chunk) if self._gunzip else (chunk,):
            if len(self._head) < _HEAD_BYTES:
                self._head += text[:_HEAD_BYTES]
                if len(self._head) >= _HEAD_BYTES:
                    self._check_head()
            self._lines.feed(text)
            self._text += len(text)
            if self._text > ALWAYS_ALLOWED_BYTES + MAX_UNPACK_RATIO * self.bytes:
                raise NotATripFileError(f"a gzip file that unpacks to more than {MAX_UNPACK_RATIO} times its size")

    def _check_head(self) -> None:
        """Refuse a file whose first lines show that it is something else."""
        head = self._head.removeprefix(BOM)
        if head.startswith(_GZIP):
            raise NotATripFileError("a gzip file inside a gzip file", remedy="unpack it once")
        if head.startswith(b"PAR1"):
            raise NotATripFileError("a Parquet file inside a gzip file")
        for pattern, name in _LOOKS_LIKE:
            if re.match(pattern, head, re.IGNORECASE | re.DOTALL):
                raise NotATripFileError(name)
        lines = [line for line in self._head.splitlines() if line]
        if not lines:
            raise NotATripFileError(f"not a trip file: it is empty ({self.bytes} bytes)")
        _check_first_line(lines[0], head[:16])


def _check_first_line(line: bytes, start: bytes) -> None:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or bytes(8) in (start[::2], start[1::2]):
        raise NotATripFileError("text in UTF-16", remedy="save it as UTF-8")
    if b"\0" in line:
        raise NotATripFileError("binary data")
    for separator, name in ((b";", "semicolons (';')"), (b"\t", "tabs"), (b"|", "pipes ('|')")):
        if line.count(separator) > line.count(b","):
            raise NotATripFileError(f"a table separated by {name}", remedy="save it with commas between fields")
    if b"," not in line:
        raise NotATripFileError("not a trip file: its first line names no columns")


def is_html(start: bytes) -> bool:
    """Return whether a body that begins like this is an HTML page."""
    return re.match(_HTML, start.removeprefix(BOM), re.IGNORECASE) is not None


def parquet_rows(path: Path) -> int:
    """Return the number of rows in a Parquet file, by its footer.

    Raises:
        NotATripFileError: The footer is unreadable or claims more than the file can hold.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise NotATripFileError(
            f"not a trip file: a Parquet file without a readable footer, probably cut off ({error})"
        ) from error
    if footer.num_rows > ALWAYS_ALLOWED_BYTES + MAX_ROWS_PER_BYTE * path.stat().st_size:
        raise NotATripFileError(f"a Parquet file that claims {footer.num_rows:,} rows, too many for its size")
    groups = (footer.row_group(number) for number in range(footer.num_row_groups))
    largest = max((g.column(n).total_uncompressed_size for g in groups for n in range(g.num_columns)), default=0)
    if largest > MAX_COLUMN_CHUNK_BYTES:
        raise NotATripFileError(f"a Parquet file of which a column unpacks to {largest:,} bytes at a time")
    return int(footer.num_rows)
