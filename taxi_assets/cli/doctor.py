"""`taxi-assets doctor`: tries every setting, credential, permission and connection, and says what to fix.

It changes nothing (the demo's source makes the month that it is asked for). It leaves out a check if another one that
must pass first has failed.
"""

from __future__ import annotations

import os

import click

from taxi_assets.cli import FAILED, LANDED
from taxi_assets.cli.common import demo_settings, examples, misspelled, out
from taxi_assets.cli.doctor_checks import checks
from taxi_assets.demo.place import data_folder, is_demo
from taxi_assets.errors import TaxiError
from taxi_assets.instance.environment import load_env_file
from taxi_assets.settings import SettingError, Settings, setting_variables

INDENT = 20 * " "


@click.command("doctor", epilog=examples("doctor"))
def command() -> int:
    """Try every setting, credential, permission and connection, and say what to fix."""
    load_env_file()
    noted = list(misspelled())  # no command refuses it
    settings, wrong = _read_settings()
    failed = {"settings"} if wrong else set()
    for misspelling in noted:
        _print_result("note", "yellow", "settings", misspelling)
    for error in wrong:
        _print_error("settings", error)
    if wrong:
        _print_result("left", "yellow", "all else", "not tried: settings are wrong")
    for check in () if wrong else checks(settings):
        if failed.intersection(check.after):
            _print_result("left", "yellow", check.name, "not tried: see above")
            failed.add(check.name)
            continue
        try:
            found = check.run()
        except TaxiError as error:
            _print_error(check.name, error)
            failed.add(check.name)
        else:
            _print_result("ok", "green", check.name, found)
    if failed:
        out.print("\nfix the above, then run it again")
        return FAILED
    ready = "look at the note above; all else is there" if noted else "everything that is needed is there"
    out.print(f"\n{ready}; to land a month: taxi-assets run yellow 2021-01")
    return LANDED


def _read_settings() -> tuple[Settings, list[SettingError]]:
    """Read the settings; return them with what is wrong with those that cannot be used, which take their default."""
    try:
        folder = data_folder()
    except SettingError:
        pass  # told below
    else:
        if is_demo(folder):
            return demo_settings(folder, asks_source=True), []
    wrong: list[SettingError] = []
    variables = dict(os.environ)
    refused: dict[str, str] = {}
    while True:
        try:
            settings = Settings.from_environment(variables)
            break
        except SettingError as error:
            wrong.append(error)
            name = error.location.partition(",")[0]
            refused[setting_variables()[name]] = variables.pop(name)
    try:
        needed = {name: text for name, text in refused.items() if name in ("gcp_project", "gcs_bucket")}
        settings.model_copy(update=needed).check_profile()  # what was refused is not missing
    except SettingError as error:
        wrong.append(error)
    return settings, wrong


def _print_error(name: str, error: TaxiError) -> None:
    _print_result("WRONG", "red", name, str(error))


def _print_result(result: str, color: str, name: str, text: str) -> None:
    out.print(f"{result:6}", style=color, end="")
    out.print(f"{name:14}" + text.replace("\n", f"\n{INDENT}"))
