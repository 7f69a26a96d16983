"""How the text of a setting is parsed and checked, as validators of pydantic; each says what the text must be."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationError

MAX_PREFIX_BYTES = 900
"""Bytes of a folder in a bucket: names of objects may have 1,024, and those of months and reports take up to 100."""

MIN_MEMORY_MIB = 350
"""MiB below which a month does not fit: 200 of an idle process and 150 that cleaning takes (measured)."""


def between(low: float, high: float) -> AfterValidator:
    """Accept a number from low to high."""

    def check(number: float) -> float:
        if not low <= number <= high:
            raise ValueError(f"it must be between {low:g} and {high:g}")
        return number

    return AfterValidator(check)


def matching(pattern: str, must: str) -> AfterValidator:
    """Accept text that is empty or matches; `must` says what it has to be."""

    def check(text: str) -> str:
        if text and not re.fullmatch(pattern, text, re.DOTALL):
            raise ValueError(must)
        return text

    return AfterValidator(check)


def parsed(parse: Callable[[str], Any]) -> BeforeValidator:
    """Parse text; leave a value that has its type already."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def web_url(text: str) -> str:
    """Accept text that is empty, or an address of the web or of a file."""
    url = _split(text)
    if url.scheme == "file" and url.netloc:
        raise ValueError("it must have three slashes, as in file:///path/to/file")
    if text and not re.match(r"(?i:https?|file):", text):
        raise ValueError("it must begin with https://, http:// or file://")
    return text


def server_url(text: str) -> str:
    """Accept text that is empty, or an address of the web."""
    _split(text)
    if text and not re.match(r"(?i:https?)://[^/]", text):
        raise ValueError("it must begin with https:// or http://")
    return text


def month_url(text: str) -> str:
    """Accept the address of a month, with fields for dataset, year and month."""
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
        text.format(dataset="yellow", year=2021, month=1)
    except (ValueError, KeyError, IndexError, AttributeError):
        fields = set()
    if fields != {"dataset", "year", "month"}:
        raise ValueError("it must have the fields {dataset}, {year} and {month:02}, and no others")
    return text


def work_url(text: str) -> str:
    """Return an absolute folder or `gs://bucket/folder`."""
    url = _split(text)
    if url.scheme == "gs" and not re.fullmatch(BUCKET, url.netloc):
        raise ValueError(f"after gs:// it must have a bucket's name: {BUCKET_WORDS}")
    if not text or url.scheme == "gs":
        bucket, _, prefix = text.removeprefix("gs://").partition("/")
        return text and f"gs://{bucket}/{object_prefix(prefix)}".rstrip("/")
    path = unquote(url.path) if url.scheme == "file" and not url.netloc else text
    if not Path(path).is_absolute():
        raise ValueError("it must be an absolute folder, as /mnt/work or file:///mnt/work, or gs://bucket/folder")
    return path


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # it quotes the address, which may hold a secret
        raise ValueError("it must be a well-formed address") from None


def smtp_url(text: str) -> str:
    """Accept text that is empty, or the address of a mail server."""
    try:
        _ = _split(text).port
    except ValueError:  # of the port too
        raise ValueError("it must be a well-formed address; in the password write %5B for [") from None
    if text and not re.fullmatch(r"(?i:smtps?)://(.*@)?[^@/:?#]+.*", text, re.DOTALL):
        raise ValueError("it must begin with smtp:// or smtps:// and name a host")
    return text


def object_prefix(text: str) -> str:
    """Return a folder of a bucket, without slashes at its ends; refuse what Cloud Storage or a load job does.

    https://cloud.google.com/storage/docs/objects#naming; in a load job's URI, `*` is a wildcard and `//` one slash.
    """
    prefix = text.strip("/")
    if "://" in prefix:
        raise ValueError("it must be a folder in the bucket, as `lake`, without gs:// and the bucket's name")
    if "//" in prefix or {".", ".."} & set(prefix.split("/")):
        raise ValueError("it must have no empty part, and none of . or .., between its slashes")
    if not prefix.isprintable() or set(prefix) & set("*?[]#"):
        raise ValueError("it must not contain *, ?, [, ], # or control characters, such as line breaks")
    if prefix.startswith(".well-known/acme-challenge"):
        raise ValueError("it must not begin with .well-known/acme-challenge")
    if len(prefix.encode()) > MAX_PREFIX_BYTES:
        raise ValueError(f"it must not be longer than {MAX_PREFIX_BYTES} bytes")
    return prefix


