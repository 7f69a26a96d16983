"""A bucket of Google Cloud Storage: the lake of the gcp profile.

An object's metadata carry its ledger, so that what lies in the bucket is known without reading it. What errors mean
stands in `google_errors`.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import mimetypes
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, LakeObject
from taxi_assets.storage.google.access import LABELS, GoogleAccess
from taxi_assets.storage.google.errors import explained, message_of, role_of
from taxi_assets.storage.lake.objects import footer, object_name, parse_object_name

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET = "application/vnd.apache.parquet"
CHUNK = 8 << 20
"""Bytes after which the bucket confirms what it has; what a broken link costs, and what an upload holds in memory.
Google advises 8 MiB at least: each chunk costs a round trip."""

PERMISSIONS = tuple(f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list", "update"))
"""What landing months needs; replacing an object counts as deleting it, and the lake sensor lists them."""

FOOTER = 1 << 20
"""Bytes that are read at a time of an object whose footer is looked at; the footers of TLC's months are smaller."""


@dataclass(frozen=True)
class Bucket:
    """What a bucket says of itself.

    Attributes:
        location: As `EU` or `EUROPE-WEST1`; empty if the account may not know (storage.buckets.get).
        region: Whether the location is a single region.
        lacking: Permissions that landing needs and the account does not have.
    """

    location: str
    region: bool
    lacking: tuple[str, ...]


