"""The folder that holds raw and cleaned months, and how a file enters it so that a crash leaves no half month.

A data file's name contains its checksum. A month's record (`{stem}.json`) names the data files that count; writing the
record, by rename, is the one moment at which the month changes. Whatever no record names is swept away. Several
machines may share the folder; `taxi_assets.storage.staging.gcs` keeps it in a bucket instead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.records import R
from taxi_assets.storage.files import locked, sha256_of, sync, temporary

_REDO = {"raw": "fetch", "cleaned": "clean"}
"""What makes the file of a stage."""


class StagingArea:
    """Raw and cleaned months below one folder.

    Args:
        root: The folder; it is created by the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, file: str) -> Path:
        """Return where a file named in a record lies on this machine."""
        return self.root / file

    def location(self, file: str) -> str:
        """Return where every machine finds a file, for people to read."""
        return str(self.root / file)

    def record_path(self, stage: str, dataset: str, month: Month) -> Path:
        """Return the path of a month's record in a stage (`raw`, `cleaned`)."""
        return self.root / _record_name(stage, dataset, month)

    def find(self, kind: type[R], stage: str, dataset: str, month: Month) -> R | None:
        """Return a month's record if its data file is there, whole; else None."""
        return self.read(kind, _record_name(stage, dataset, month))

    def read(self, kind: type[R], name: str) -> R | None:
        """Return the record of that name if its data file is there, whole; else None."""
        try:
            record = kind.from_json(self._text(name))
            whole = self._size(record.file) == record.bytes
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return record if whole else None

    def intact(self, record: R | None) -> R | None:
        """Return the record if its data file still has the recorded checksum; else None.

        Call it before reusing a file: otherwise a month damaged by a disk would stay damaged.
        """
        with contextlib.suppress(FileNotFoundError):
            if record and sha256_of(self.path(record.file)) == record.sha256:
                return record
        return None

    def get(self, kind: type[R], stage: str, dataset: str, month: Month) -> R:
        """Return a month's record.

        Raises:
            PermanentError: The month is not staged, or its data file is missing.
        """
        record = self.find(kind, stage, dataset, month)
        if record is None:
            raise PermanentError(
                f"the {stage} file of {dataset} {month} is not there",
                location=self.location(_record_name(stage, dataset, month)),
                remedy=f"{_REDO[stage]} the month again; if another machine made the file, give both machines the same "
                "TAXI_WORK_URL: a folder that both can reach, or gs://",
            )
        return record

    def months(self, stage: str, dataset: str) -> list[Month]:
        """Return the months of a stage, in order."""
        start, months = f"{dataset}_tripdata_", []
        for name in self._names(f"{stage}/{dataset}"):
            if name.startswith(start) and name.endswith(".json"):
                with contextlib.suppress(ValueError):  # not a file of ours
                    months.append(Month.parse(name.removeprefix(start).removesuffix(".json")))
        return sorted(months)

    def _text(self, name: str) -> str:
        return (self.root / name).read_text("utf-8")

    def _size(self, name: str) -> int:
        return (self.root / name).stat().st_size

    def _names(self, folder: str) -> list[str]:
        return [path.name for path in (self.root / folder).glob("*")]

    @contextlib.contextmanager
    def temporary(self, name: str) -> Iterator[Path]:
        """Yield a path to write to; remove the file at the end unless it was moved away."""
        with temporary(self.root / "tmp", name) as path:
            yield path

    def commit(self, stage: str, record: R, files: dict[str, Path]) -> None:
        """Move a month's files into a stage and make its record the one that counts.

        Args:
            stage: `raw`, `cleaned` or `reference`.
            record: The month's new record.
            files: The temporary file to take for each name in the record.
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
            # one folder sync for both: a record that survives a power cut without its data counts as no month
            sync(target.parent)
            kept = {Path(name).name for name in files} | {target.name, f"{target.stem}.lock"}
            for old in target.parent.glob(f"{target.stem}.*"):
                if old.name not in kept:
                    old.unlink(missing_ok=True)


def _record_name(stage: str, dataset: str, month: Month) -> str:
    return f"{stage}/{dataset}/{dataset}_tripdata_{month}.json"
