"""The documents as the tests read them: pages, and the commands and names in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_SHELLS = ("sh", "bash", "shell", "console")


def prose_of(page: Path) -> str:
    """Returns a page without its code blocks."""
    return _BLOCK.sub("", page.read_text("utf-8"))


def quoted_in(page: Path) -> list[str]:
    """Returns what a page's sentences have in backticks."""
    return re.findall(r"`([^`\n]+)`", prose_of(page))


def commands_in(page: Path) -> Iterator[list[str]]:
    """Yields the arguments of each command in a page's shell blocks, without settings before it."""
    for language, block in _BLOCK.findall(page.read_text("utf-8")):
        for words in _lines_of(block) if language in _SHELLS else ():
            arguments: list[str] = []
            for before, word in zip([";", *words], [*words, ";"], strict=True):
                if before in ("<", ">"):  # a file, not a word of the command
                    continue
                if not set(word) <= set("();<>|&"):
                    arguments += [word] if arguments or not re.match(r"[A-Z_]+=", word) else []
                elif arguments:
                    yield arguments
                    arguments = []


def _lines_of(block: str) -> Iterator[list[str]]:
    """Yields the words of each line of a shell script; a quoted text may have several lines."""
    text = ""
    for line in block.replace("\\\n", " ").splitlines():
        text += line.removeprefix("$ ") + "\n"
        lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # the quotation goes on
            continue
        text = ""
        yield words


NEED_MORE = (["run"], ["launch"], ["instance", "concurrency", "set"])
"""Commands that a sentence may name without what they are given."""


def every_command() -> list[tuple[str, list[str]]]:
    """Returns the program and the arguments of every command in a shell block or a sentence."""
    found = [arguments for page in PAGES for arguments in commands_in(page)]
    for page in PAGES:
        spoken = re.findall(
            r"`((?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(?:taxi-assets|make|dg|dagster) [^`…]+)`", page.read_text("utf-8")
        )
        said = [[word for word in shlex.split(text) if not re.match(r"(?:TAXI|DAGSTER)_\w+=", word)] for text in spoken]
        found += [[*arguments, "--help"] if arguments[1:] in NEED_MORE else arguments for arguments in said]
    return [(Path(arguments[0]).name, arguments[1:]) for arguments in found if "..." not in arguments]