class GcsLake:
    """Objects in a bucket, each sent once; see `taxi_assets.storage.lake.objects.Lake`.

    Args:
        access: How Google is reached.
        bucket: The bucket's name.
        prefix: Folder in the bucket, empty for none.
    """

    def __init__(self, access: GoogleAccess, bucket: str, prefix: str = "") -> None:
        self.access, self.bucket, self.prefix = access, bucket, prefix

    def put(self, cleaned: CleanedFile, path: Path) -> LakeObject:
        """See `Lake.put`.

        Raises:
            PermanentError: The file is not the one of the papers; no bucket, no permission, no credentials.
            TransientError: The link is broken, or another run puts another file under the same name.
        """
        crc32c, sha256 = _checksums(path)
        if sha256 != cleaned.sha256:
            raise PermanentError(
                "the cleaned file is not the one its papers describe",
                location=str(path),
                remedy="materialise cleaned_parquet for this month again",
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
        }
        name = self._name(object_name(cleaned.dataset, cleaned.month))
        with explained(f"{cleaned.dataset} {cleaned.month}, gs://{self.bucket}/{name}"):
            blob, changed = self._put(name, path, crc32c, ledger, PARQUET)
        return self._record(cleaned.dataset, cleaned.month, blob, changed=changed)

    def put_file(self, name: str, path: Path) -> str:
        """See `Lake.put_file`."""
        crc32c, sha256 = _checksums(path)
        guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        kind = PARQUET if path.suffix == ".parquet" else guessed
        with explained(f"gs://{self.bucket}/{self._name(name)}"):
            self._put(self._name(name), path, crc32c, {"sha256": sha256}, kind)
        return f"gs://{self.bucket}/{self._name(name)}"

    def read_file(self, name: str) -> bytes:
        """See `Lake.read_file`."""
        with explained(f"gs://{self.bucket}/{self._name(name)}"):
            return bytes(self._bucket.blob(self._name(name)).download_as_bytes(**self.access.request_options))

    def list_files(self, folder: str) -> list[str]:
        """See `Lake.list_files`."""
        prefix = self._name(f"{folder}/")
        with explained(f"gs://{self.bucket}/{prefix}"):
            blobs = self._client.list_blobs(self.bucket, prefix=prefix, **self.access.request_options)
            return sorted(blob.name.removeprefix(self._name("")) for blob in blobs)

    def find(self, dataset: str, month: Month) -> LakeObject | None:
        """See `Lake.find`; what the object's metadata say.

        An object that something else put has none. Its rows are taken from its footer, and its `sha256` is `crc32c-`
        and the checksum that Cloud Storage keeps: for another one, all of it would have to pass through this machine.

        Raises:
            PermanentError: Something else put an object there that is no Parquet file.
        """
        import pyarrow as pa

        name = self._name(object_name(dataset, month))
        location = f"{dataset} {month}, gs://{self.bucket}/{name}"
        with explained(location):
            blob = self._get(name)
            if blob is None:
                return None
            if not {"rows", "sha256"} <= set(blob.metadata or {}):
                try:
                    with blob.open("rb", chunk_size=FOOTER, **self.access.request_options) as file:
                        rows = footer(file)[0]
                except pa.ArrowInvalid as error:
                    raise PermanentError(
                        f"the object is not a readable Parquet file: {error}",
                        location=location,
                        remedy=f"materialise {dataset}/gcs_object for {month} again, which replaces it",
                    ) from error
                checksum = base64.b64decode(blob.crc32c).hex()
                blob.metadata = {"rows": str(rows), "sha256": f"crc32c-{checksum}"}
        return self._record(dataset, month, blob, changed=False)

    def versions(self, dataset: str) -> dict[Month, str]:
        """See `Lake.versions`: generations."""
        found = {}
        folder = self._name(object_name(dataset, Month(2009, 1)).rpartition("/")[0])
        with explained(f"gs://{self.bucket}/{folder}"):
            wanted = "items(name,generation),nextPageToken"
            for blob in self._client.list_blobs(
                self.bucket, prefix=f"{folder}/", fields=wanted, **self.access.request_options
            ):
                named = parse_object_name(blob.name.removeprefix(self._name("")))
                if named:
                    found[named[1]] = str(blob.generation)
        return found

    def read(self, stored: LakeObject) -> pa.Table:
        """See `Lake.read`; the bytes pass through a temporary file, and their checksum is verified."""
        import pyarrow.parquet as pq

        name = self._name(object_name(stored.dataset, stored.month))
        with tempfile.TemporaryFile() as file, explained(f"{stored.dataset} {stored.month}, {stored.file}"):
            blob = self._bucket.blob(name, generation=int(stored.generation) if stored.generation else None)
            blob.download_to_file(file, checksum="crc32c", **self.access.request_options)
            file.seek(0)
            return pq.read_table(file)

    def look(self) -> Bucket:
        """Return what the bucket says of itself, without touching an object.

        Raises:
            PermanentError: There is no such bucket, or the credentials cannot be used.
        """
        from google.api_core import exceptions as api

        with explained(f"bucket {self.bucket} (TAXI_GCS_BUCKET)"):
            held = self._bucket.test_iam_permissions(list(PERMISSIONS), **self.access.request_options)
            lacking = tuple(name for name in PERMISSIONS if name not in held)
            try:
                bucket = self._client.get_bucket(self.bucket, **self.access.request_options)
            except api.Forbidden:  # the location is good to know; landing does not need it
                return Bucket("", region=False, lacking=lacking)
        return Bucket(str(bucket.location), region=bucket.location_type == "region", lacking=lacking)

    def make(self, location: str) -> bool:
        """Make the bucket if there is none; return whether it was made.

        No object of it can be made public, and who may do what is said for the bucket as a whole, not for each object.

        Args:
            location: As `EU`.

        Raises:
            PermanentError: It may not be made, or belongs to someone else.
        """
        from google.api_core import exceptions as api

        with explained(f"bucket {self.bucket} (TAXI_GCS_BUCKET)"):
            try:
                if self._client.lookup_bucket(self.bucket, **self.access.request_options):
                    return False
                bucket = self._bucket
                bucket.iam_configuration.uniform_bucket_level_access_enabled = True
                bucket.iam_configuration.public_access_prevention = "enforced"
                bucket.labels = LABELS
                self._client.create_bucket(bucket, location=location, **self.access.request_options)
            except api.Conflict:
                # made meanwhile, or by our own first request whose answer was lost; or taken, which this one tells
                self._client.get_bucket(self.bucket, **self.access.request_options)
            except api.Forbidden as error:
                if "storage.buckets.get" not in message_of(error):
                    raise
                raise PermanentError(
                    f"the bucket exists, and this account may not look at it: {message_of(error)}",
                    location=f"bucket {self.bucket} (TAXI_GCS_BUCKET)",
                    remedy="names are shared by all of Google's customers: choose another one; or, if the bucket is "
                    f"yours, give the account {role_of('storage.buckets.get')}",
                ) from None
        return True

    @functools.cached_property
    def _client(self) -> Any:
        return self.access.storage()

    @property
    def _bucket(self) -> Any:
        return self._client.bucket(self.bucket)

    def _name(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def _get(self, name: str) -> Any:
        return self._bucket.get_blob(name, **self.access.request_options)

    def _put(self, name: str, path: Path, crc32c: str, ledger: dict[str, str], kind: str) -> tuple[Any, bool]:
        """Make an object have a file's bytes; return it, and whether they had to be sent."""
        here = self._get(name)
        if not _same(here, path, crc32c):
            return self._send(name, path, crc32c, ledger, kind, here.generation if here else 0)
        if here.metadata != ledger:
            here.metadata = ledger
            here.patch(if_metageneration_match=here.metageneration, **self.access.request_options)
        return here, False

    def _send(
        self, name: str, path: Path, crc32c: str, ledger: dict[str, str], kind: str, replaces: int
    ) -> tuple[Any, bool]:
        from google.api_core import exceptions as api

        blob = self._bucket.blob(name, chunk_size=CHUNK)
        blob.metadata = ledger
        blob.crc32c = crc32c  # the bucket computes its own, and refuses the object if they differ
        try:
            with path.open("rb") as file:
                blob.upload_from_file(
                    file,
                    size=None,  # with a size, up to 8 MiB would go in one request, and all of it again after a reset
                    content_type=kind,
                    if_generation_match=replaces,
                    checksum=None,
                    **self.access.request_options,
                )
        except api.PreconditionFailed:
            here = self._get(name)
            if _same(here, path, crc32c):  # another run put the same; or this one did, and the answer was lost
                return here, False
            raise TransientError(
                "another run replaced the object meanwhile, by other bytes",
                location=f"gs://{self.bucket}/{name}",
                remedy="materialise the month again, when the other run has ended",
            ) from None
        except api.BadRequest as error:
            if "crc32c" not in message_of(error).lower():
                raise
            raise self._damaged(name, message_of(error)) from None
        if blob.crc32c != crc32c:
            raise self._damaged(name, f"crc32c {blob.crc32c}, not {crc32c}")
        return blob, True

    def _damaged(self, name: str, said: str) -> TransientError:
        return TransientError(
            f"the bytes changed on their way to the bucket: {said}",
            location=f"gs://{self.bucket}/{name}",
            remedy="materialise the month again; if it goes on, look for a proxy or a disk that damages data",
        )

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
            changed=changed,
        )


def _same(blob: Any, path: Path, crc32c: str) -> bool:
    return blob is not None and blob.crc32c == crc32c and int(blob.size) == path.stat().st_size


def _checksums(path: Path) -> tuple[str, str]:
    """Return a file's CRC32C as Cloud Storage writes it (base64), and its SHA-256 (hexadecimal), in one reading."""
    import google_crc32c

    crc32c, sha256 = google_crc32c.Checksum(), hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc32c.update(block)
            sha256.update(block)
    return base64.b64encode(crc32c.digest()).decode(), sha256.hexdigest()
