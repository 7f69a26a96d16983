"""`taxi-assets provision`: creates the missing bucket, dataset and tables, and prints the roles that runs need."""

from __future__ import annotations

import click

from taxi_assets.cli import LANDED
from taxi_assets.cli.common import examples, load_settings, out
from taxi_assets.contracts import DATASETS
from taxi_assets.settings import SettingError, Settings
from taxi_assets.storage.factory import build_bigquery, build_gcs_lake, google_access
from taxi_assets.storage.warehouse.bigquery_tables import check_expiration

ROLES = (
    ("roles/storage.objectUser", "bucket", "puts, replaces and reads months"),
    ("roles/storage.legacyBucketReader", "bucket", "compares its location with the dataset's"),
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
    created = lake.create_bucket(settings.bq_location)
    bucket = lake.describe_bucket()
    _print("bucket", f"gs://{settings.gcs_bucket} in {bucket.location or 'a location that it may not see'}", created)
    created = warehouse.create_dataset()
    _print("dataset", f"{settings.gcp_project}.{settings.warehouse_schema} in {warehouse.location}", created)
    warehouse.check_access()
    warehouse.check_bucket(settings.gcs_bucket, bucket.location, is_region=bucket.is_region)
    for dataset in DATASETS.values():
        missing = not warehouse.has_table(dataset.table)
        check_expiration(warehouse.ensure_table(dataset), dataset.first_month)
        _print("table", f"{settings.warehouse_schema}.{dataset.table}", missing)
    out.print("\nThe account under which taxi-assets runs needs these roles, and no others:")
    for role, on, why in ROLES:
        out.print(f"  {role:34}on the {on:9}{why}")
    out.print("\nGrant them with:")
    for line in grants(settings):
        out.print(f"  {line}", markup=False)
    out.print("\nNext: taxi-assets doctor")
    return LANDED


def grants(settings: Settings) -> list[str]:
    """Return the commands that grant the roles to the account of TAXI_GCP_CREDENTIALS, or to a placeholder."""
    email = settings.gcp_credentials and getattr(
        google_access(settings).load_credentials(), "service_account_email", ""
    )
    who = f"serviceAccount:{email or 'NAME@' + settings.gcp_project + '.iam.gserviceaccount.com'}"
    project, schema = settings.gcp_project, settings.warehouse_schema
    lines = []
    for role, on, _ in ROLES:
        if on == "bucket":
            policy = f"gcloud storage buckets add-iam-policy-binding gs://{settings.gcs_bucket}"
            lines.append(f"{policy} --member={who} --role={role}")
        elif on == "project":
            lines.append(f"gcloud projects add-iam-policy-binding {project} --member={who} --role={role}")
        else:
            grant = f'GRANT `{role}` ON SCHEMA `{project}.{schema}` TO "{who}"'
            lines.append(f"bq --location={settings.bq_location} query --use_legacy_sql=false '{grant}'")
    return lines


def _print(what: str, which: str, created: bool) -> None:
    out.print(f"{what:9}{which}: {'created' if created else 'was there'}", markup=False)
