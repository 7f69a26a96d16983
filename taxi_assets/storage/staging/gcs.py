"""A bucket in place of the work folder: raw and cleaned months that any machine's next step finds.

The names are the folder's. What a step made or fetched also lies in a folder of this machine, under the same names:
those contain a checksum, so a copy is never stale, and the folder may be emptied at any time.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.records import P
from taxi_assets.storage.files import sha256_of
from taxi_assets.storage.google.access import GoogleAccess
from taxi_assets.storage.google.errors import explained
from taxi_assets.storage.lake.gcs import CHUNK
from taxi_assets.storage.staging.local import StagingArea


class GcsStagingArea(StagingArea):
    """Raw and cleaned months below a prefix of a bucket; see `Workroom`.

    Args:
        root: Folder of this machine's copies.
        access: How Google is reached.
        url: As `gs://bucket/folder`.
    """

    def __init__(self, root: Path, access: GoogleAccess, url: str) -> None:
        super().__init__(root)
        self.access, self.url = access, url

    def location(self, file: str) -> str:
        """See `Workroom.where`."""
        return f"{self.url}/{file}"

    def path(self, file: str) -> Path:
        """See `Workroom.path`; what is not there yet is fetched.

        Raises:
            PermanentError: The bucket does not have it.
        """
        from google.api_core import exceptions as api

        here = self.root / file
        if here.exists():
            return here
        with self.temporary(here.name) as draft, explained(self.location(file)):
            try:
                self._blob(file).download_to_filename(draft, checksum="crc32c", **self.access.request_options)
            except api.NotFound:
                raise PermanentError(
                    "the file that a month's papers name is not there",
                    location=self.location(file),
                    remedy="materialise the month again, from raw_file on",
                ) from None
            here.parent.mkdir(parents=True, exist_ok=True)
            draft.replace(here)
        return here

    def intact(self, record: R | None) -> R | None:
        """See `Workroom.intact`; a copy that is damaged goes, while the bucket sees to its own bytes."""
        if record and (here := self.root / record.file).exists() and sha256_of(here) != record.sha256:
            here.unlink()
        return record

    def commit(self, stage: str, record: R, files: dict[str, Path]) -> None:
        """See `Workroom.commit`; writing the papers is the one moment at which the month changes, here too.

        Raises:
            TransientError: Another run put the month there meanwhile.
        """
        from google.api_core import exceptions as api

        stem = f"{stage}/{record.stem}"
        with explained(self.location(f"{stem}.json")):
            before = self._get(f"{stem}.json")
            for name, source in files.items():
                # sent even if it is there: a run that sweeps takes only what it has seen
                self._blob(name).upload_from_filename(source, checksum="crc32c", **self.access.request_options)
            named = self._blob(f"{stem}.json")
            generation = before.generation if before else 0
            try:
                named.upload_from_string(
                    record.to_json(), if_generation_match=generation, **self.access.request_options
                )
            except api.PreconditionFailed:
                if self._text(f"{stem}.json") != record.to_json():  # else ours, and the answer was lost
                    raise TransientError(
                        "another run put the month there meanwhile",
                        location=self.location(f"{stem}.json"),
                        remedy="materialise the month again, when the other run has ended",
                    ) from None
            self._sweep(stem, {*files, f"{stem}.json"})
        super().commit(stage, record, files)

    def _sweep(self, stem: str, kept: set[str]) -> None:
        """Remove what earlier papers named. Who wrote it meanwhile will find that the papers have changed, and stop."""
        from google.api_core import exceptions as api

        for blob in list(self._list(f"{stem}.")):
            if self._short(blob.name) not in kept:
                try:
                    blob.delete(if_generation_match=blob.generation, **self.access.request_options)
                except (api.NotFound, api.PreconditionFailed):  # swept, or sent again, by another run
                    continue

    def _text(self, name: str) -> str:
        from google.api_core import exceptions as api

        with explained(self.location(name)):
            try:
                return str(self._blob(name).download_as_text(encoding="utf-8", **self.access.request_options))
            except api.NotFound:
                raise FileNotFoundError(self.location(name)) from None

    def _size(self, name: str) -> int:
        with explained(self.location(name)):
            blob = self._get(name)
        if blob is None:
            raise FileNotFoundError(self.location(name))
        return int(blob.size)

    def _names(self, folder: str) -> list[str]:
        with explained(self.location(folder)):
            return [blob.name.rpartition("/")[2] for blob in self._list(f"{folder}/")]

    @functools.cached_property
    def _client(self) -> Any:
        return self.access.storage()

    @property
    def _place(self) -> tuple[str, str]:
        bucket, _, prefix = self.url.removeprefix("gs://").partition("/")
        return bucket, f"{prefix}/" if prefix else ""

    def _blob(self, name: str) -> Any:
        bucket, prefix = self._place
        return self._client.bucket(bucket).blob(f"{prefix}{name}", chunk_size=CHUNK)

    def _get(self, name: str) -> Any:
        bucket, prefix = self._place
        return self._client.bucket(bucket).get_blob(f"{prefix}{name}", **self.access.request_options)

    def _list(self, start: str) -> Any:
        bucket, prefix = self._place
        return self._client.list_blobs(bucket, prefix=f"{prefix}{start}", **self.access.request_options)

    def _short(self, name: str) -> str:
        return name.removeprefix(self._place[1])
