"""The door: what is known of a file from its bytes alone, while they stream past.

Size, checksum, compression, format and, for CSV, the number of data lines are taken here by code that knows nothing of
columns or types, so that the ledger's first figure is independent of every parser. What is not a trip file is
turned away, by the name of what it looks like.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from isal import isal_zlib
from isal.igzip_lib import IsalError

from taxi_assets.errors import PermanentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOM = b"\xef\xbb\xbf"

MAX_LINE = 4 << 20
"""Bytes in a line before the file counts as not made of lines. TLC's longest lines have about 250."""

MAX_UNPACK_RATIO, MAX_ROWS_PER_BYTE, ALWAYS_ALLOWED_BYTES = 100, 10, 64 << 20
"""Beyond 64 MiB of text, a gzip file may unpack to 100 times its size; beyond as many rows, a Parquet file may have ten
a byte. TLC's samples reach 4.5 times and 0.06 rows (measured); gzip allows 1,000 times."""

MAX_COLUMN_CHUNK_BYTES = 1 << 30
"""Bytes to which one column of a Parquet file's row group may unpack; that of 25 million trips in one group has 200
million."""

_HEAD = 1 << 16
_BLOCK = 1 << 17
"""Bytes of text at a time. Ones of 1 MiB take twice as long, because each is memory fresh from the system."""

_WINDOW = 1 << 16

_LF, _CR = b"\n\r"

_LOOKS_LIKE = (
    (rb"\s*<(!doctype html|html|head|body)", "an HTML page"),
    (rb"\s*<\?xml.*<Code>AccessDenied</Code>", "an XML error page (AccessDenied)"),
    (rb"\s*<", "an XML page"),
    (rb"version https://git-lfs", "a Git LFS pointer, not the file it points to"),
    (rb"\s*[{\[]", "a JSON document"),
    (rb"%PDF", "a PDF document"),
)
_MAGIC = (
    (b"PK\x03\x04", "a zip archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\xd0\xcf\x11\xe0", "a Microsoft Office document"),
)


class NotATripFileError(PermanentError):
    """The bytes are something else than a month of trips."""

    def __init__(self, looks_like: str, *, location: str = "", remedy: str = "") -> None:
        super().__init__(
            looks_like if looks_like.startswith("not a trip file") else f"not a trip file: it is {looks_like}",
            location=location,
            remedy=remedy or "look at the address in a browser; the source may have moved, or refuse this machine",
        )


