"""The folder in which raw and cleaned months lie, and how a file comes into it so that a crash leaves no half month.

A data file's name contains its checksum. A month's papers (`{stem}.json`) name the data files that count; writing
them, by rename, is the one moment at which the month changes. What no papers name is swept away. The folder may be one
that several machines share; for a bucket in its place see `taxi_assets.storage.staging.gcs`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.records import R

_ABANDONED_AFTER = 24 * 3600
"""Seconds after which another machine's temporary file counts as left by a crash; no month takes that long."""

_ASSETS = {"raw": "raw_file", "cleaned": "cleaned_parquet"}
"""The asset that puts months on a shelf."""


class StagingArea:
    """Raw and cleaned months below one folder.

    Args:
        root: The folder; it is made when something is first written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, file: str) -> Path:
        """Return where a file named in papers lies on this machine."""
        return self.root / file

    def location(self, file: str) -> str:
        """Return where every machine finds a file, for people to read."""
        return str(self.root / file)

    def record_path(self, stage: str, dataset: str, month: Month) -> Path:
        """Return where a month's papers lie on a shelf (`raw`, `cleaned`)."""
        return self.root / _record_name(stage, dataset, month)

    def find(self, kind: type[R], stage: str, dataset: str, month: Month) -> R | None:
        """Return a month's papers if it is there, whole; else None."""
        return self.read(kind, _record_name(stage, dataset, month))

    def read(self, kind: type[R], name: str) -> R | None:
        """Return the papers of a name if their data file is there, whole; else None."""
        try:
            record = kind.from_json(self._text(name))
            whole = self._size(record.file) == record.bytes
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return record if whole else None

    def intact(self, record: R | None) -> R | None:
        """Return the papers if their data file has the very bytes that they say; else None.

        Asked before a file is used again instead of made again: else a month that a disk damaged would stay so.
        """
        with contextlib.suppress(FileNotFoundError):
            if record and sha256_of(self.path(record.file)) == record.sha256:
                return record
        return None

    def get(self, kind: type[R], stage: str, dataset: str, month: Month) -> R:
        """Return a month's papers.

        Raises:
            PermanentError: The month is not on the shelf, or its data file is missing.
        """
        record = self.find(kind, stage, dataset, month)
        if record is None:
            raise PermanentError(
                f"the {stage} file of {dataset} {month} is not there",
                location=self.location(_record_name(stage, dataset, month)),
                remedy=f"materialise {dataset}/{_ASSETS[stage]} for {month} again. If another machine made it, give both "
                "the same TAXI_WORK_URL: a folder that both reach, or gs://",
            )
        return record

    def months(self, stage: str, dataset: str) -> list[Month]:
        """Return the months that lie on a shelf, in order."""
        record = [name for name in self._names(f"{stage}/{dataset}") if name.endswith(".json")]
        return sorted(Month.parse(name.removeprefix(f"{dataset}_tripdata_").removesuffix(".json")) for name in record)

    def _text(self, name: str) -> str:
        return (self.root / name).read_text("utf-8")

    def _size(self, name: str) -> int:
        return (self.root / name).stat().st_size

    def _names(self, folder: str) -> list[str]:
        return [path.name for path in (self.root / folder).glob("*")]

    @contextlib.contextmanager
    def temporary(self, name: str) -> Iterator[Path]:
        """Give a path to write to; what lies there at the end is removed, if it was not moved away."""
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        path = folder / f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}-{name}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def commit(self, stage: str, record: R, files: dict[str, Path]) -> None:
        """Move a month's files onto its shelf and make its papers the ones that count.

        Args:
            shelf: `raw`, `cleaned` or `reference`.
            papers: The month's new papers.
            files: For each name that the papers give, the temporary file to take.
        """
        target = self.root / stage / f"{record.stem}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_suffix(".lock")):
            for name, source in files.items():
                sync(source)
                source.replace(self.path(name))
            with self.temporary(target.name) as draft:
                draft.write_text(record.to_json(), "utf-8")
                sync(draft)
                draft.replace(target)
            # one folder sync for both: papers that survive a power cut without their data count as no month
            sync(target.parent)
            for old in target.parent.glob(f"{target.stem}.*"):
                if old.name not in {Path(name).name for name in files} | {target.name, f"{target.stem}.lock"}:
                    old.unlink(missing_ok=True)


def _record_name(stage: str, dataset: str, month: Month) -> str:
    return f"{stage}/{dataset}/{dataset}_tripdata_{month}.json"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file lock: one process at a time, released by the system when the holder dies."""
    with path.open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a power cut."""
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


def sweep(folder: Path) -> None:
    """Remove temporary files whose process is gone; names are `{host}-{process}-{random}-{name}`."""
    host = socket.gethostname()
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.name.startswith(f"{host}-"):
                process = path.name.removeprefix(f"{host}-").partition("-")[0]
                gone = process.isdigit() and not _alive(int(process))
            else:
                gone = time.time() - path.stat().st_mtime > _ABANDONED_AFTER
            if gone and path.is_file():
                path.unlink()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
