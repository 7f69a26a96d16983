"""HTTP: ask for a file, and sort what can go wrong into the project's failure classes."""

from __future__ import annotations

import contextlib
import email.utils
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from taxi_assets import progress
from taxi_assets.errors import NotPublishedError, PermanentError, TransientError
from taxi_assets.source.guard import ConnectionGuard
from taxi_assets.source.inspection import is_html

BLOCK_BYTES = 1 << 18
_START_BYTES = 1 << 13
"""Bytes of the first block, which a probe reads; a small one, because a slow source takes long to send it."""

_ERROR_BODY_BYTES = 1 << 14
_ABSENT_CODE = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<Error\b.*?<Code>(AccessDenied|NoSuchKey)</Code>", re.DOTALL)
"""How S3 and GCS say that a file is absent: `NoSuchKey`, or `AccessDenied` if the bucket may not be listed (TLC's)."""

_BUSY = {408, 425, 429, 500, 502, 503, 504}
_ABSENT = {404, 410}
_LATER = "a later run asks again"


@dataclass(frozen=True)
class Answer:
    """What a source says about a file, and its body.

    Attributes:
        unchanged: The file is the one that the request named by its validators; there is no body.
        etag: `ETag`, empty if the source sent none.
        last_modified: `Last-Modified`, empty if the source sent none.
        size: Bytes of the body, 0 if unknown.
        blocks: The body.
    """

    unchanged: bool
    etag: str
    last_modified: str
    size: int
    blocks: Iterator[bytes]


class BlockedError(TransientError):
    """The source sent a block or maintenance page: TLC's does so to a machine that asks too often, for some minutes."""

    waits = (30.0, 90.0, 270.0)
    default_remedy = "the source blocks this machine or is under maintenance; open the address in a browser"


@contextlib.contextmanager
def open_http(
    url: str, etag: str, last_modified: str, timeout: tuple[float, float], guard: ConnectionGuard
) -> Iterator[Answer]:
    """Ask for a file; its body can be read until the context ends.

    Args:
        url: The address.
        etag: `ETag` of the file at hand, if any.
        last_modified: `Last-Modified` of the file at hand, if any; sent only without `etag`.
        timeout: Seconds to wait for a connection, and for the next bytes.
        guard: Guards the connections.

    Raises:
        NotPublishedError: The file does not exist.
        BlockedError: The source sent a block page in its place.
        PermanentError: The source refuses, or the address is wrong.
        TransientError: The source is busy, or the connection broke.
    """
    headers = {"Accept-Encoding": "identity", "User-Agent": "taxi_assets"}
    if etag:
        headers["If-None-Match"] = etag
    elif last_modified:
        headers["If-Modified-Since"] = last_modified
    with _map_connection_errors(), guard.session(url) as session, contextlib.ExitStack() as stack:
        with progress.waiting_for(f"{urlsplit(url).hostname} to answer"):
            response = stack.enter_context(session.get(url, headers=headers, stream=True, timeout=timeout))
        _raise_for_status(response)
        yield Answer(
            unchanged=response.status_code == HTTPStatus.NOT_MODIFIED,
            etag=response.headers.get("ETag", ""),
            last_modified=response.headers.get("Last-Modified", ""),
            size=_parse_whole(response.headers.get("Content-Length", "")),
            blocks=_read_body(response.raw),
        )


def _read_body(raw: Any) -> Iterator[bytes]:
    # raw, because requests would unpack a .csv.gz sent with Content-Encoding: gzip
    with progress.waiting_for("the source to send the file"):
        start = raw.read(_START_BYTES, decode_content=False)
    if is_html(start):
        raise BlockedError("the source answers 200 OK with an HTML page in place of the file")
    yield start
    while block := raw.read(BLOCK_BYTES, decode_content=False):
        yield block


@contextlib.contextmanager
def _map_connection_errors() -> Iterator[None]:
    # `from None` throughout: the causes quote the address, secrets and all, and Dagster keeps causes in its events
    remedy = f"check the network and the address; {_LATER}"
    try:
        yield
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
        raise PermanentError(
            "not an address that can be fetched", remedy="correct TAXI_CSV_URL, TAXI_PARQUET_URL or TAXI_ZONES_URL"
        ) from None
    except requests.exceptions.TooManyRedirects:
        raise PermanentError("the source redirects in a circle", remedy="check the address in a browser") from None
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
        raise TransientError("the source did not answer in time", remedy=remedy) from None
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
        raise TransientError(f"the connection to the source broke: {_reason(error)}", remedy=remedy) from None


def _reason(error: BaseException) -> str:
    """Return the innermost reason of a chain of connection errors, but nothing that the other side sent."""
    while error.__context__ is not None:
        error = error.__context__
    if isinstance(error, (OSError, urllib3.exceptions.IncompleteRead)):
        return str(error) or type(error).__name__
    return type(error).__name__


def _raise_for_status(response: requests.Response) -> None:
    status = response.status_code
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
    text = f"the source answers {status} {phrase}".rstrip()
    if status in _ABSENT:
        raise NotPublishedError(text)
    if status == HTTPStatus.FORBIDDEN:
        code = _ABSENT_CODE.match(response.raw.read(_ERROR_BODY_BYTES, decode_content=False))
        if code is None:
            raise BlockedError(text)
        raise NotPublishedError(f"{text} ({code[1].decode()})")
    if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        error = TransientError(text, remedy=f"the source is busy; {_LATER}")
        error.retry_after = _parse_retry_after(response.headers.get("Retry-After", ""))
        raise error
    if status not in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
        raise PermanentError(text, remedy="check the address in a browser")


def _parse_retry_after(text: str) -> float:
    """Return the seconds of a `Retry-After` header, which holds seconds or a date."""
    if seconds := _parse_whole(text):
        return float(seconds)
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    return 0.0


def _parse_whole(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else 0
