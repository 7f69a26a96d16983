"""The documents as the tests read them: pages, and the commands and names in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def prose_of(page: Path) -> str:
    """Returns a page without its code blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def quoted_in(page: Path) -> list[str]:
    """Returns what a page's sentences have in backticks."""
    return re.findall(r"`([^`\n]+)`", prose_of(page))


def commands_in(page: Path) -> Iterator[list[str]]:
    """Yields the arguments of each command in a page's shell blocks, without settings before it."""
    for block in re.findall(
        r"^```(?:sh|bash|shell|console)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    ):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            arguments: list[str] = []
            for word in [*lexer, ";"]:
                if not set(word) <= set("();<>|&"):
                    arguments += [word] if arguments or not re.match(r"[A-Z_]+=", word) else []
                elif arguments:
                    yield arguments
                    arguments = []


def every_command() -> list[tuple[str, list[str]]]:
    """Returns the program and the arguments of every command, and of `taxi-assets`' and make's within sentences."""
    found = [arguments for page in PAGES for arguments in commands_in(page)]
    for page in PAGES:
        spoken = re.findall(
            r"`((?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(?:taxi-assets|make) [^`…]+)`", page.read_text("utf-8")
        )
        said = [[word for word in shlex.split(text) if not re.match(r"(?:TAXI|DAGSTER)_\w+=", word)] for text in spoken]
        found += [[*arguments, "--help"] if arguments[1:] == ["run"] else arguments for arguments in said]
    return [(Path(arguments[0]).name, arguments[1:]) for arguments in found if "..." not in arguments]
