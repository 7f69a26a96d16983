"""File primitives that every local store builds on: locks, durable writes, checksums and temporary files."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

_ABANDONED_AFTER_SECONDS = 24 * 3600
"""Age at which another machine's temporary file counts as left by a crash; no month takes that long."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file lock: one process at a time, released by the operating system when the holder dies."""
    with path.open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's entries, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256, hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def crc32c_of(path: Path) -> str:
    """Return a file's CRC32C as Cloud Storage writes it (base64)."""
    import google_crc32c

    checksum = google_crc32c.Checksum()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum.update(block)
    return base64.b64encode(checksum.digest()).decode()


_checksums: dict[tuple[int, ...], str] = {}
"""Of files that this process has read, by device, inode, size and time of the last change."""


def remembered_sha256(path: Path, known: str = "") -> str:
    """Return a file's SHA-256, reading it once per process as long as it is the same file.

    For files that are replaced by rename and never changed; a change that keeps size and time is not seen. Three steps
    of a month ask for its object's checksum. To read a largest month's 500 MB each time takes 1 s, and 4 s on a
    processor without SHA instructions.

    Args:
        path: The file.
        known: Its checksum, if the caller has just computed it.
    """
    stat = path.stat()
    key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if known or key not in _checksums:
        _checksums[key] = known or sha256_of(path)
    return _checksums[key]


@contextlib.contextmanager
def temporary(folder: Path, name: str) -> Iterator[Path]:
    """Yield a path to write to, in a folder kept for that; remove the file at the end unless it was moved away."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    path = folder / f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}-{name}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove temporary files whose process is gone; they are named `{host}-{process}-{random}-{name}`."""
    host = socket.gethostname()
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.name.startswith(f"{host}-"):
                process = path.name.removeprefix(f"{host}-").partition("-")[0]
                gone = process.isdigit() and not psutil.pid_exists(int(process))
            else:
                gone = time.time() - path.stat().st_mtime > _ABANDONED_AFTER_SECONDS
            if gone and path.is_file():
                path.unlink()
