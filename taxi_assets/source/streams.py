"""Byte streams: gunzip as bytes arrive, count lines, read a stored CSV file back in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from isal import isal_zlib
from isal.igzip_lib import IsalError
from numpy.typing import NDArray

from taxi_assets.errors import PermanentError

BOM = b"\xef\xbb\xbf"

MAX_LINE_BYTES = 4 << 20
"""A longer line means that the file is not made of lines. TLC's longest lines have about 250 bytes."""

_BLOCK_BYTES = 1 << 17
"""Text per block. Blocks of 1 MiB take twice as long, because each one is fresh memory from the system."""

_WINDOW_BYTES = 1 << 16
_LF, _CR = b"\n\r"


class NotATripFileError(PermanentError):
    """The bytes are not a month of trips."""

    default_remedy = "look at the address in a browser; the source may have moved, or refuse this machine"

    def __init__(self, looks_like: str, *, location: str = "", remedy: str = "") -> None:
        super().__init__(
            looks_like if looks_like.startswith("not a trip file") else f"not a trip file: it is {looks_like}",
            location=location,
            remedy=remedy,
        )


class Gunzip:
    """Decompresses gzip, of one or several members, as it arrives and in small blocks."""

    def __init__(self) -> None:
        self._member = isal_zlib.decompressobj(wbits=31)
        self._fresh = True

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the text of a chunk, at most 128 KiB at a time.

        Raises:
            NotATripFileError: The stream is damaged.
        """
        while chunk:
            if self._member.eof:
                chunk = chunk.lstrip(b"\0")  # gzip allows zeros between and after members (tapes pad with them)
                if not chunk:
                    return
                self._member, self._fresh = isal_zlib.decompressobj(wbits=31), True
            try:
                text = self._member.decompress(chunk, _BLOCK_BYTES)
            except IsalError as error:  # type: ignore[misc]  # its stubs do not say that it is an exception
                raise NotATripFileError(f"a damaged gzip file ({error})") from error
            self._fresh = False
            chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if text:
                yield text
            elif not self._member.eof and not chunk:
                return

    def finish(self) -> None:
        """Check that the last member is complete.

        Raises:
            NotATripFileError: The file ends inside a member.
        """
        if not self._member.eof and not self._fresh:
            raise NotATripFileError("a gzip file that was cut off before its end")


class LineCounter:
    """Counts lines that end with LF, CRLF or CR, as Python's universal newlines do.

    A nonblank line counts where it begins: at a byte that is no line end, after a line end or at the very start. Mixed
    line ends and a last line without an end therefore need no special case.

    Attributes:
        lines: Nonblank lines begun.
        ends: Lines ended, blank ones included.
    """

    def __init__(self) -> None:
        self.lines = self.ends = 0
        self._before = _LF
        self._without_end = 0

    @property
    def last_line_ends(self) -> bool:
        """Whether the last line has a line end."""
        return self._before in (_LF, _CR)

    def feed(self, text: bytes) -> None:
        """Count the lines of the next block of text.

        Raises:
            NotATripFileError: A line is longer than `MAX_LINE_BYTES`, give or take a block.
        """
        codes = np.frombuffer(text, np.uint8)
        ended = self.ends
        for start in range(0, len(codes), _WINDOW_BYTES):
            self._count(codes[start : start + _WINDOW_BYTES])
        self._without_end = 0 if self.ends > ended else self._without_end + len(text)
        if self._without_end > MAX_LINE_BYTES:
            raise NotATripFileError(f"not a trip file: a line is longer than {MAX_LINE_BYTES >> 20} MiB")

    def _count(self, codes: NDArray[np.uint8]) -> None:
        feeds, returns = codes == _LF, codes == _CR
        ends = feeds | returns
        self.lines += int(np.count_nonzero(ends[:-1] > ends[1:])) + (self._before in (_LF, _CR) and not ends[0])
        pairs = int(np.count_nonzero(returns[:-1] & feeds[1:])) + (self._before == _CR and bool(feeds[0]))
        self.ends += int(np.count_nonzero(ends)) - pairs
        self._before = int(codes[-1])


def text_blocks(path: Path, compression: str) -> Iterator[bytes]:
    """Yield a CSV file's decompressed bytes in small blocks."""
    gunzip = Gunzip() if compression == "gzip" else None
    with path.open("rb") as file:
        while chunk := file.read(_BLOCK_BYTES):
            yield from gunzip.feed(chunk) if gunzip else (chunk,)
    if gunzip:
        gunzip.finish()
