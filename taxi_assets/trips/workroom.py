"""The folder in which raw and cleaned months lie, and how a file comes into it so that a crash leaves no half month.

A data file's name contains its checksum. A month's papers (`{stem}.json`) name the data files that count; writing
them, by rename, is the one moment at which the month changes. What no papers name is swept away.
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

from taxi_assets.months import Month
from taxi_assets.trips.failures import PermanentError
from taxi_assets.trips.papers import P

_ABANDONED_AFTER = 24 * 3600
"""Seconds after which another machine's temporary file counts as left by a crash; no month takes that long."""


class Workroom:
    """Raw and cleaned months below one folder.

    Args:
        root: The folder; it is made when something is first written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, file: str) -> Path:
        """Return where a file named in papers lies on this machine."""
        return self.root / file

    def papers_path(self, shelf: str, dataset: str, month: Month) -> Path:
        """Return where a month's papers lie on a shelf (`raw`, `cleaned`)."""
        return self.root / shelf / dataset / f"{dataset}_tripdata_{month}.json"

    def find(self, kind: type[P], shelf: str, dataset: str, month: Month) -> P | None:
        """Return a month's papers if it is there, whole; else None."""
        try:
            papers = kind.from_json(self.papers_path(shelf, dataset, month).read_text("utf-8"))
            whole = self.path(papers.file).stat().st_size == papers.bytes
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return papers if whole else None

    def get(self, kind: type[P], shelf: str, dataset: str, month: Month) -> P:
        """Return a month's papers.

        Raises:
            PermanentError: The month is not on the shelf, or its data file is missing.
        """
        papers = self.find(kind, shelf, dataset, month)
        if papers is None:
            raise PermanentError(
                f"the {shelf} file of {dataset} {month} is not there",
                where=str(self.papers_path(shelf, dataset, month)),
                fix=f"materialise {dataset}'s {shelf} asset for {month} again, or point TAXI_DATA_DIR at the folder "
                "where it was made",
            )
        return papers

    def months(self, shelf: str, dataset: str) -> list[Month]:
        """Return the months that lie on a shelf, in order."""
        names = [
            path.stem.removeprefix(f"{dataset}_tripdata_") for path in (self.root / shelf / dataset).glob("*.json")
        ]
        return sorted(Month.parse(name) for name in names)

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

    def commit(self, shelf: str, papers: P, files: dict[str, Path]) -> None:
        """Move a month's files onto its shelf and make its papers the ones that count.

        Args:
            shelf: `raw` or `cleaned`.
            papers: The month's new papers.
            files: For each name that the papers give, the temporary file to take.
        """
        target = self.papers_path(shelf, papers.dataset, papers.month)
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_suffix(".lock")):
            for name, source in files.items():
                sync(source)
                source.replace(self.path(name))
            with self.temporary(target.name) as draft:
                draft.write_text(papers.to_json(), "utf-8")
                sync(draft)
                sync(target.parent)
                draft.replace(target)
            sync(target.parent)
            for old in target.parent.glob(f"{target.stem}.*"):
                if old.name not in {Path(name).name for name in files} | {target.name, f"{target.stem}.lock"}:
                    old.unlink(missing_ok=True)


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
            if gone:
                path.unlink()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
