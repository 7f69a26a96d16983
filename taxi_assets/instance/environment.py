"""`.env` in the working folder: it fills in what the environment leaves open, and never wins over it.

Dagster's own commands load the same file over variables that are set, before anything of this project runs (dagster
1.13). `taxi-assets dev` therefore keeps the values that Dagster will overwrite, and `load_env_file` puts them back;
under Dagster's commands alone it refuses to go on. Delete all but `load_dotenv` when Dagster lets the environment win.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
from dotenv import dotenv_values, load_dotenv
from dotenv.parser import parse_stream

from taxi_assets.settings import SettingError

_KEPT = "_TAXI_ENVIRONMENT"


def load_env_file() -> None:
    """Set the variables of `.env` that the environment leaves open.

    Raises:
        SettingError: A line of it cannot be read, or one of Dagster's commands has overwritten a variable that was set
            when it started.
    """
    path = Path.cwd() / ".env"
    _check_lines(path)
    os.environ.update(json.loads(os.environ.get(_KEPT, "{}")))
    for name, value in dotenv_values(path).items():
        if os.environ.get(name) == value and any(given.get(name, value) != value for given in _environments()):
            raise SettingError(
                f"{name} is set in the environment, and Dagster has loaded another value from .env over it",
                location=str(path),
                remedy="remove it from one of the two, or start with `taxi-assets dev`, where the environment wins",
            )
    load_dotenv(path)


def _check_lines(path: Path) -> None:
    """Refuse a file with a line that python-dotenv would skip, with a warning or, if it has no `=`, without one.

    Raises:
        SettingError: There is one; it is not quoted, because it may hold a secret.
    """
    if not path.is_file():
        return
    try:
        with path.open(encoding="utf-8") as file:
            bindings = parse_stream(file)
            wrong = next((b.original for b in bindings if b.error or (b.key and b.value is None)), None)
    except UnicodeDecodeError:
        raise SettingError(".env is not text in UTF-8", location=str(path), remedy="save it in UTF-8") from None
    if wrong:
        blank = len(wrong.string) - len(wrong.string.lstrip())
        line = wrong.line + wrong.string.count("\n", 0, blank)
        raise SettingError(
            f"line {line} of .env cannot be read",
            location=str(path),
            remedy="write it as NAME=value; close every quote, and put a value of several lines in single quotes",
        )


def keep_environment() -> None:
    """Keep the variables that Dagster's command, which this process is about to become, will overwrite.

    Raises:
        SettingError: It would overwrite one of Dagster's own, which it reads before it can be put back.
    """
    path = Path.cwd() / ".env"
    differing = {
        name: os.environ[name] for name, value in dotenv_values(path).items() if os.environ.get(name, value) != value
    }
    for name in differing:
        if name.startswith("DAGSTER_"):
            raise SettingError(
                f"{name} is set in the environment, and .env has another value, which Dagster would use",
                location=str(path),
                remedy="remove it from one of the two",
            )
    if differing:
        os.environ[_KEPT] = json.dumps(differing)


def _environments() -> Iterator[dict[str, str]]:
    """Yield the environments with which this process, and those of Dagster's that started it, began."""
    process = psutil.Process()
    for each in (process, *process.parents()):
        with contextlib.suppress(psutil.Error):  # another user's, or gone
            if each == process or any("dagster" in word or word.endswith("/dg") for word in each.cmdline()):
                yield each.environ()
