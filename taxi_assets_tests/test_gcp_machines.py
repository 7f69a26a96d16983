"""Two machines that run one month in the gcp profile at the same time, and the secrets that they were given."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_assets.demo.sample import write_month
from taxi_assets.settings import Settings
from taxi_assets.storage.factory import build_lake, build_warehouse
from taxi_assets_tests.servers.bigquery import BigQueryServer
from taxi_assets_tests.servers.cloud import JANUARY, environment
from taxi_assets_tests.servers.credentials import TokenEndpoint
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.servers.http_source import http_source


@dataclass(frozen=True)
class Machines:
    """Two machines that ran one month at the same time.

    Attributes:
        environment: Their settings, without their folders.
        folders: Their folders.
        done: What became of their processes.
        secrets: What no one may read anywhere.
    """

    environment: dict[str, str]
    folders: list[Path]
    done: list[subprocess.CompletedProcess[str]]
    secrets: list[str]


@pytest.fixture(scope="module")
def machines(
    gcs_session: GcsServer,
    bigquery_session: BigQueryServer,
    token_session: TokenEndpoint,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Machines]:
    folder = tmp_path_factory.mktemp("machines")
    with http_source() as site, pytest.MonkeyPatch.context() as patch:
        month = write_month(folder / "month.csv.gz", "yellow", JANUARY, 3000)
        site.files["/yellow_2021-01.csv.gz"] = month.read_bytes()
        settings = environment(gcs_session, bigquery_session, token_session, site)
        settings["TAXI_ALERT_WEBHOOK"] = "https://hooks.example.org/T000/planted-webhook"
        settings["TAXI_CSV_URL"] = settings["TAXI_CSV_URL"].replace("http://", "http://reader:planted-in-url@")
        settings["TAXI_SMTP_URL"] = "smtp://alerts:planted-password@mail.example.org:587"
        for name, value in (settings | {"HTTPS_PROXY": "http://127.0.0.1:9"}).items():
            patch.setenv(name, value)
        build_lake(Settings.from_environment()).create_bucket("EU")
        build_warehouse(Settings.from_environment()).create_dataset()
        gcs_session.front.require_credentials = bigquery_session.front.require_credentials = True
        variables = dict(os.environ)
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "taxi_assets.cli.main", "run", "yellow", "2021-01", "--verbose"],
                env=variables | {"TAXI_DATA_DIR": str(folder / name)},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for name in ("one", "two")
        ]  # fmt: skip
        done = [
            subprocess.CompletedProcess(process.args, process.wait(), *process.communicate()) for process in processes
        ]
        gcs_session.front.require_credentials = bigquery_session.front.require_credentials = False
        key = json.loads(settings["TAXI_GCP_CREDENTIALS"])
        secrets = [line for line in key["private_key"].splitlines() if "-----" not in line and len(line) > 20]
        secrets += [
            key["private_key_id"],
            "planted-webhook",
            "planted-password",
            "planted-in-url",
            *token_session.issued,
        ]
        yield Machines(variables, [folder / "one", folder / "two"], done, secrets)


@pytest.mark.slow
def test_two_machines_that_run_one_month_at_once_end_with_one_month(
    machines: Machines, gcs: GcsServer, bigquery: BigQueryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for done in machines.done:
        assert done.returncode == 0, done.stdout + done.stderr
    for name, value in machines.environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment()
    assert build_warehouse(settings).count_months("yellow_trips") == {JANUARY: 3000}
    jobs = [job for job in bigquery.front._jobs.values() if not isinstance(job, str)]
    ours = [job for job in jobs if job.dataset == settings.warehouse_schema]
    assert [(job.error, job.reference["jobId"][-2:]) for job in ours] == [(None, "-1")]
    (blob,) = gcs.client().list_blobs(settings.gcs_bucket)
    assert blob.name == "lake/data/yellow/yellow_tripdata_2021-01.parquet"


@pytest.mark.slow
def test_a_secret_in_the_settings_is_in_no_output_and_no_file_of_a_run(machines: Machines) -> None:
    files = [path for folder in machines.folders for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    everything = [done.stdout + done.stderr for done in machines.done]
    everything += [path.read_bytes().decode("utf-8", "replace") for path in files]
    assert sum("yellow_tripdata_2021-01" in text for text in everything) >= 4
    assert len(machines.secrets) > 20
    for text in everything:
        assert not [secret for secret in machines.secrets if secret in text]


@pytest.mark.slow
def test_a_secret_in_the_settings_is_in_nothing_that_the_ui_is_given(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import ModuleTarget

    for name, value in machines.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TAXI_DATA_DIR", str(machines.folders[0]))
    monkeypatch.setenv("DAGSTER_HOME", str(machines.folders[0] / "dagster"))
    target = ModuleTarget("taxi_assets.definitions", None, "taxi_assets", location_name="taxi_assets")
    with dg.DagsterInstance.get() as instance, WorkspaceProcessContext(instance, target) as process:
        request = process.create_request_context()
        (run_id,) = instance.get_run_ids()
        answers = [_ask(query.replace("RUN", run_id), request) for query in UI]
    resources, _, events, *_ = answers
    assert "TAXI_GCP_CREDENTIALS" in resources, "the variable's name is shown, and its value is not"
    assert "yellow_tripdata_2021-01" in events
    for text in answers:
        assert not [secret for secret in machines.secrets if secret in text]


def _ask(query: str, context: Any) -> str:
    from dagster_graphql.schema import create_schema

    result = asyncio.run(create_schema().execute_async(query, context_value=context))
    assert not result.errors, result.errors
    return json.dumps(result.data)


UI = (
    """{ allTopLevelResourceDetailsOrError(
        repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "taxi_assets"}
    ) { ... on ResourceDetailsList { results { name description configuredValues { key value type }
        configFields { name description defaultValueAsJson }
        nestedResources { name resource { name configuredValues { key value } } } } } } }""",
    """{ runOrError(runId: "RUN") { ... on Run { runConfigYaml tags { key value } assets { key { path } } } } }""",
    """{ logsForRun(runId: "RUN") { ... on EventConnection { events { __typename
        ... on MessageEvent { message } ... on MaterializationEvent { metadataEntries { label description
        ... on TextMetadataEntry { text } ... on MarkdownMetadataEntry { mdStr } ... on UrlMetadataEntry { url }
        ... on PathMetadataEntry { path } } } ... on ErrorEvent { error { message stack } } } } } }""",
    """{ instance { info daemonHealth { allDaemonStatuses { daemonType } } } }""",
    """{ workspaceOrError { ... on Workspace { locationEntries { name displayMetadata { key value }
        locationOrLoadError { ... on PythonError { message stack } } } } } }""",
)
"""What the pages of resources, of a run, of its events, of the instance and of the code location ask for."""
