"""The files of the deployments, without an engine or a cluster: what linters, Dagster and Kubernetes say of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import kubernetes_validate
import pytest
import yaml
from dagster_gcp.gcs import GCSComputeLogManager
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import construct_dagster_k8s_job
from kubernetes.client import ApiClient

from taxi_assets.cli.dev import DATABASE_OPTIONS
from taxi_assets.instance.containers import RunContainers
from taxi_assets.settings import Settings
from taxi_assets_tests.servers.deployment import PROJECT

INSTANCE = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
POSTGRES = yaml.safe_load((PROJECT / "deploy/dagster.yaml").read_text())
VALUES = yaml.safe_load((PROJECT / "deploy/k8s/values.yaml").read_text())
COMPOSE = PROJECT / "deploy" / "compose"


def test_the_dockerfile_passes_hadolint() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), PROJECT / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_every_requirement_has_the_hashes_of_its_files_and_no_address() -> None:
    for path in PROJECT.glob("requirements*.txt"):
        pinned = re.findall(
            r"^[a-z0-9._-]+==[^\\]+\\((?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)*)", path.read_text(), re.MULTILINE
        )
        assert len(pinned) == len(re.findall("==", re.sub(" ; .*", "", path.read_text(), flags=re.MULTILINE)))
        assert all(pinned)
        assert "://" not in path.read_text()


def test_an_image_says_of_which_version_and_commit_it_is() -> None:
    words = ["make", "--dry-run", "image", "BUILD=docker build --tag"]
    said = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    version = re.search(r'^version = "(.*)"', (PROJECT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert f"--build-arg VERSION={version[1]} --build-arg REVISION=" in said
    labels = re.findall(
        r"org\.opencontainers\.image\.(version|revision)=\"\$\{(\w+)\}\"", (PROJECT / "Dockerfile").read_text()
    )
    assert dict(labels) == {"version": "VERSION", "revision": "REVISION"}


def test_compose_accepts_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], check=False).returncode:
        pytest.skip("docker compose is not installed")
    monkeypatch.setenv("POSTGRES_PASSWORD", "x")
    files = ["-f", str(COMPOSE / "compose.yaml"), "-f", str(COMPOSE / "smoke.yaml")]
    subprocess.run(["docker", "compose", *files, "config", "-q"], check=True)


def test_only_the_webserver_has_a_port_and_it_is_this_machines_own() -> None:
    services = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert list(ports) == ["webserver"]
    assert all(port.startswith("127.0.0.1:") for port in ports["webserver"])


def test_a_runs_container_gets_the_settings_network_and_volume_of_who_launches_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {"RUN_NETWORK": "net", "RUN_VOLUME": "vol", "RUN_MEMORY": "3g", "TAXI_SOURCE": "csv", "OTHER": "x"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    files = (PROJECT / "dagster.yaml", PROJECT / "deploy/dagster.yaml", COMPOSE / "run_launcher.yaml")
    text = "".join(path.read_text() for path in files)
    config = yaml.safe_load(text)["run_launcher"]["config"]
    launcher = RunContainers(env_vars=[], networks=["net"], container_kwargs=config["container_kwargs"])

    context = launcher.get_container_context(dg.DagsterRun("x"))

    assert "TAXI_SOURCE" in context.env_vars
    assert "OTHER" not in context.env_vars
    assert context.container_kwargs["volumes"] == ["vol:/data"]
    assert context.container_kwargs["mem_limit"] == "3g"
    assert context.container_kwargs["auto_remove"] is True


def test_dagsters_storage_and_logs_are_its_own_and_postgres_is_named_by_a_variable() -> None:
    assert not {"storage", "compute_logs", "run_launcher"} & set(INSTANCE)
    assert POSTGRES == {"storage": {"postgres": {"postgres_url": {"env": "DAGSTER_POSTGRES_URL"}}}}


def test_every_webserver_keeps_few_connections_to_postgres_and_none_that_a_restart_would_break() -> None:
    compose = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    words = compose["services"]["webserver"]["command"]
    assert words[-len(DATABASE_OPTIONS) :] == DATABASE_OPTIONS
    chart = VALUES["dagsterWebserver"]
    given = [
        "--db-pool-max-overflow",
        str(chart["dbPoolMaxOverflow"]),
        "--db-pool-recycle",
        str(chart["dbPoolRecycle"]),
    ]
    assert given == DATABASE_OPTIONS


def test_dagster_is_set_up_in_a_cluster_as_everywhere() -> None:
    elsewhere = {name: part for name, part in INSTANCE.items() if name != "telemetry"}
    assert VALUES["additionalInstanceConfig"] == elsewhere
    assert VALUES["telemetry"] == INSTANCE["telemetry"]


def test_a_clusters_pods_write_only_to_their_volumes() -> None:
    home = Path(VALUES["global"]["dagsterHome"])
    logs = Path(VALUES["computeLogManager"]["config"]["gcsComputeLogManager"]["localDir"])
    pods = (VALUES["dagsterWebserver"], VALUES["dagsterDaemon"], *VALUES["dagster-user-deployments"]["deployments"])
    for pod in pods:
        assert pod["securityContext"]["readOnlyRootFilesystem"] is True
        mounted = [Path(mount["mountPath"]) for mount in pod["volumeMounts"]]
        assert any(home.is_relative_to(path) for path in mounted)
        assert any(logs.is_relative_to(path) for path in mounted)


def test_a_clusters_compute_logs_are_dagsters_own() -> None:
    config = VALUES["computeLogManager"]["config"]["gcsComputeLogManager"]
    chart_to_dagster = {"localDir": "local_dir"}
    given = {chart_to_dagster.get(name, name): value for name, value in config.items()}
    assert set(given) <= set(GCSComputeLogManager.config_type())
    assert given["bucket"] == VALUES["dagsterDaemon"]["env"]["TAXI_GCS_BUCKET"]


def test_the_clusters_settings_are_settings() -> None:
    env = VALUES["dagster-user-deployments"]["deployments"][0]["env"]
    settings = Settings.from_environment(env)
    settings.check_profile()
    assert settings.work_in_bucket


CHART = {
    "": "additionalInstanceConfig computeLogManager dagster-user-deployments dagsterDaemon dagsterWebserver "
    "generatePostgresqlPasswordSecret global postgresql retention runLauncher serviceAccount telemetry",
    "global": "dagsterHome postgresqlSecretName serviceAccountName",
    "postgresql": "enabled postgresqlDatabase postgresqlHost postgresqlUsername",
    "dagsterWebserver": "dbPoolMaxOverflow dbPoolRecycle env image podSecurityContext replicaCount resources "
    "securityContext volumeMounts volumes",
    "dagsterDaemon": "env image podSecurityContext resources runCoordinator runMonitoring runRetries schedules "
    "securityContext sensors volumeMounts volumes",
}
"""Names that the chart's schema knows, as far as they are used here; it ignores others without a word."""


