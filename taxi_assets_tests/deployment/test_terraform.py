"""deploy/terraform: what it makes is, attribute by attribute, what `taxi-assets provision` makes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest

from taxi_assets.cli.provision import ROLES
from taxi_assets.settings import Settings
from taxi_assets.storage.lake.gcs import GcsLake
from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse
from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.storage.months import PROJECT, access

FOLDER = Path(__file__).parents[2] / "deploy" / "terraform"
_META = {"for_each", "depends_on", "dynamic"}
"""Arguments that say how often and when a resource is made, not what it is like."""
FIRST = ("google_service_account", "google_storage_bucket", "google_bigquery_dataset")
"""What all other resources depend on."""


def plain(value: Any) -> Any:
    """Returns what python-hcl2 read without the quotes and marks that it keeps."""
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items() if key != "__is_block__"}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value[1:-1] if isinstance(value, str) and value.startswith('"') else value


@pytest.fixture(scope="module")
def blocks() -> dict[str, list[dict[str, Any]]]:
    """Every block of the folder's files, by its kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(FOLDER.glob("*.tf")):
        with path.open() as file:
            for kind, bodies in plain(hcl2.load(file)).items():
                found.setdefault(kind, []).extend(bodies)
    return found


def resources(blocks: dict[str, list[dict[str, Any]]], kind: str) -> list[dict[str, Any]]:
    return [body for block in blocks["resource"] if kind in block for body in block[kind].values()]


def attributes(body: dict[str, Any], blocks: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Returns a resource's arguments, with locals and the defaults of variables in their place."""
    (local,) = blocks["locals"]
    variables = {name: each.get("default") for block in blocks["variable"] for name, each in block.items()}

    def resolved(value: Any) -> Any:
        named = re.fullmatch(r"\$\{(local|var)\.(\w+)\}", value) if isinstance(value, str) else None
        return (local if named[1] == "local" else variables)[named[2]] if named else value

    return {name: resolved(value) for name, value in body.items() if name not in _META}


def test_the_files_are_formatted() -> None:
    terraform = shutil.which("terraform") or shutil.which("tofu")
    if terraform is None:
        pytest.skip("there is neither terraform nor tofu on this machine")
    done = subprocess.run(
        [terraform, "fmt", "-check", "-diff", str(FOLDER)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_bucket_is_the_one_that_provision_makes(gcs: GcsServer, blocks: dict[str, list[dict[str, Any]]]) -> None:
    lake = GcsLake(access(storage_emulator=gcs.url), "made-by-provision")
    lake.create_bucket(Settings().bq_location)
    ours = dict(gcs.front.bucket("made-by-provision"))
    (body,) = resources(blocks, "google_storage_bucket")
    theirs = attributes(body, blocks)
    rules = [
        {
            "action": rule["action"][0],
            "condition": {
                re.sub(r"_(\w)", lambda found: found[1].upper(), name): value
                for name, value in rule["condition"][0].items()
            },
        }
        for rule in theirs["lifecycle_rule"]
    ]
    assert {
        "name": "made-by-provision",
        "location": theirs["location"],
        "locationType": "multi-region",
        "labels": theirs["labels"],
        "iamConfiguration": {
            "uniformBucketLevelAccess": {"enabled": theirs["uniform_bucket_level_access"]},
            "publicAccessPrevention": theirs["public_access_prevention"],
        },
        "lifecycle": {"rule": rules},
    } == {name: value for name, value in ours.items() if name != "bucketPolicyOnly"} | {
        "iamConfiguration": {
            name: ours["iamConfiguration"][name] for name in ("uniformBucketLevelAccess", "publicAccessPrevention")
        }
    }
    known = {"name", "location", "labels", "uniform_bucket_level_access", "public_access_prevention", "lifecycle_rule"}
    assert set(theirs) == known


def test_the_dataset_is_the_one_that_provision_makes(
    bigquery: BigQueryServer, blocks: dict[str, list[dict[str, Any]]]
) -> None:
    defaults = Settings()
    warehouse = BigQueryWarehouse(access(bigquery_emulator=bigquery.url), defaults.warehouse_schema)
    warehouse.create_dataset()
    ours = bigquery.client(PROJECT).get_dataset(defaults.warehouse_schema)
    (body,) = resources(blocks, "google_bigquery_dataset")
    theirs = attributes(body, blocks)
    assert theirs == {
        "dataset_id": ours.dataset_id,
        "location": defaults.bq_location,
        "labels": ours.labels,
        "description": ours.description,
    }
    assert ours.default_table_expiration_ms is None
    assert ours.default_partition_expiration_ms is None


def test_the_account_gets_the_roles_that_provision_prints_and_no_others(
    blocks: dict[str, list[dict[str, Any]]],
) -> None:
    (local,) = blocks["locals"]
    assert local["buckets"] == "${toset(compact([var.bucket, var.work_bucket]))}"
    granted = []
    for kind, places in (
        ("google_storage_bucket_iam_member", ["bucket", "work bucket"]),
        ("google_bigquery_dataset_iam_member", ["dataset"]),
        ("google_project_iam_member", ["project"]),
    ):
        for body in resources(blocks, kind):
            assert body["member"] == "${google_service_account.runner.member}"
            granted += [(body["role"], place) for place in places]
    assert sorted(granted) == sorted((role, on) for role, on, _ in ROLES)


def test_what_it_enables_is_what_the_documents_name_and_comes_first(blocks: dict[str, list[dict[str, Any]]]) -> None:
    (local,) = blocks["locals"]
    enabled = set(re.findall(r"\w+\.googleapis\.com", local["services"]))
    page = (FOLDER.parents[1] / "docs" / "gcp.md").read_text("utf-8")
    named = set(re.findall(r"\w+\.googleapis\.com", page.partition("## 1.")[2].partition("## 2.")[0]))
    assert enabled == named | {"cloudkms.googleapis.com"}  # the last only with a key
    agents = [body for block in blocks["data"] for kind in block.values() for body in kind.values()]
    assert [each["for_each"] for each in agents] == ["${local.kms}"] * 2
    for body in (*agents, *(resources(blocks, kind)[0] for kind in FIRST)):
        assert "google_project_service.services" in str(body["depends_on"])


def test_the_outputs_are_settings(blocks: dict[str, list[dict[str, Any]]]) -> None:
    (env,) = [block["env"] for block in blocks["output"] if "env" in block]
    named = set(re.findall(r"\b(TAXI_\w+)=", env["value"]))
    assert {"TAXI_PROFILE", "TAXI_GCP_PROJECT", "TAXI_GCS_BUCKET", "TAXI_WORK_URL"} <= named
    assert '"TAXI_AUTOMATION=stopped"' in env["value"]
    assert {name.removeprefix("TAXI_").lower() for name in named} <= set(Settings.model_fields)


def test_no_table_is_terraforms(blocks: dict[str, list[dict[str, Any]]]) -> None:
    assert resources(blocks, "google_bigquery_table") == []
