"""The command line itself: its help, its exit statuses, how it reads wrong arguments."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from taxi_assets.cli.main import COMMANDS, main, taxi_assets

CONTEXT = click.Context(taxi_assets, info_name="taxi-assets")
HEAVY = ("dagster", "duckdb", "pyarrow", "google", "pydantic")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = taxi_assets.get_command(CONTEXT, name)
    assert command is not None
    assert command.name == name
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"examples:\n    taxi-assets {name}" in text
    assert "[OPTIONS]" in text


def test_the_help_tells_every_command_and_exit_status_and_imports_nothing_heavy() -> None:
    code = "import sys; from taxi_assets.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout
    for status in ("0", "1", "2", "3", "130"):
        assert f"\n    {status} " in done.stdout
    assert not set(HEAVY) & set(done.stderr.split())


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("taxi-assets 0.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "yellow"], "Missing argument 'MONTHS'"),
        (["ruin", "yellow"], "No such command 'ruin'"),
        (["ledger", "--josn"], "No such option '--josn'"),
        (["dev", "--port", "80000"], "80000 is no port; give a number from 1 to 65535"),
        (["dev", "--port", "http"], "http is no port; give a number from 1 to 65535"),
        (["run", "purple", "2021-01"], "'purple' is not a dataset"),
        (["run", "yellow", "2021-13"], "2021-13 is not a month\nwhat to do: write months as 2021-01"),
    ],
)
def test_wrong_arguments_are_told_as_every_error_is(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    text = capsys.readouterr().err
    assert text.startswith("taxi-assets: ")
    assert message in text
    assert "\nwhat to do: " in text


def test_no_arguments_at_all_get_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "exit status:" in capsys.readouterr().err


def test_every_command_names_a_misspelt_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXI_DATADIR", "elsewhere")
    monkeypatch.setenv("TAXI_SOURCE", "fax")
    for words in (["run", "yellow", "2021-01"], ["ledger"], ["report", "yellow", "2021-01"], ["query", "SELECT 1"]):
        assert main(words) == 2
        assert "TAXI_DATADIR is not a setting; did you mean TAXI_DATA_DIR?" in capsys.readouterr().err
