"""What provision makes, and what doctor and a run tell when something is wrong with the places in Google Cloud."""

from __future__ import annotations

import json
import uuid

import pytest

from taxi_assets.cli import doctor as doctor_module
from taxi_assets.cli import provision as provision_module
from taxi_assets.cli import run as run_module
from taxi_assets.errors import PermanentError, TaxiError
from taxi_assets.instance.home import dagster_instance
from taxi_assets.settings import SettingError, Settings
from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.servers.credentials import EMAIL, TokenEndpoint
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.servers.http_source import HttpSource

# Provision

doctor = doctor_module.command.callback
provision = provision_module.command.callback
print_run = run_module.command.callback


def test_provision_makes_what_is_missing_once_and_prints_the_roles_that_runs_need(
    cloud: Settings, bigquery: BigQueryServer, gcs: GcsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor() == 1
    missing = capsys.readouterr().out
    assert provision() == 0
    first, who = capsys.readouterr().out, f"serviceAccount:{EMAIL}"
    assert "bucket does not exist" in missing
    assert "BigQuery dataset does not exist" in missing
    assert first.count(": created") == 2 + 4
    for line in (
        f"buckets add-iam-policy-binding gs://{cloud.gcs_bucket} --member={who} --role=roles/storage.objectUser",
        f"GRANT `roles/bigquery.dataEditor` ON SCHEMA `throw-away.{cloud.warehouse_schema}` TO",
        f"projects add-iam-policy-binding throw-away --member={who} --role=roles/bigquery.jobUser",
    ):
        assert line in first
    bucket = gcs.front._buckets[cloud.gcs_bucket]
    assert (bucket["location"], bucket["labels"]["made_by"]) == ("EU", "taxi_assets")
    assert bucket["iamConfiguration"]["publicAccessPrevention"] == "enforced"
    assert bucket["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"]
    bigquery.front.asked.clear()
    gcs.front.asked.clear()
    assert provision() == 0
    assert capsys.readouterr().out.count(": was there") == 2 + 4
    changes = [line for line in gcs.front.asked + bigquery.front.asked if not line.startswith("GET ")]
    assert all(line.endswith("/jobs?prettyPrint=false") for line in changes), changes  # the dry run of a query
    assert doctor() == 0
    found = capsys.readouterr().out
    for what in ("credentials", "bucket", "dataset", "locations", "fhvhv_trips", "source"):
        assert f"ok    {what}" in found
    assert EMAIL in found


def test_provision_in_the_local_profile_says_that_there_is_nothing_to_make() -> None:
    with pytest.raises(SettingError, match="needs no provisioning"):
        provision()


def test_provision_and_doctor_cover_the_staging_areas_own_bucket(
    cloud: Settings, gcs: GcsServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = f"{cloud.gcs_bucket}-work"
    monkeypatch.setenv("TAXI_WORK_URL", f"gs://{work}/staging")
    assert doctor() == 1
    assert "TAXI_WORK_URL" in capsys.readouterr().out
    assert provision() == 0
    printed = capsys.readouterr().out
    assert f"work bucket gs://{work} in EU: created" in printed
    assert (
        f"add-iam-policy-binding gs://{work} --member=serviceAccount:{EMAIL} --role=roles/storage.objectUser" in printed
    )
    made = gcs.front.bucket(work)
    assert made["iamConfiguration"]["publicAccessPrevention"] == "enforced"
    assert made["lifecycle"] == gcs.front.bucket(cloud.gcs_bucket)["lifecycle"]
    assert doctor() == 0
    assert "ok    work bucket" in capsys.readouterr().out
    gcs.front.deny("storage.objects.delete")
    assert doctor() == 1
    assert f"bucket {work} (TAXI_WORK_URL)" in capsys.readouterr().out


def test_a_staging_area_in_the_lakes_bucket_needs_no_roles_of_its_own(
    cloud: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXI_WORK_URL", f"gs://{cloud.gcs_bucket}/staging")
    assert provision() == 0
    assert "work bucket" not in capsys.readouterr().out


def test_doctor_warns_of_a_bucket_that_is_public_has_no_uniform_access_or_is_under_retention(
    made: Settings, gcs: GcsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor() == 0
    assert "warning" not in capsys.readouterr().out
    bucket = gcs.front.bucket(made.gcs_bucket)
    bucket["iamConfiguration"] = {"publicAccessPrevention": "inherited", "uniformBucketLevelAccess": {"enabled": False}}
    bucket["retentionPolicy"] = {"retentionPeriod": str(30 * 86_400)}
    assert doctor() == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "warning: its objects can be made public" in told
    assert "warning: each object has permissions of its own" in told
    assert "warning: retention keeps its objects for 30 days" in told
    gcs.front.policies[made.gcs_bucket] = [{"role": "roles/storage.objectViewer", "members": ["allUsers"]}]
    assert doctor() == 0
    assert "warning: anyone on the internet can read it" in " ".join(capsys.readouterr().out.split())


def test_a_requester_pays_bucket_is_refused_by_name(
    made: Settings, gcs: GcsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    gcs.front.bucket(made.gcs_bucket)["billing"] = {"requesterPays": True}
    assert doctor() == 1
    told = capsys.readouterr().out
    assert "the bucket is a requester-pays bucket" in told
    assert "--no-requester-pays" in told


def test_a_location_that_an_organization_policy_forbids_is_told_with_its_setting(
    cloud: Settings, gcs: GcsServer
) -> None:
    message = "'eu' violates constraint 'constraints/gcp.resourceLocations'"
    gcs.front.refuse(412, "conditionNotMet", message, when="POST /storage/v1/b?")
    with pytest.raises(PermanentError, match="an organization policy does not allow this location") as caught:
        provision()
    assert "TAXI_BQ_LOCATION" in caught.value.remedy
    assert cloud.gcs_bucket in caught.value.location


def test_a_bucket_name_that_someone_else_has_is_told_as_taken(cloud: Settings, gcs: GcsServer) -> None:
    taken = "The requested bucket name is not available. The bucket namespace is shared by all users of the system."
    gcs.front.refuse(409, "conflict", taken, when="POST /storage/v1/b?")
    gcs.front.refuse(404, "notFound", "The specified bucket does not exist.", when="GET /storage/v1/b/")
    denied = "x does not have storage.buckets.get access to the Google Cloud Storage bucket."
    gcs.front.refuse(403, "forbidden", denied, when="GET /storage/v1/b/")
    with pytest.raises(PermanentError, match="the bucket exists, and this account may not see it") as caught:
        provision()
    assert "choose another one" in caught.value.remedy


@pytest.mark.parametrize(
    "prefix",
    ["gs://bucket/lake", "lake//trips", "lake/*", "lake\ntrips", "lake/../trips", "x" * 1000, "é" * 500, "a\tb", "a#b"],
)
def test_a_folder_that_cloud_storage_or_a_load_would_refuse_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv("TAXI_GCS_PREFIX", prefix)
    with pytest.raises(SettingError) as caught:
        Settings.from_environment()
    assert caught.value.location.startswith("TAXI_GCS_PREFIX")
    monkeypatch.setenv("TAXI_GCS_PREFIX", "")
    monkeypatch.setenv("TAXI_WORK_URL", f"gs://my-bucket/{prefix}")
    with pytest.raises(SettingError):
        Settings.from_environment()


def test_a_folder_in_a_bucket_loses_the_slashes_at_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_GCS_PREFIX", "/lake/trips é/")
    assert Settings.from_environment().gcs_prefix == "lake/trips é"


# Refusals, each before any work


def wrong_credentials(cloud: Settings, tokens: TokenEndpoint, **_: object) -> dict[str, str]:
    return {"TAXI_GCP_CREDENTIALS": json.dumps(tokens.service_account_info(wrong_key=True))}


def half_a_key(cloud: Settings, **_: object) -> dict[str, str]:
    return {"TAXI_GCP_CREDENTIALS": cloud.gcp_credentials[:200]}


def missing_bucket(**_: object) -> dict[str, str]:
    return {"TAXI_GCS_BUCKET": "no-such-bucket"}


def missing_dataset(**_: object) -> dict[str, str]:
    return {"TAXI_WAREHOUSE_SCHEMA": "no_such_dataset"}


def wrong_location(**_: object) -> dict[str, str]:
    return {"TAXI_BQ_LOCATION": "us-central1"}


def far_bucket(gcs: GcsServer, **_: object) -> dict[str, str]:
    gcs.front.require_credentials = False
    name = f"far-{uuid.uuid4().hex[:12]}"
    gcs.client().create_bucket(name, location="us-central1")
    return {"TAXI_GCS_BUCKET": name}


def no_objects(gcs: GcsServer, **_: object) -> dict[str, str]:
    gcs.front.deny("storage.objects.create", "storage.objects.delete")
    return {}


def no_jobs(bigquery: BigQueryServer, **_: object) -> dict[str, str]:
    bigquery.front.deny("bigquery.jobs.create")
    return {}


def nothing_set(**_: object) -> dict[str, str]:
    return {"TAXI_GCS_BUCKET": ""}


REFUSALS = [
    (wrong_credentials, "Google does not accept the credentials", "TAXI_GCP_CREDENTIALS"),
    (missing_bucket, "the bucket does not exist", "TAXI_GCS_BUCKET"),
    (wrong_location, "the BigQuery dataset is in EU, not in us-central1", "TAXI_BQ_LOCATION=EU"),
    (no_objects, "storage.objects.create, storage.objects.delete", "roles/storage.objectUser on the bucket"),
    (half_a_key, "TAXI_GCP_CREDENTIALS cannot be used: they are not whole JSON", "service account's JSON key"),
    (missing_dataset, "the BigQuery dataset does not exist", "TAXI_WAREHOUSE_SCHEMA"),
    (far_bucket, "the bucket is in US-CENTRAL1, the BigQuery dataset in EU", "TAXI_GCS_BUCKET"),
    (no_jobs, "bigquery.jobs.create is denied", "roles/bigquery.jobUser on the project"),
    (nothing_set, "TAXI_GCS_BUCKET must be set", "taxi-assets provision"),
]
IDS = [wrong.__name__ for wrong, _, _ in REFUSALS]


@pytest.fixture
def wrongly(
    request: pytest.FixtureRequest,
    made: Settings,
    gcs: GcsServer,
    bigquery: BigQueryServer,
    token_endpoint: TokenEndpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[str, str]:
    """Puts something wrong; returns what the error has to say."""
    wrong, what, remedy = request.param
    for name, value in wrong(cloud=made, gcs=gcs, bigquery=bigquery, tokens=token_endpoint).items():
        monkeypatch.setenv(name, value)
    return what, remedy


@pytest.mark.parametrize("wrongly", REFUSALS, ids=IDS, indirect=True)
def test_doctor_tells_what_is_wrong_and_what_to_do(
    wrongly: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor() == 1
    notified = capsys.readouterr().out
    assert all(part in notified for part in wrongly), notified
    assert "PRIVATE KEY" not in notified
    assert ("ok    source" in notified) == ("WRONG settings" not in notified)


@pytest.mark.parametrize("wrongly", REFUSALS[:4], ids=IDS[:4], indirect=True)
def test_a_run_tells_what_is_wrong_before_any_work_starts(
    wrongly: tuple[str, str], source: HttpSource, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        assert (
            print_run(
                "yellow", "2021-01", as_json=False, verbose=False, reload=False, from_lake=False, accept_row_count=False
            )
            == 1
        )
        notified = capsys.readouterr().out
    except TaxiError as error:
        notified = str(error)
    assert all(part in notified for part in wrongly), notified
    assert "PRIVATE KEY" not in notified
    assert not source.asked
    with dagster_instance(Settings.from_environment()) as instance:  # trying again would not help
        assert [run.tags["dagster/will_retry"] for run in instance.get_runs()] == ["false"]
