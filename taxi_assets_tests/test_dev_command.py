"""`taxi-assets dev` up to the moment where it becomes Dagster's own command."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxi_assets.cli.main import main
from taxi_assets.settings import Settings
from taxi_assets_tests.servers.process import free_port


class _BecameDagsterError(Exception):
    """Raised in place of the process that `dev` would become."""


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The arguments of Dagster's command, once `dev` has become it."""
    found: list[str] = []
    before = signal.getsignal(signal.SIGINT)

    def become(_: str, words: list[str]) -> None:
        found.extend(words)
        raise _BecameDagsterError

    monkeypatch.setattr(os, "execv", become)
    for name in ("TAXI_UI_URL", "PYTHONWARNINGS"):
        monkeypatch.setenv(name, "")  # so that it is taken out again after the test
        monkeypatch.delenv(name)
    yield found
    signal.signal(signal.SIGINT, before)


def dev(*words: str) -> None:
    with pytest.raises(_BecameDagsterError):
        main(["dev", *words])


def test_it_listens_on_this_machine_only_and_links_in_alerts_follow_the_port(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    port = str(free_port())
    dev("--port", port)
    assert arguments[arguments.index("-h") + 1] == "127.0.0.1"
    assert arguments[arguments.index("-p") + 1] == port
    assert Settings.from_environment().ui_url == f"http://127.0.0.1:{port}"
    text = capsys.readouterr().err
    assert f"Dagster's UI: http://127.0.0.1:{port}" in text
    assert f"http://127.0.0.1:{port}/locations/taxi_assets/asset-groups/yellow" in text
    assert "warning" not in text
    assert "demo" not in text


def test_an_address_of_alerts_that_is_set_stays(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_UI_URL", "https://dagster.example")
    dev("--port", str(free_port()))
    assert Settings.from_environment().ui_url == "https://dagster.example"
    assert arguments


def test_another_host_is_warned_of_because_the_ui_has_no_login(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    dev("--host", "0.0.0.0", "--port", str(free_port()))
    assert arguments[arguments.index("-h") + 1] == "0.0.0.0"
    text = " ".join(capsys.readouterr().err.split())
    assert "warning: the UI has no login: whoever reaches 0.0.0.0 can start runs" in text


def test_credentials_that_google_does_not_accept_are_told_at_the_start(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {
        "PROFILE": "gcp",
        "GCP_PROJECT": "my-project-123",
        "GCS_BUCKET": "my-lake",
        "GCP_CREDENTIALS": "/no/key.json",
    }
    for name, text in own.items():
        monkeypatch.setenv(f"TAXI_{name}", text)
    dev("--port", str(free_port()))
    assert arguments
    told = capsys.readouterr().err
    assert "warning: TAXI_GCP_CREDENTIALS cannot be used: /no/key.json: No such file" in told


def test_automation_that_runs_is_told_with_how_to_stop_it(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dev("--port", str(free_port()))
    assert "automation is on" not in capsys.readouterr().err
    monkeypatch.setenv("TAXI_AUTOMATION", "running")
    dev("--port", str(free_port()))
    told = capsys.readouterr().err
    assert "automation is on: it fetches every month since 2009-01; TAXI_AUTOMATION=stopped" in told
    assert arguments


def test_the_demo_is_not_shown_where_months_of_ones_own_have_landed(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (tmp_path / "data" / "demo", tmp_path / "data"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "warehouse.duckdb").touch()
    dev("--port", str(free_port()))
    assert arguments
    assert "demo" not in capsys.readouterr().err.replace(str(tmp_path), "")


def test_a_setting_that_the_profile_requires_is_asked_for_at_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXI_PROFILE", "gcp")
    assert main(["dev", "--port", str(free_port())]) == 2
    assert "TAXI_GCP_PROJECT and TAXI_GCS_BUCKET must be set for TAXI_PROFILE=gcp" in capsys.readouterr().err
