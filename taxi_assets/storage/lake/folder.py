"""The lake of the local profile: a folder in place of the bucket."""

from __future__ import annotations

import contextlib
import errno
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, LakeObject
from taxi_assets.replacement import check_replacement
from taxi_assets.storage.files import remembered_sha256, sha256_of, sync, temporary
from taxi_assets.storage.lake.objects import footer, object_name, parse_object_name


class FolderLake:
    """Objects as files below one folder, put there by rename.

    Args:
        root: The folder; it is created by the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def check(self) -> None:
        """See `Lake.check`: a folder is made when something is first put."""

    def put(self, cleaned: CleanedFile, path: Path, *, accept_row_count: bool = False) -> LakeObject:
        """See `Lake.put`."""
        target = self.root / object_name(cleaned.dataset, cleaned.month)
        here = (
            target.is_file() and target.stat().st_size == cleaned.bytes and remembered_sha256(target) == cleaned.sha256
        )
        if not here:
            landed = self.landed_rows(cleaned.dataset, cleaned.month)
            check_replacement(cleaned, landed, accepted=accept_row_count, location=str(target))
            self._copy(path, target, cleaned.sha256)
        return LakeObject(
            dataset=cleaned.dataset,
            month=cleaned.month,
            file=target.absolute().as_uri(),
            bytes=cleaned.bytes,
            sha256=cleaned.sha256,
            rows=footer(target)[0],
            source_sha256=cleaned.source_sha256,
            transform_version=cleaned.transform_version,
            generation=cleaned.sha256[:16],
            changed=not here,
        )

    def landed_rows(self, dataset: str, month: Month) -> int:
        """See `Lake.landed_rows`; a damaged object counts as none."""
        try:
            rows, written = footer(self.root / object_name(dataset, month))
        except (OSError, pa.ArrowInvalid) as error:
            if getattr(error, "errno", None) not in (None, errno.ENOENT):  # the machine's fault
                raise
            return 0
        return rows if "source_sha256" in written else 0

    def put_file(self, name: str, path: Path) -> str:
        """See `Lake.put_file`."""
        self._copy(path, self.root / name, sha256_of(path))
        return self.uri(name)

    def uri(self, name: str) -> str:
        """See `Lake.uri`."""
        return (self.root / name).absolute().as_uri()

    def read_file(self, name: str) -> bytes:
        """See `Lake.read_file`."""
        return (self.root / name).read_bytes()

    def remove_file(self, name: str) -> None:
        """See `Lake.remove_file`."""
        (self.root / name).unlink(missing_ok=True)

    def list_files(self, folder: str) -> list[str]:
        """See `Lake.list_files`."""
        paths = (self.root / folder).rglob("*")
        return sorted(path.relative_to(self.root).as_posix() for path in paths if path.is_file())

    def find(self, dataset: str, month: Month) -> LakeObject | None:
        """See `Lake.find`.

        Raises:
            PermanentError: The object is not a Parquet file.
        """
        target = self.root / object_name(dataset, month)
        if not target.is_file():
            return None
        try:
            rows, written = footer(target)
        except (OSError, pa.ArrowInvalid) as error:
            raise PermanentError(
                f"the object is not a readable Parquet file: {error}",
                location=f"{dataset} {month}, {target}",
                remedy="remove it and put the month into the lake again",
            ) from error
        sha256 = remembered_sha256(target)
        return LakeObject(
            dataset=dataset,
            month=month,
            file=target.absolute().as_uri(),
            bytes=target.stat().st_size,
            sha256=sha256,
            rows=rows,
            source_sha256=written.get("source_sha256", ""),
            transform_version=written.get("recipe", ""),
            generation=sha256[:16],
            changed=False,
        )

    def versions(self, dataset: str) -> dict[Month, str]:
        """See `Lake.versions`: the time of the last change and the size."""
        found = {}
        for path in (self.root / "data" / dataset).glob("*.parquet"):
            named = parse_object_name(path.relative_to(self.root).as_posix())
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                if named:
                    found[named[1]] = f"{stat.st_mtime_ns:x}-{stat.st_size:x}"
        return found

    def path(self, stored: LakeObject) -> Path:
        """Return where an object lies on this machine."""
        return self.root / object_name(stored.dataset, stored.month)

    def read(self, stored: LakeObject) -> pa.Table:
        """See `Lake.read`; opens the file once, because a run may replace it meanwhile."""
        with self.path(stored).open("rb") as file:
            return pq.read_table(file)

    def _copy(self, source: Path, target: Path, sha256: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary(self.root / ".incoming" / "tmp", target.name) as draft:
            shutil.copyfile(source, draft)
            sync(draft)
            if sha256_of(draft) != sha256:
                raise PermanentError(
                    "the cleaned file does not have the checksum that its record states",
                    location=str(source),
                    remedy="clean the month again",
                )
            remembered_sha256(draft, sha256)  # before another process can put its own file there
            draft.replace(target)
            sync(target.parent)
