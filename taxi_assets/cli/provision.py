"""`taxi-assets provision`: creates the missing bucket, dataset and tables, and prints the roles that runs need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from taxi_assets.cli import LANDED
from taxi_assets.cli.common import examples, load_settings, out
from taxi_assets.contracts import DATASETS
from taxi_assets.settings import SettingError, Settings
from taxi_assets.storage.factory import build_bigquery, build_gcs_lake, build_gcs_staging, google_access
from taxi_assets.storage.warehouse.bigquery_tables import check_expiration

if TYPE_CHECKING:
    from taxi_assets.storage.google.buckets import BucketFolder, BucketInfo

ROLES = (
    ("roles/storage.objectUser", "bucket", "puts, replaces and reads months"),
    ("roles/storage.legacyBucketReader", "bucket", "compares its location with the dataset's"),
    ("roles/storage.objectUser", "work bucket", "puts, replaces and reads raw and cleaned files (TAXI_WORK_URL)"),
    ("roles/storage.legacyBucketReader", "work bucket", "lets `taxi-assets doctor` see what the bucket is like"),
    ("roles/bigquery.dataEditor", "dataset", "creates, widens, loads and counts tables"),
    ("roles/bigquery.jobUser", "project", "starts load jobs and queries"),
)
"""The least that the account of a running project needs; predefined roles, the narrowest that have each permission."""


@click.command(
    "provision",
    epilog=examples("provision   with TAXI_PROFILE=gcp, TAXI_GCP_PROJECT and TAXI_GCS_BUCKET set"),
)
def command() -> int:
    """Create bucket, dataset and tables in Google Cloud where they are missing, and print the roles that runs need."""
    settings = load_settings()
    if settings.profile != "gcp":
        raise SettingError(
            "the local profile needs no provisioning: it creates its folder and file by itself",
            location="TAXI_PROFILE",
            remedy="set TAXI_PROFILE=gcp, TAXI_GCP_PROJECT and TAXI_GCS_BUCKET",
        )
    lake, warehouse = build_gcs_lake(settings), build_bigquery(settings)
    bucket = _provision_bucket(lake, settings, "bucket")
    if _has_work_bucket(settings):
        _provision_bucket(build_gcs_staging(settings), settings, "work bucket")
    created = warehouse.create_dataset()
    _print("dataset", f"{settings.gcp_project}.{settings.warehouse_schema} in {warehouse.location}", created)
    warehouse.check_access()
    warehouse.check_bucket(settings.gcs_bucket, bucket.location, is_region=bucket.is_region)
    for dataset in DATASETS.values():
        missing = not warehouse.has_table(dataset.table)
        check_expiration(warehouse.ensure_table(dataset), dataset.first_month)
        _print("table", f"{settings.warehouse_schema}.{dataset.table}", missing)
    out.print("\nThe account under which taxi-assets runs needs these roles, and no others:")
    for role, on, why in _roles(settings):
        out.print(f"  {role:34}on the {on:12}{why}")
    out.print("\nGrant them with:")
    for line in grants(settings):
        out.print(f"  {line}")
    out.print("\nNext: taxi-assets doctor")
    return LANDED


def _provision_bucket(place: BucketFolder, settings: Settings, name: str) -> BucketInfo:
    created = place.create_bucket(settings.bq_location)
    info = place.describe_bucket()
    _print(name, info.place, created)
    for warning in info.warnings:
        out.print(f"  warning: {warning}")
    return info


def _has_work_bucket(settings: Settings) -> bool:
    """Whether raw and cleaned files have a bucket of their own."""
    return settings.work_in_bucket and build_gcs_staging(settings).bucket != settings.gcs_bucket


def _roles(settings: Settings) -> list[tuple[str, str, str]]:
    return [each for each in ROLES if each[1] != "work bucket" or _has_work_bucket(settings)]


def grants(settings: Settings) -> list[str]:
    """Return the commands that grant the roles to the account of TAXI_GCP_CREDENTIALS, or to a placeholder."""
    email = settings.gcp_credentials and getattr(
        google_access(settings).load_credentials(), "service_account_email", ""
    )
    who = f"serviceAccount:{email or 'NAME@' + settings.gcp_project + '.iam.gserviceaccount.com'}"
    project, schema = settings.gcp_project, settings.warehouse_schema
    lines = []
    for role, on, _ in _roles(settings):
        if on in ("bucket", "work bucket"):
            bucket = settings.gcs_bucket if on == "bucket" else build_gcs_staging(settings).bucket
            policy = f"gcloud storage buckets add-iam-policy-binding gs://{bucket}"
            lines.append(f"{policy} --member={who} --role={role}")
        elif on == "project":
            lines.append(f"gcloud projects add-iam-policy-binding {project} --member={who} --role={role}")
        else:
            grant = f'GRANT `{role}` ON SCHEMA `{project}.{schema}` TO "{who}"'
            lines.append(f"bq --location={settings.bq_location} query --use_legacy_sql=false '{grant}'")
    return lines


def _print(what: str, which: str, created: bool) -> None:
    out.print(f"{what:12}{which}: {'created' if created else 'was there'}")