def memory(text: str) -> int:
    """Return MiB of `512MB` or `2GB`."""
    found = re.fullmatch(r"(\d+) ?(M|G)i?B", text, re.IGNORECASE)
    if found is None:
        raise ValueError("it must be a size, as 512MB or 2GB")
    size = int(found[1]) * (1024 if found[2].upper() == "G" else 1)
    if size < MIN_MEMORY_MIB:
        raise ValueError(f"a month needs {MIN_MEMORY_MIB}MB")
    return size


def cron(text: str) -> str:
    """Accept a cron expression of five fields of numbers that comes due some day; Dagster refuses others."""
    from croniter import croniter

    if re.fullmatch(r"[\d*/,-]+( +[\d*/,-]+){4}", text) is None:
        raise ValueError("it must be five fields of numbers, as in `0 5 3 * *`")
    try:
        croniter(text).get_next()
    except ValueError as error:
        raise ValueError(f"it never comes due: {error}") from error
    return text


def names(text: str) -> tuple[str, ...]:
    """Return names that are separated by commas."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def folder(path: Path) -> Path:
    """Return an absolute folder."""
    try:
        # absolute, because the webserver, the daemon and a shell may each work in a folder of their own
        return path.expanduser().absolute()
    except RuntimeError as error:  # ~somebody, who is not known
        raise ValueError(str(error)) from error


def without_secrets(url: str) -> str:
    """Return an address without user, password and query; it may be malformed, so nothing if in doubt."""
    scheme, separator, rest = url.rpartition("://")
    head = rest.replace("#", "?").partition("?")[0]
    return "" if "@" in rest[len(head) :] else f"{scheme}{separator}{head.rpartition('@')[2]}"


def reason(error: ValidationError) -> str:
    """Return what the first wrong text must be, without the text."""
    first = error.errors()[0]
    context = first.get("ctx", {})
    if first["type"] == "literal_error":
        return "it must be one of " + ", ".join(re.findall(r"'(.*?)'", context["expected"]))
    if "error" in context:
        return str(context["error"])
    kinds = {"int": "it must be a whole number", "float": "it must be a number", "bool": "it must be true or false"}
    return kinds.get(first["type"].partition("_")[0], first["msg"])


BUCKET = r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"
URL = AfterValidator(web_url)
SERVER = AfterValidator(server_url)
SMTP = AfterValidator(smtp_url)
POSTGRES = matching(
    r"(?i:postgresql|postgres)://[^@?]*(@[^@?]*)?(\?.*)?",
    "it must be written as postgresql://user:password@host:5432/database; in the password %40 for @, %2F for /",
)
NAME = matching(
    r"[A-Za-z_][A-Za-z0-9_]*", "it must consist of letters, digits and underscores, and not begin with a digit"
)
CRON = AfterValidator(cron)
PROJECT = matching(
    r"[a-z][a-z0-9-]{4,28}[a-z0-9]|[a-z0-9.-]+:[a-z](?:[a-z0-9-]{,28}[a-z0-9])?",
    "it must be a project's ID, as my-project-123, not its name or number",
)
LOCATION = matching(r"(?i:us|eu)|[a-z]+-[a-z]+\d+", "it must be a location of BigQuery, as EU or europe-west1")
BUCKET_WORDS = "three or more lower-case letters, digits, hyphens, dots or _"
BUCKET_NAME = matching(BUCKET, f"it must be a bucket's name without gs://: {BUCKET_WORDS}")
