"""`taxi-assets provision`: bucket, dataset and tables, made where they are missing; and the roles that runs need."""

from __future__ import annotations

import click

from taxi_assets.cli.common import examples, load_settings, out
from taxi_assets.cli.main import LANDED
from taxi_assets.contracts import DATASETS
from taxi_assets.settings import SettingError, Settings
from taxi_assets.storage.factory import build_lake, build_warehouse, google_access
from taxi_assets.storage.warehouse.bigquery_tables import check_kept

ROLES = (
    ("roles/storage.objectUser", "bucket", "months are put, replaced and read"),
    ("roles/storage.legacyBucketReader", "bucket", "its location is compared with the dataset's"),
    ("roles/bigquery.dataEditor", "dataset", "tables are made, widened, loaded and counted"),
    ("roles/bigquery.jobUser", "project", "load jobs and queries are started"),
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
            "there is nothing to provision in the local profile: it makes its folder and file by itself",
            location="TAXI_PROFILE",
            remedy="set TAXI_PROFILE=gcp, TAXI_GCP_PROJECT and TAXI_GCS_BUCKET",
        )
    lake, warehouse = build_lake(settings), build_warehouse(settings)
    made = lake.make(settings.bq_location)
    place = lake.look()
    _say("bucket", f"gs://{settings.gcs_bucket} in {place.location or 'a location that may not be looked at'}", made)
    made = warehouse.make()
    _say("dataset", f"{settings.gcp_project}.{settings.warehouse_schema} in {warehouse.location}", made)
    warehouse.look()
    warehouse.check_bucket(settings.gcs_bucket, place.location, region=place.region)
    for dataset in DATASETS.values():
        missing = not warehouse.has_table(dataset.table)
        check_kept(warehouse.ensure_table(dataset), dataset.first_month)
        _say("table", f"{settings.warehouse_schema}.{dataset.table}", missing)
    out.print("\nThe account under which taxi-assets runs needs these roles, and no others:")
    for role, on, why in ROLES:
        out.print(f"  {role:34}on the {on:9}{why}")
    out.print("\nGive them to it with:")
    for line in grants(settings):
        out.print(f"  {line}", markup=False)
    out.print("\nNext: taxi-assets doctor")
    return LANDED


def grants(settings: Settings) -> list[str]:
    """Return the commands that give the roles to the account of TAXI_GCP_CREDENTIALS, or to one to be filled in."""
    email = settings.gcp_credentials and getattr(google_access(settings).signed_in(), "service_account_email", "")
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


def _say(what: str, which: str, made: bool) -> None:
    out.print(f"{what:9}{which}: {'made' if made else 'was there'}", markup=False)
