"""A bucket as the staging area: raw and cleaned months that any machine's next step finds.

The names are those of the folder. What a step made or fetched is also kept in a folder of this machine, under the same
names: a name contains a checksum, so a copy is never stale, and the folder may be emptied at any time.
"""

from __future__ import annotations

from pathlib import Path

from google.api_core import exceptions as api

from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.records import R
from taxi_assets.storage.files import sha256_of
from taxi_assets.storage.google.access import GoogleAccess
from taxi_assets.storage.google.buckets import BucketFolder
from taxi_assets.storage.google.errors import mapped_errors
from taxi_assets.storage.google.upload import upload
from taxi_assets.storage.staging.local import StagingArea


class GcsStagingArea(BucketFolder, StagingArea):
    """Raw and cleaned months below a prefix of a bucket; see `StagingArea`.

    Args:
        root: Folder of this machine's copies.
        access: The account, and how long and how often it tries.
        url: As `gs://bucket/folder`.
    """

    setting = "TAXI_WORK_URL"

    def __init__(self, root: Path, access: GoogleAccess, url: str) -> None:
        StagingArea.__init__(self, root)
        bucket, _, prefix = url.removeprefix("gs://").partition("/")
        BucketFolder.__init__(self, access, bucket, prefix)

    def location(self, file: str) -> str:
        """See `StagingArea.location`."""
        return self.uri(file)

    def path(self, file: str) -> Path:
        """See `StagingArea.path`; downloads what is not there yet.

        Raises:
            PermanentError: The bucket does not have it.
        """
        copy = self.root / file
        if copy.exists():
            return copy
        with self.temporary(copy.name) as draft, mapped_errors(self.location(file)):
            try:
                self._download(self._blob(file), draft)
            except api.NotFound:
                raise PermanentError(
                    "the file that a month's record names is not there",
                    location=self.location(file),
                    remedy="run the month again, from its raw file on",
                ) from None
            copy.parent.mkdir(parents=True, exist_ok=True)
            draft.replace(copy)
        return copy

    def intact(self, record: R | None) -> R | None:
        """See `StagingArea.intact`; removes a damaged copy, while the bucket guards its own bytes."""
        if record and (copy := self.root / record.file).exists() and sha256_of(copy) != record.sha256:
            copy.unlink()
        return record

    def commit(self, stage: str, record: R, files: dict[str, Path]) -> None:
        """See `StagingArea.commit`; here too, the month changes at the moment its record is written.

        Raises:
            TransientError: Another run committed the month meanwhile.
        """
        stem = f"{stage}/{record.stem}"
        with mapped_errors(self.location(f"{stem}.json")):
            before = self._get(f"{stem}.json")
            for name, source in files.items():
                # uploaded even if it is there: a run that sweeps removes only what it has seen
                self._upload(name, source)
            generation = before.generation if before else 0
            try:
                with self.temporary(f"{record.sha256[:8]}.json") as draft:
                    draft.write_text(record.to_json(), "utf-8")
                    self._upload(f"{stem}.json", draft, generation)
            except api.PreconditionFailed:
                if self._text(f"{stem}.json") != record.to_json():  # else ours, and the answer was lost
                    raise TransientError(
                        "another run committed the month meanwhile",
                        location=self.location(f"{stem}.json"),
                        remedy="run the month again when the other run has ended",
                    ) from None
            self._sweep(stem, {*files, f"{stem}.json"})
        super().commit(stage, record, files)

    def _sweep(self, stem: str, kept: set[str]) -> None:
        """Remove what earlier records named. A run that wrote it meanwhile finds the record changed, and stops."""
        for blob in list(self._list(f"{stem}.")):
            if self._short_name(blob.name) not in kept:
                try:
                    blob.delete(if_generation_match=blob.generation, **self.access.request_options)
                except (api.NotFound, api.PreconditionFailed):  # swept, or uploaded again, by another run
                    continue

    def _text(self, name: str) -> str:
        with mapped_errors(self.location(name)):
            try:
                return str(self._blob(name).download_as_text(encoding="utf-8", **self.access.request_options))
            except api.NotFound:
                raise FileNotFoundError(self.location(name)) from None

    def _size(self, name: str) -> int:
        with mapped_errors(self.location(name)):
            blob = self._get(name)
        if blob is None:
            raise FileNotFoundError(self.location(name))
        return int(blob.size)

    def _names(self, folder: str) -> list[str]:
        with mapped_errors(self.location(folder)):
            return [blob.name.rpartition("/")[2] for blob in self._list(f"{folder}/")]

    def _upload(self, name: str, source: Path, replaces: int | None = None) -> None:
        content_type = "application/json" if name.endswith(".json") else "application/octet-stream"
        upload(self._blob(name), source, self.access, content_type=content_type, if_generation_match=replaces)