def test_a_clusters_values_have_the_charts_names() -> None:
    for part, names in CHART.items():
        assert set(VALUES[part] if part else VALUES) == set(names.split()), part


@pytest.mark.parametrize("component", ["dagsterWebserver", "dagsterDaemon", "code"])
def test_kubernetes_accepts_the_pods_of_the_values(component: str) -> None:
    values = VALUES["dagster-user-deployments"]["deployments"][0] if component == "code" else VALUES[component]
    container = {
        "name": "dagster",
        "image": f"{values['image']['repository']}:{values['image']['tag']}",
        "imagePullPolicy": values["image"]["pullPolicy"],
        "env": [{"name": name, "value": value} for name, value in values["env"].items()],
        **{name: values[name] for name in ("securityContext", "volumeMounts", "resources") if name in values},
    }
    pod = {"containers": [container], "securityContext": values["podSecurityContext"], "volumes": values["volumes"]}
    labels = {"app": "dagster"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "dagster"},
        "spec": {
            "replicas": values.get("replicaCount", 1),
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    kubernetes_validate.validate(deployment, "1.30", strict=True)


def run_job(tags: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the Kubernetes Job of a run, made from the values as the chart's templates hand them to the launcher."""
    launcher = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    code = VALUES["dagster-user-deployments"]["deployments"][0]
    account = VALUES["global"]["serviceAccountName"]
    context = K8sContainerContext.create_from_config(
        {
            "k8s": {
                "image_pull_policy": launcher["imagePullPolicy"],
                "service_account_name": account,
                "namespace": "taxi",
                "env_config_maps": ["taxi-dagster-user-deployments-taxi-assets-user-env"],
                "env_secrets": [secret["name"] for secret in code["envSecrets"]],
                "volumes": code["volumes"],
                "volume_mounts": code["volumeMounts"],
                "resources": launcher["resources"],
                "security_context": launcher["securityContext"],
                "run_k8s_config": {
                    "pod_spec_config": {
                        "security_context": launcher["runK8sConfig"]["podSpecConfig"]["securityContext"]
                    },
                    "job_spec_config": {"ttl_seconds_after_finished": 3600},
                },
            }
        }
    )
    if tags:
        context = context.merge(
            K8sContainerContext.create_for_run(dg.DagsterRun("x", tags=tags), None, include_run_tags=True)
        )
    image = f"{code['image']['repository'].lower()}:{code['image']['tag']}"
    config = context.get_k8s_job_config(job_image=image, run_launcher=_launcher())
    job = construct_dagster_k8s_job(config, ["dagster", "api", "execute_run"], "run", context.run_k8s_config)
    return dict(ApiClient().sanitize_for_serialization(job))


def _launcher() -> K8sRunLauncher:
    """Return the launcher without its way to a cluster, which it looks for when it is made."""
    launcher = K8sRunLauncher.__new__(K8sRunLauncher)
    launcher.dagster_home = "/opt/dagster/dagster_home"
    launcher.instance_config_map = "taxi-instance"
    launcher.postgres_password_secret = VALUES["global"]["postgresqlSecretName"]
    return launcher


def test_kubernetes_accepts_the_job_of_a_run() -> None:
    job = run_job()

    kubernetes_validate.validate(job, "1.30", strict=True)

    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["serviceAccountName"] == VALUES["global"]["serviceAccountName"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["limits"]["memory"] == "2Gi"
    volumes = sum(int(each["emptyDir"]["sizeLimit"].removesuffix("Gi")) for each in pod["volumes"])
    assert int(container["resources"]["requests"]["ephemeral-storage"].removesuffix("Gi")) > volumes
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/data", "/tmp"}


def test_a_tag_gives_a_runs_pod_more_than_the_others() -> None:
    tag = '{"container_config": {"resources": {"requests": {"cpu": "4"}, "limits": {"memory": "8Gi"}}}}'
    job = run_job({"dagster-k8s/config": tag})
    kubernetes_validate.validate(job, "1.30", strict=True)
    assert job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "8Gi"
