"""A bucket as a place: what it is like, whether the account may use it, and how to create one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from taxi_assets.errors import PermanentError
from taxi_assets.storage.google.access import LABELS
from taxi_assets.storage.google.errors import mapped_errors, message_of, role_of

PERMISSIONS = tuple(f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list", "update"))
"""What landing months needs; replacing an object counts as deleting it, and the lake sensor lists them."""


@dataclass(frozen=True)
class BucketInfo:
    """A bucket's own description.

    Attributes:
        location: As `EU` or `EUROPE-WEST1`; empty if the account may not know (storage.buckets.get).
        is_region: Whether the location is a single region.
        missing_permissions: Permissions that landing needs and the account does not have.
    """

    location: str
    is_region: bool
    missing_permissions: tuple[str, ...]


def describe_bucket(client: Any, name: str, setting: str, request_options: dict[str, Any]) -> BucketInfo:
    """Return a bucket's description, without touching an object.

    Args:
        client: The client of Cloud Storage.
        name: The bucket.
        setting: The setting that names it, for errors.
        request_options: `timeout` and `retry` of each request.

    Raises:
        PermanentError: There is no such bucket, or the credentials cannot be used.
    """
    from google.api_core import exceptions as api

    with mapped_errors(f"bucket {name} ({setting})"):
        held = client.bucket(name).test_iam_permissions(list(PERMISSIONS), **request_options)
        missing = tuple(permission for permission in PERMISSIONS if permission not in held)
        try:
            bucket = client.get_bucket(name, **request_options)
        except api.Forbidden:  # the location is good to know; landing does not need it
            return BucketInfo("", is_region=False, missing_permissions=missing)
    return BucketInfo(str(bucket.location), is_region=bucket.location_type == "region", missing_permissions=missing)


def create_bucket(client: Any, name: str, setting: str, location: str, request_options: dict[str, Any]) -> bool:
    """Create the bucket if there is none; return whether it was created.

    None of its objects can be made public, and permissions hold for the bucket as a whole, not object by object.

    Args:
        client: The client of Cloud Storage.
        name: The bucket.
        setting: The setting that names it, for errors.
        location: As `EU`.
        request_options: `timeout` and `retry` of each request.

    Raises:
        PermanentError: The account may not create it, or it belongs to someone else.
    """
    from google.api_core import exceptions as api

    with mapped_errors(f"bucket {name} ({setting})"):
        try:
            if client.lookup_bucket(name, **request_options):
                return False
            bucket = client.bucket(name)
            bucket.iam_configuration.uniform_bucket_level_access_enabled = True
            bucket.iam_configuration.public_access_prevention = "enforced"
            bucket.labels = LABELS
            client.create_bucket(bucket, location=location, **request_options)
        except api.Conflict:
            # created meanwhile, or by our own first request whose answer was lost; or taken, which this request tells
            client.get_bucket(name, **request_options)
        except api.Forbidden as error:
            if "storage.buckets.get" not in message_of(error):
                raise
            raise PermanentError(
                f"the bucket exists, and this account may not see it: {message_of(error)}",
                location=f"bucket {name} ({setting})",
                remedy="all of Google's customers share bucket names: choose another one; or, if the bucket is yours, "
                f"grant the account {role_of('storage.buckets.get')}",
            ) from None
    return True
