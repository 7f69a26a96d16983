"""A bucket of Google Cloud Storage: the lake of the gcp profile.

An object's metadata carry its ledger, so that the bucket's contents are known without reading them.
"""

from __future__ import annotations

import base64
import contextlib
import mimetypes
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core import exceptions as api

from taxi_assets.contracts.model import SOURCE_MONTH
from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, LakeObject
from taxi_assets.replacement import check_replacement
from taxi_assets.storage.files import crc32c_of, sha256_of
from taxi_assets.storage.google.buckets import BucketFolder
from taxi_assets.storage.google.errors import mapped_errors
from taxi_assets.storage.google.upload import upload
from taxi_assets.storage.lake.objects import footer, object_name, parse_object_name

PARQUET = "application/vnd.apache.parquet"
FOOTER_CHUNK = 1 << 20
"""Bytes read at a time to find an object's footer; the footers of TLC's months are smaller."""


class GcsLake(BucketFolder):
    """Objects in a bucket, each uploaded once; see `taxi_assets.storage.base.Lake`.

    Args:
        access: The account, and how long and how often it tries.
        bucket: The bucket's name.
        prefix: Folder in the bucket, empty for none.
    """

    setting = "TAXI_GCS_BUCKET"

    def check(self) -> None:
        """See `Lake.check`: the bucket exists, and the account has the permissions that landing needs."""
        self.check_permissions()

    def put(self, cleaned: CleanedFile, path: Path, *, accept_row_count: bool = False) -> LakeObject:
        """See `Lake.put`.

        Raises:
            PermanentError: The file is not the record's; no bucket, no permission, no credentials.
            TransientError: The link is broken, or another run puts another file under the same name.
        """
        crc32c, sha256 = crc32c_of(path), sha256_of(path)
        if sha256 != cleaned.sha256:
            raise PermanentError(
                "the cleaned file does not match its record",
                location=str(path),
                remedy="clean the month again",
            )
        ledger = {
            "dataset": cleaned.dataset,
            "month": str(cleaned.month),
            "rows": str(footer(path)[0]),
            "sha256": sha256,
            "source_url": cleaned.source_url,
            "source_sha256": cleaned.source_sha256,
            "source_rows": str(cleaned.source_rows),
            "dropped_rows": str(cleaned.dropped_rows),
            "rejected_rows": str(cleaned.rejected_rows),
            "recipe": cleaned.transform_version,
            "crc32c": crc32c,
        }
        name = object_name(cleaned.dataset, cleaned.month)
        with mapped_errors(f"{cleaned.dataset} {cleaned.month}, {self.uri(name)}"):
            existing = self._get(name)
            landed = self._landed_rows(existing)
            check_replacement(cleaned, landed, accepted=accept_row_count, location=self.uri(name))
            blob, changed = self._put(name, path, crc32c, ledger, PARQUET, existing)
        return self._record(cleaned.dataset, cleaned.month, blob, changed=changed)

    def landed_rows(self, dataset: str, month: Month) -> int:
        """See `Lake.landed_rows`."""
        name = object_name(dataset, month)
        with mapped_errors(f"{dataset} {month}, {self.uri(name)}"):
            return self._landed_rows(self._get(name))

    def _landed_rows(self, blob: Any) -> int:
        return int(blob.metadata["rows"]) if blob and self._is_ours(blob) else 0

    def put_file(self, name: str, path: Path) -> str:
        """See `Lake.put_file`."""
        guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        content_type = PARQUET if path.suffix == ".parquet" else guessed
        uri = self.uri(name)
        with mapped_errors(uri):
            ledger = {"sha256": sha256_of(path)}
            self._put(name, path, crc32c_of(path), ledger, content_type, self._get(name))
        return uri

    def read_file(self, name: str) -> bytes:
        """See `Lake.read_file`."""
        with mapped_errors(self.uri(name)):
            return bytes(self._blob(name).download_as_bytes(**self.access.request_options))

    def remove_file(self, name: str) -> None:
        """See `Lake.remove_file`."""
        with mapped_errors(self.uri(name)), contextlib.suppress(api.NotFound):
            self._blob(name).delete(**self.access.request_options)

    def list_files(self, folder: str) -> list[str]:
        """See `Lake.list_files`."""
        with mapped_errors(self.uri(folder)):
            return sorted(self._short_name(blob.name) for blob in self._list(f"{folder}/"))

    def find(self, dataset: str, month: Month) -> LakeObject | None:
        """See `Lake.find`; reads the object's metadata.

        An object from elsewhere has none, or those of other bytes. Its rows come from its footer, and its `sha256` is
        `crc32c-` and the checksum that Cloud Storage keeps: a true SHA-256 would take a download of the whole object.

        Raises:
            PermanentError: An object from elsewhere is no Parquet file, or its rows are of another month.
        """
        name = object_name(dataset, month)
        location = f"{dataset} {month}, {self.uri(name)}"
        with mapped_errors(location):
            blob = self._get(name)
            if blob is None:
                return None
            if not self._is_ours(blob):
                blob.metadata = self._inspect(blob, month, location)
        return self._record(dataset, month, blob, changed=False)

    def versions(self, dataset: str) -> dict[Month, str]:
        """See `Lake.versions`: generations."""
        found = {}
        folder = object_name(dataset, Month(2009, 1)).rpartition("/")[0]
        with mapped_errors(self.uri(folder)):
            for blob in self._list(f"{folder}/", fields="items(name,generation),nextPageToken"):
                if parsed := parse_object_name(self._short_name(blob.name)):
                    found[parsed[1]] = str(blob.generation)
        return found

    def read(self, stored: LakeObject) -> pa.Table:
        """See `Lake.read`; downloads to a temporary file and verifies the checksum."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "object.parquet"
            with mapped_errors(f"{stored.dataset} {stored.month}, {stored.file}"):
                generation = int(stored.generation) if stored.generation else None
                self._download(self._blob(object_name(stored.dataset, stored.month), generation), path)
            return pq.read_table(path, partitioning=None)

    @staticmethod
    def _is_ours(blob: Any) -> bool:
        """Whether an object's metadata are of its bytes; an earlier release did not note the CRC32C."""
        metadata = blob.metadata or {}
        return {"rows", "sha256"} <= set(metadata) and metadata.get("crc32c", blob.crc32c) == blob.crc32c

    def _inspect(self, blob: Any, month: Month, location: str) -> dict[str, str]:
        """Return what an object's own footer and checksum say, in the form of its metadata."""
        remedy = "put the month into the lake again, which replaces the object"
        try:
            with blob.open("rb", chunk_size=FOOTER_CHUNK, **self.access.request_options) as file:
                parquet = pq.read_metadata(file)
        except pa.ArrowInvalid as error:
            raise PermanentError(
                f"the object is not a readable Parquet file: {error}", location=location, remedy=remedy
            ) from error
        if other := _months_of(parquet) - {month}:
            raise PermanentError(
                f"the object has rows of {', '.join(map(str, sorted(other)))}", location=location, remedy=remedy
            )
        return {"rows": str(parquet.num_rows), "sha256": f"crc32c-{base64.b64decode(blob.crc32c).hex()}"}

    def _put(
        self, name: str, path: Path, crc32c: str, ledger: dict[str, str], content_type: str, existing: Any
    ) -> tuple[Any, bool]:
        """Give an object a file's bytes; return it, and whether it had to be uploaded."""
        if not _has_bytes(existing, path, crc32c):
            return self._upload(name, path, crc32c, ledger, content_type, existing.generation if existing else 0)
        if not ledger.items() <= (existing.metadata or {}).items():  # its owner may have added others
            existing.metadata = (existing.metadata or {}) | ledger
            existing.patch(if_metageneration_match=existing.metageneration, **self.access.request_options)
        return existing, False

    def _upload(
        self, name: str, path: Path, crc32c: str, ledger: dict[str, str], content_type: str, replaces: int
    ) -> tuple[Any, bool]:
        blob = self._blob(name)
        blob.metadata = ledger
        blob.crc32c = crc32c
        try:
            upload(blob, path, self.access, content_type=content_type, if_generation_match=replaces)
        except api.PreconditionFailed:
            existing = self._get(name)
            if _has_bytes(existing, path, crc32c):  # another run's upload; or our own, and the answer was lost
                return existing, False
            raise TransientError(
                "another run replaced the object meanwhile, by other bytes",
                location=self.uri(name),
                remedy="run the month again when the other run has ended",
            ) from None
        return blob, True

    def _record(self, dataset: str, month: Month, blob: Any, *, changed: bool) -> LakeObject:
        return LakeObject(
            dataset=dataset,
            month=month,
            file=f"gs://{self.bucket}/{blob.name}",
            bytes=int(blob.size),
            sha256=blob.metadata["sha256"],
            rows=int(blob.metadata["rows"]),
            source_sha256=blob.metadata.get("source_sha256", ""),
            transform_version=blob.metadata.get("recipe", ""),
            generation=str(blob.generation),
            crc32c=blob.crc32c or "",
            changed=changed,
        )


def _has_bytes(blob: Any, path: Path, crc32c: str) -> bool:
    return blob is not None and blob.crc32c == crc32c and int(blob.size) == path.stat().st_size


def _months_of(parquet: Any) -> set[Month]:
    """Return the first and the last month of a Parquet file's rows, by the statistics of `source_month`."""
    found = set()
    for number in range(parquet.num_row_groups):
        group = parquet.row_group(number)
        for column in (group.column(index) for index in range(group.num_columns)):
            if column.path_in_schema == SOURCE_MONTH.name and column.statistics and column.statistics.has_min_max:
                found |= {Month.of(column.statistics.min), Month.of(column.statistics.max)}
    return found
