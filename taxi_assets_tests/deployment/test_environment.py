"""The environment wins over `.env`, whatever starts the project; and a `.env` fills in what the environment lacks."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from taxi_assets.demo.sample import write_month
from taxi_assets.months import Month
from taxi_assets_tests.automation.daemon import dev, wait_for
from taxi_assets_tests.servers.deployment import PROJECT
from taxi_assets_tests.servers.process import free_port


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder whose `.env` names another data folder than the tests' environment, and the source."""
    folder = tmp_path / "here"
    folder.mkdir()
    write_month(tmp_path / "site" / "yellow_2021-01.csv.gz", "yellow", Month(2021, 1), 100)
    address = f"file://{tmp_path}/site/{{dataset}}_{{year}}-{{month:02}}.csv.gz"
    (folder / ".env").write_text(f"TAXI_DATA_DIR={tmp_path}/of-the-file\nTAXI_SOURCE=csv\nTAXI_CSV_URL={address}\n")
    shutil.copy(PROJECT / "pyproject.toml", folder)
    return folder


def landed(folder: Path) -> bool:
    return (folder / "lake").is_dir()


def test_it_wins_in_a_command(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "taxi_assets.cli.main", "run", "yellow", "2021-01"]
    environment = os.environ | {"TAXI_DATA_DIR": str(tmp_path / "of-the-environment")}
    subprocess.run(command, cwd=folder, env=environment, check=True)
    assert landed(tmp_path / "of-the-environment")
    assert not (tmp_path / "of-the-file").exists()


@pytest.mark.slow
def test_it_wins_in_the_ui_that_the_project_starts(folder: Path, tmp_path: Path) -> None:
    with dev(folder, {"TAXI_DATA_DIR": str(tmp_path / "of-the-environment")}) as here:
        run = here.launch("yellow", "2021-01")
        here.wait(lambda: here.runs()[run] in ("SUCCESS", "FAILURE"), "the run to end")
        assert here.runs()[run] == "SUCCESS", here.failures(run)
    assert landed(tmp_path / "of-the-environment")
    assert not (tmp_path / "of-the-file").exists()


def test_the_ui_refuses_a_history_that_the_file_would_move(folder: Path, tmp_path: Path) -> None:
    with (folder / ".env").open("a") as file:
        file.write(f"DAGSTER_HOME={tmp_path}/of-the-file\n")
    command = [sys.executable, "-m", "taxi_assets.cli.main", "dev", "--port", str(free_port())]
    environment = os.environ | {"DAGSTER_HOME": str(tmp_path / "of-the-environment")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "DAGSTER_HOME is set in the environment, and .env has another value" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "dagster dev -m taxi_assets.definitions --port PORT",
        "dg dev --use-active-venv --port PORT",
        "dagster-webserver -m taxi_assets.definitions --port PORT",
        "dagster-daemon run -m taxi_assets.definitions",
        "dagster api grpc -m taxi_assets.definitions --port PORT",
        "dagster code-server start -m taxi_assets.definitions --port PORT",
        "dagster definitions validate -m taxi_assets.definitions",
    ],
)
def test_dagsters_own_commands_let_it_win_or_are_refused(command: str, folder: Path, tmp_path: Path) -> None:
    """Dagster loads .env over the environment in some of them, and not in others."""
    marker = "TAXI_MONTHLY_CRON"
    with (folder / ".env").open("a") as file:
        file.write(f"{marker}=wrong\n")  # so that a process that reads it says so
    (folder / "taxi_assets").symlink_to(PROJECT / "taxi_assets")  # dg looks for it in the project's folder
    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {marker: "1 2 3 * *", "DAGSTER_HOME": str(home), "VIRTUAL_ENV": sys.prefix}
    name, *words = command.replace("PORT", str(free_port())).split()
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name(name), *words],
            cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(lambda: process.poll() is not None or _settled(log.read_text()), f"{command}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    said = log.read_text()
    assert "cannot be used" not in said, said
    refused = "is set in the environment, and Dagster has loaded another value" in said
    assert refused or "Error" not in said, said


def _settled(said: str) -> bool:
    """Whether the definitions were loaded, or refused, by what a command has said."""
    return any(words in said for words in ("another value", "Started Dagster code server", "Serving dagster-webserver"))


def make_up(folder: Path, tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `make up` in a folder, with an engine that does nothing."""
    engine = tmp_path / "bin" / "docker"
    engine.parent.mkdir(exist_ok=True)
    engine.write_text("#!/bin/sh\nexit 0\n")
    engine.chmod(0o755)
    words = ["make", "-f", PROJECT / "Makefile", "up", "BUILD=true", f"SOCKET={tmp_path}"]
    environment = {"PATH": f"{engine.parent}:{os.environ['PATH']}", **variables}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_containers_refuse_a_variable_of_the_shell_that_would_not_reach_them(folder: Path, tmp_path: Path) -> None:
    assert make_up(folder, tmp_path).returncode == 0
    assert make_up(folder, tmp_path, TAXI_SOURCE="csv").returncode == 0  # the same as in the file
    assert make_up(folder, tmp_path, TAXI_IMAGE="mine:1").returncode == 0  # for make itself
    refused = make_up(folder, tmp_path, TAXI_ALERT_WEBHOOK="https://hooks.example/s3cret")
    assert refused.returncode
    assert "TAXI_ALERT_WEBHOOK" in refused.stderr
    assert "s3cret" not in refused.stderr + refused.stdout


def test_the_containers_password_goes_once_into_a_file_for_this_user_only_and_no_line_is_lost(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("TAXI_SOURCE=csv")  # no newline
    file.chmod(0o644)
    for _ in range(2):
        assert make_up(tmp_path, tmp_path).returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"TAXI_SOURCE=csv\nPOSTGRES_PASSWORD=[0-9a-f]{32}\n", file.read_text())
