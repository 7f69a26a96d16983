"""`taxi-assets init`: a `.env` that explains every setting; it asks nothing."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import click

from taxi_assets.cli import LANDED
from taxi_assets.cli.common import examples, load_environment, out
from taxi_assets.settings import SettingError, Settings, description, variable

_HEAD = """\
# The settings of taxi-assets. Every line that begins with `# TAXI_` shows a default: remove the `# ` and change it.
# A variable of the environment takes precedence. Only you can read this file (mode 600): it may hold passwords.
"""


@click.command("init", epilog=examples("init"))
def command() -> int:
    """Write a `.env` with every setting explained, which only this user can read.

    The file is written to the working folder; one that is there already stays as it is.
    """
    load_environment()
    path = Path.cwd() / ".env"
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise SettingError(
            "there is a .env already, and it stays as it is",
            location=str(path),
            remedy="edit it, or move it away and run it again; the README lists every setting",
        ) from error
    with os.fdopen(number, "w", encoding="utf-8") as file:
        os.fchmod(number, 0o600)  # whatever the umask
        file.write(template())
    out.print(f"{path}: every setting is there with its default, and nothing is set; edit what differs")
    return LANDED


def template() -> str:
    """Return the text of a `.env` in which every setting has its default."""
    blocks = [_HEAD]
    for name, field in Settings.model_fields.items():
        text = description(name)
        comment = textwrap.fill(text, 118, initial_indent="# ", subsequent_indent="# ")
        blocks.append(f"{comment}\n# {variable(name)}={_default(text, field.default)}\n")
    return "\n".join(blocks)


def _default(text: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value == () or "empty:" in text:
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    return f"'{value}'" if " " in str(value) else str(value)
