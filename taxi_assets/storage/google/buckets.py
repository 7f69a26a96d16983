"""A bucket as a place: what it is like, whether the account may use it, and how to create one.

`deploy/terraform` creates the same bucket, and a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from taxi_assets.errors import PermanentError
from taxi_assets.storage.google.access import LABELS
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
        location: As `EU` or `EUROPE-WEST1`; empty if the account may not know (storage.buckets.get).
        is_region: Whether the location is a single region.
        missing_permissions: Permissions that landing needs and the account does not have.
        warnings: What is dangerous about it, a sentence each: public, without uniform access, under retention.
    """

    location: str
    is_region: bool
    missing_permissions: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def describe_bucket(client: Any, name: str, setting: str, request_options: dict[str, Any]) -> BucketInfo:
    """Return a bucket's description, without touching an object.

    Args:
        client: The client of Cloud Storage.
        name: The bucket.
        setting: The setting that names it, for errors.
        request_options: `timeout` and `retry` of each request.

    Raises:
        PermanentError: There is no such bucket, it is a requester-pays bucket, or the credentials cannot be used.
    """
    from google.api_core import exceptions as api

    location = f"bucket {name} ({setting})"
    with mapped_errors(location):
        held = client.bucket(name).test_iam_permissions(list(PERMISSIONS), **request_options)
        missing = tuple(permission for permission in PERMISSIONS if permission not in held)
        try:
            bucket = client.get_bucket(name, **request_options)
        except api.Forbidden:  # the location is good to know; landing does not need it
            return BucketInfo("", is_region=False, missing_permissions=missing)
    if bucket.requester_pays:
        raise PermanentError(
            "the bucket is a requester-pays bucket, from which BigQuery does not load",
            location=location,
            remedy=f"turn it off: gcloud storage buckets update gs://{name} --no-requester-pays",
        )
    return BucketInfo(
        location=str(bucket.location),
        is_region=bucket.location_type == "region",
        missing_permissions=missing,
        warnings=tuple(_warnings(bucket, request_options)),
    )


def report_bucket(info: BucketInfo, name: str, setting: str) -> str:
    """Return a description for people, with what is dangerous about the bucket.

    Raises:
        PermanentError: The account lacks a permission that landing needs.
    """
    if info.missing_permissions:
        raise permission_error(info.missing_permissions, f"bucket {name} ({setting})")
    where = info.location or "a location that this account may not see"
    return "\n".join([f"gs://{name} in {where}, all permissions", *(f"warning: {each}" for each in info.warnings)])


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
    from google.api_core import exceptions as api

    if bucket.iam_configuration.public_access_prevention == "enforced":
        return False
    try:
        policy = bucket.get_iam_policy(requested_policy_version=3, **request_options)
    except api.GoogleAPICallError:
        return False
    return any(_EVERYBODY & set(binding["members"]) for binding in policy.bindings)


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

    bucket = client.bucket(name)
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.iam_configuration.public_access_prevention = "enforced"
    bucket.labels = LABELS
    bucket.lifecycle_rules = LIFECYCLE
    with mapped_errors(f"bucket {name} ({setting})"):
        try:
            if client.lookup_bucket(name, **request_options):
                return False
            try:
                client.create_bucket(bucket, location=location, **request_options)
            except api.Conflict:
                # created meanwhile, or by our own first request whose answer was lost; or taken, which this one tells
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
