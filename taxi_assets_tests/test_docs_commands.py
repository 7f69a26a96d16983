"""The commands in the documents and in the help texts exist, and do what they say."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import dagster._cli
import dagster_dg_cli.cli
import pytest

from taxi_assets.cli import main as cli
from taxi_assets.demo.sample import write_month
from taxi_assets.months import parse_months
from taxi_assets_tests.documents import ROOT, every_command

BIN = Path(sys.executable).parent

COMMAND_LINES = {"taxi-assets": cli.taxi_assets, "dagster": dagster._cli.cli, "dg": dagster_dg_cli.cli.cli}
"""Programs whose words and options are checked without running them."""

ELSEWHERE = {
    "demo": "make demo",  # in .ci/run
    "init": "def test_init_writes_every_setting_with_its_default_for_this_user_only_and_once(",
    "dev": "def test_a_month_is_materialized_by_clicking_and_shows_its_chart_and_its_report(",
    "provision": "def test_provision_makes_what_is_missing_once_and_prints_the_roles_that_runs_need(",
}
"""Commands of `taxi-assets` that are too long for this file, and what runs them."""

OF_OTHERS = {
    *("bash", "cd", "chmod", "cp", "curl", "echo", "eval", "export", "git", "ls", "mkdir", "mv", "rm", "sudo", "tar"),
    *("bq", "docker", "gcloud", "gsutil", "helm", "kubectl", "podman", "terraform"),
    *("createdb", "createuser", "dropdb", "pg_dump", "pg_restore", "psql"),
}
"""Programs that are not this project's; what they do is theirs to test."""

FEW = 4
"""Months that a command may name to be run here; `taxi_assets_tests/test_run_command.py` runs longer ranges."""


def of_taxi_assets(*names: str) -> list[list[str]]:
    """Returns the arguments of every command of `taxi-assets` in documents and help texts that is named so."""
    found = [arguments for program, arguments in every_command() if program == "taxi-assets"] + examples()
    return [
        list(arguments)
        for arguments in dict.fromkeys(map(tuple, found))
        if arguments[0] in names and "--help" not in arguments
    ]


def examples() -> list[list[str]]:
    """Returns the arguments of every example in the help texts."""
    epilogs = [(command_named(name).epilog or "") for name in cli.COMMANDS]
    lines = [line.split("  ")[0] for epilog in epilogs for line in epilog.split("\n  ")[1:]]
    return [shlex.split(line)[1:] for line in lines]


def test_every_command_in_the_documents_is_known() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for program, arguments in every_command():
        if program == "make":
            assert {word for word in arguments if "=" not in word and word != "-n"} <= targets, f"make {arguments}"
        elif program in ("python", "python3"):
            assert arguments[0] == "-m" or (ROOT / arguments[0]).exists(), f"{program} {arguments}"
        elif program == "pytest":
            assert all(Path(ROOT, word.partition("::")[0]).exists() for word in arguments if "/" in word), (
                f"pytest {arguments}"
            )
        elif program in COMMAND_LINES:
            parses(COMMAND_LINES[program], arguments)
        else:
            assert program in OF_OTHERS, f"{program} {arguments}: who runs this?"


def parses(command: click.Command, arguments: list[str]) -> None:
    name = ""
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        name, *arguments = arguments
        found = command.get_command(click.Context(command), name)
        assert found, f"{command.name} {name}"
        command = found
    with contextlib.suppress(click.exceptions.Exit):  # --help, --version
        command.make_context(name, list(arguments))


def command_named(name: str) -> click.Command:
    command = cli.taxi_assets.get_command(click.Context(cli.taxi_assets), name)
    assert command, f"taxi-assets {name}"
    return command


def test_the_commands_that_are_too_long_for_this_file_are_run_elsewhere() -> None:
    files = [
        ROOT / ".ci/run",
        *(path for path in ROOT.glob("taxi_assets_tests/**/test_*.py") if path != Path(__file__)),
    ]
    text = "\n".join(path.read_text("utf-8") for path in files)
    for test in ELSEWHERE.values():
        assert test in text


def test_every_command_has_examples_that_it_understands() -> None:
    commands = set(cli.COMMANDS)
    assert {arguments[0] for arguments in examples()} == commands
    for arguments in examples():
        parses(cli.taxi_assets, arguments)
    rest = commands - {"run", "report", "zones", "ledger", "query", "migrate", "doctor"}
    assert rest == set(ELSEWHERE)


@pytest.mark.slow
def test_the_commands_of_the_documents_do_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, reports = of_taxi_assets("run"), of_taxi_assets("report")
    assert ["run", "yellow", "2021-01"] in runs
    runs = [arguments for arguments in runs if len(parse_months(arguments[2])) <= FEW]
    needed = [["run", *arguments[1:3]] for arguments in reports]
    for _, dataset, months, *_ in [*runs, *needed]:
        for month in parse_months(months):
            if not (path := tmp_path / f"{dataset}_{month}.csv").exists():
                write_month(path, dataset, month, 60)
    monkeypatch.setenv("TAXI_CSV_URL", f"file://{tmp_path}/{{dataset}}_{{year}}-{{month:02}}.csv")
    monkeypatch.setenv("TAXI_SOURCE", "csv")
    lookup = "".join(f'{n},"Queens","Zone {n}","Boro Zone"\n' for n in range(1, 266))
    (tmp_path / "zones.csv").write_text(f'"LocationID","Borough","Zone","service_zone"\n{lookup}')
    monkeypatch.setenv("TAXI_ZONES_URL", f"file://{tmp_path}/zones.csv")
    monkeypatch.chdir(tmp_path)  # where there is no .env
    others = of_taxi_assets("zones", "ledger", "query", "migrate", "doctor")
    for arguments in [*runs, *needed, ["zones"], *reports, *others]:
        status = cli.main(arguments)
        said = capsys.readouterr()
        assert status == 0, (arguments, said)
        assert said.out, arguments
    script = [sys.executable, str(ROOT / "examples/analyst.py"), str(tmp_path / "data")]
    for dataset in ("yellow", "green"):
        done = subprocess.run([*script, "--dataset", dataset], capture_output=True, text=True, check=True)
        assert re.search(r"-\d\d-01\s+60\s", done.stdout), done.stdout
        assert "credit card" in done.stdout


@pytest.mark.slow
def test_dagsters_commands_of_the_documents_do_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_month(tmp_path / "yellow_2021-01.csv", "yellow", parse_months("2021-01")[0], 60)
    monkeypatch.setenv("TAXI_CSV_URL", f"file://{tmp_path}/{{dataset}}_{{year}}-{{month:02}}.csv")
    block = next(
        text
        for text in re.findall(r"```sh\n(.*?)```", (ROOT / "docs/from-prefect.md").read_text("utf-8"), re.DOTALL)
        if "dg launch" in text
    )
    there = block.replace("$PWD/data", str(tmp_path / "data")).replace(" data/", f" {tmp_path}/data/")
    done = subprocess.run(
        ["bash", "-ec", there.replace(".venv/bin/", f"{BIN}/")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "data/lake/data/yellow/yellow_tripdata_2021-01.parquet").exists()