class Gunzip:
    """Decompresses gzip as it arrives, several members one after the other, in small blocks."""

    def __init__(self) -> None:
        self._member = isal_zlib.decompressobj(wbits=31)
        self._fresh = True

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the text in a chunk, at most 128 KiB at a time.

        Raises:
            NotATripFileError: The bytes are damaged.
        """
        while chunk:
            if self._member.eof:
                chunk = chunk.lstrip(b"\0")  # gzip allows zeros between and after members (tapes pad with them)
                if not chunk:
                    return
                self._member, self._fresh = isal_zlib.decompressobj(wbits=31), True
            try:
                text = self._member.decompress(chunk, _BLOCK)
            except IsalError as error:  # type: ignore[misc]  # its stubs do not say that it is an exception
                raise NotATripFileError(f"a damaged gzip file ({error})") from error
            self._fresh = False
            chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if text:
                yield text
            elif not self._member.eof and not chunk:
                return

    def finish(self) -> None:
        """Check that the last member was whole, by its own length and CRC.

        Raises:
            NotATripFileError: The file ends in the middle.
        """
        if not self._member.eof and not self._fresh:
            raise NotATripFileError("a gzip file that was cut off before its end")


class LineCounter:
    """Counts lines; a line ends with LF, CRLF or CR, as Python's universal newlines have it.

    A line that is not blank is counted where it begins: at a byte that ends no line, behind one that does or at the
    very start. So mixed line ends and a last line without an end need no case of their own.

    Attributes:
        lines: Lines that are not blank and have begun.
        ends: Lines, blank ones too, that have ended.
    """

    def __init__(self) -> None:
        self.lines = self.ends = 0
        self._before = _LF
        self._endless = 0

    def feed(self, text: bytes) -> None:
        """Count the lines of a text that follows what was fed before.

        Raises:
            NotATripFileError: A line is longer than `MAX_LINE`, give or take a block.
        """
        codes = np.frombuffer(text, np.uint8)
        ended = self.ends
        for start in range(0, len(codes), _WINDOW):
            self._count(codes[start : start + _WINDOW])
        self._endless = 0 if self.ends > ended else self._endless + len(text)
        if self._endless > MAX_LINE:
            raise NotATripFileError(f"not a trip file: a line is longer than {MAX_LINE >> 20} MiB")

    def _count(self, codes: NDArray[np.uint8]) -> None:
        feeds, returns = codes == _LF, codes == _CR
        ends = feeds | returns
        self.lines += int(np.count_nonzero(ends[:-1] > ends[1:])) + (self._before in (_LF, _CR) and not ends[0])
        pairs = int(np.count_nonzero(returns[:-1] & feeds[1:])) + (self._before == _CR and bool(feeds[0]))
        self.ends += int(np.count_nonzero(ends)) - pairs
        self._before = int(codes[-1])


@dataclass(frozen=True)
class Contents:
    """What the door found; the fields are those of `RawFile`."""

    format: str
    compression: str
    bytes: int
    sha256: str
    source_rows: int


class FileInspector:
    """Takes a file's bytes in order, and knows at the end what they are.

    Attributes:
        bytes: Size so far.
        format: `csv` or `parquet`.
        compression: `gzip` or `none`.
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
        """Take the next bytes.

        Raises:
            NotATripFileError: They show that this is no trip file.
        """
        self.bytes += len(chunk)
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
        """Look at the whole file and say what it is.

        Args:
            path: Where the bytes that were fed lie.

        Raises:
            NotATripFileError: It is cut off, empty, or not a trip file.
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
        return Contents("csv", self.compression, self.bytes, sha256, self._lines.lines - 1)

    @classmethod
    def sniff(cls, start: bytes) -> None:
        """Turn away a file whose first bytes already show that it is no trip file; a month is not read for that.

        Raises:
            NotATripFileError: They do.
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
        if start.startswith(b"\x1f\x8b"):
            self.compression, self._gunzip = "gzip", Gunzip()

    def _read(self, chunk: bytes) -> None:
        for text in self._gunzip.feed(chunk) if self._gunzip else (chunk,):
            if len(self._head) < _HEAD:
                self._head += text[:_HEAD]
                if len(self._head) >= _HEAD:
                    self._check_head()
            self._lines.feed(text)
            self._text += len(text)
            if self._text > ALWAYS_ALLOWED_BYTES + MAX_UNPACK_RATIO * self.bytes:
                raise NotATripFileError(f"a gzip file that unpacks to more than {MAX_UNPACK_RATIO} times its size")

    def _check_head(self) -> None:
        """Turn the file away if its first lines show that it is something else."""
        head = self._head.removeprefix(BOM)
        if head.startswith(b"PAR1"):
            raise NotATripFileError("a Parquet file inside a gzip file")
        for pattern, name in _LOOKS_LIKE:
            if re.match(pattern, head, re.IGNORECASE | re.DOTALL):
                raise NotATripFileError(name)
        lines = [line for line in self._head.splitlines() if line]
        if not lines:
            raise NotATripFileError(f"not a trip file: it is empty ({self.bytes} bytes)")
        if b"\0" in lines[0]:
            raise NotATripFileError("binary data")
        if b"," not in lines[0]:
            raise NotATripFileError(f"not a trip file: its first line names no columns: {lines[0][:60]!r}")


def parquet_rows(path: Path) -> int:
    """Return the number of rows a Parquet file's footer gives.

    Raises:
        NotATripFileError: It has no readable footer.
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


def text_blocks(path: Path, compression: str) -> Iterator[bytes]:
    """Yield a CSV file's decompressed bytes in small blocks."""
    gunzip = Gunzip() if compression == "gzip" else None
    with path.open("rb") as file:
        while chunk := file.read(_BLOCK):
            yield from gunzip.feed(chunk) if gunzip else (chunk,)
    if gunzip:
        gunzip.finish()
