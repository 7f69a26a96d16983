"""A bucket as a place: its objects by name, what it is like, whether the account may use it, and how to create one.

`deploy/terraform` creates the same bucket, and a test compares the two.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from google.api_core import exceptions as api
from google.cloud.storage.exceptions import DataCorruption

from taxi_assets.errors import PermanentError
from taxi_assets.storage.files import crc32c_of
from taxi_assets.storage.google.access import LABELS, GoogleAccess
from taxi_assets.storage.google.errors import mapped_errors, message_of, permission_error, role_of

PERMISSIONS = tuple(f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list", "update"))
"""What landing months needs; replacing an object counts as deleting it, and the lake sensor lists them."""

LIFECYCLE = (
    {"action": {"type": "Delete"}, "condition": {"daysSinceNoncurrentTime": 7}},
    {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 7}},
)
"""Rules that remove leftovers and no month: older versions, where someone turns versioning on, and broken uploads."""

_EVERYBODY = {"allUsers", "allAuthenticatedUsers"}


@dataclass(frozen=True)
class BucketInfo:
    """A bucket's own description.

    Attributes:
        name: The bucket.
        location: As `EU` or `EUROPE-WEST1`; empty if the account may not know (storage.buckets.get).
        is_region: Whether the location is a single region.
        missing_permissions: Permissions that landing needs and the account does not have.
        warnings: What is dangerous about it, a sentence each: public, without uniform access, under retention.
    """

    name: str
    location: str
    is_region: bool
    missing_permissions: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The bucket and where it is."""
        return f"gs://{self.name} in {self.location or 'a location that this account may not see'}"

    def report(self) -> str:
        """Return the description for people, with what is dangerous about the bucket."""
        lacking = ", ".join(self.missing_permissions)
        permissions = f"without {lacking}" if lacking else "all permissions"
        return "\n".join([f"{self.place}, {permissions}", *(f"warning: {w}" for w in self.warnings)])


class BucketFolder:
    """A folder of a bucket, in which objects have names of their own; base of lake and staging area.

    Args:
        access: The account, and how long and how often it tries.
        bucket: The bucket's name.
        prefix: Folder in the bucket, empty for none.
    """

    setting: ClassVar[str]
    """The setting that names the bucket, for errors."""

    def __init__(self, access: GoogleAccess, bucket: str, prefix: str = "") -> None:
        self.access, self.bucket, self.prefix = access, bucket, prefix

    def describe_bucket(self) -> BucketInfo:
        """Return the bucket's description, without touching an object.

        Raises:
            PermanentError: There is no such bucket, it is a requester-pays bucket, or the credentials cannot be used.
        """
        options = self.access.request_options
        with mapped_errors(self._place):
            held = self._client.bucket(self.bucket).test_iam_permissions(list(PERMISSIONS), **options)
            missing = tuple(permission for permission in PERMISSIONS if permission not in held)
            try:
                bucket = self._client.get_bucket(self.bucket, **options)
            except api.Forbidden:  # the location is good to know; landing does not need it
                return BucketInfo(self.bucket, "", is_region=False, missing_permissions=missing)
        if bucket.requester_pays:
            raise PermanentError(
                "the bucket is a requester-pays bucket, from which BigQuery does not load",
                location=self._place,
                remedy=f"turn it off: gcloud storage buckets update gs://{self.bucket} --no-requester-pays",
            )
        return BucketInfo(
            name=self.bucket,
            location=str(bucket.location),
            is_region=bucket.location_type == "region",
            missing_permissions=missing,
            warnings=tuple(_warnings(bucket, options)),
        )

    def check_permissions(self) -> BucketInfo:
        """Return the bucket's description if the account may land months in it.

        Raises:
            PermanentError: See `describe_bucket`; or the account lacks a permission.
        """
        info = self.describe_bucket()
        if info.missing_permissions:
            raise permission_error(info.missing_permissions, self._place)
        return info

    def create_bucket(self, location: str) -> bool:
        """Create the bucket if there is none; return whether it was created.

        None of its objects can be made public, and permissions hold for the bucket as a whole, not object by object.

        Args:
            location: As `EU`.

        Raises:
            PermanentError: The account may not create it, or it belongs to someone else.
        """
        options = self.access.request_options
        with mapped_errors(self._place):
            bucket = self._client.bucket(self.bucket)
            bucket.iam_configuration.uniform_bucket_level_access_enabled = True
            bucket.iam_configuration.public_access_prevention = "enforced"
            bucket.labels = LABELS
            bucket.lifecycle_rules = LIFECYCLE
            try:
                if self._client.lookup_bucket(self.bucket, **options):
                    return False
                try:
                    self._client.create_bucket(bucket, location=location, **options)
                except api.Conflict:
                    # created meanwhile, or by our own first request whose answer was lost; or taken, as this one tells
                    self._client.get_bucket(self.bucket, **options)
            except api.Forbidden as error:
                if "storage.buckets.get" not in message_of(error):
                    raise
                raise PermanentError(
                    f"the bucket exists, and this account may not see it: {message_of(error)}",
                    location=self._place,
                    remedy="all of Google's customers share bucket names: choose another one; or, if the bucket is "
                    f"yours, grant the account {role_of('storage.buckets.get')}",
                ) from None
        return True

    @functools.cached_property
    def _client(self) -> Any:
        return self.access.storage()

    @property
    def _place(self) -> str:
        return f"bucket {self.bucket} ({self.setting})"

    def uri(self, name: str) -> str:
        """Return the address of an object."""
        return f"gs://{self.bucket}/{self._full_name(name)}"

    def _full_name(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def _short_name(self, full_name: str) -> str:
        return full_name.removeprefix(self._full_name(""))

    def _blob(self, name: str, generation: int | None = None) -> Any:
        return self._client.bucket(self.bucket).blob(self._full_name(name), generation=generation)

    def _get(self, name: str) -> Any:
        """Return an object with its properties; None if there is none."""
        return self._client.bucket(self.bucket).get_blob(self._full_name(name), **self.access.request_options)

    def _list(self, start: str, **options: Any) -> Any:
        prefix = self._full_name(start)
        return self._client.list_blobs(self.bucket, prefix=prefix, **options, **self.access.request_options)

    def _download(self, blob: Any, path: Path) -> None:
        """Download an object and verify its checksum; the library verifies no download that it had to continue.

        Raises:
            google.cloud.storage.exceptions.DataCorruption: The bytes changed on their way.
        """
        blob.download_to_filename(path, checksum=None, **self.access.request_options)
        if blob.crc32c and crc32c_of(path) != blob.crc32c:
            raise DataCorruption(None, "the bytes do not have the object's checksum")


def _warnings(bucket: Any, request_options: dict[str, Any]) -> list[str]:
    found = []
    access = bucket.iam_configuration
    update = f"gcloud storage buckets update gs://{bucket.name}"
    if _is_public(bucket, request_options):
        found.append(f"anyone on the internet can read it; {update} --public-access-prevention")
    elif access.public_access_prevention != "enforced":
        found.append(f"its objects can be made public; {update} --public-access-prevention")
    if not access.uniform_bucket_level_access_enabled:
        found.append(f"each object has permissions of its own; {update} --uniform-bucket-level-access")
    if bucket.retention_period or bucket.default_event_based_hold or bucket.object_retention_mode:
        days = f" for {bucket.retention_period / 86_400:g} days" if bucket.retention_period else ""
        found.append(
            f"retention keeps its objects{days}: a month that TLC publishes anew cannot replace its object; "
            f"{update} --clear-retention-period --no-default-event-based-hold"
        )
    return found


def _is_public(bucket: Any, request_options: dict[str, Any]) -> bool:
    """Whether its policy lets everybody in; False also if this account may not see the policy."""
    if bucket.iam_configuration.public_access_prevention == "enforced":
        return False
    try:
        policy = bucket.get_iam_policy(requested_policy_version=3, **request_options)
    except api.GoogleAPICallError:
        return False
    return any(_EVERYBODY & set(binding["members"]) for binding in policy.bindings)
