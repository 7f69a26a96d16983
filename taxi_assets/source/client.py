"""Where months come from: TLC's site, the public CSV mirror, a folder; and how one is fetched without losing a byte.

A fetch asks whether the month has changed, streams it through the door to a temporary file, and puts it on the raw
shelf when it is whole. Trying again after a busy or broken link happens here; sorting failures too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import functools
import ipaddress
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3

from taxi_assets.errors import NotPublishedError, PermanentError, TaxiError, TransientError
from taxi_assets.months import Month
from taxi_assets.records import RawFile, ZonesFile
from taxi_assets.source.inspection import FileInspector, NotATripFileError
from taxi_assets.storage.base import Staging

_CHUNK = 1 << 18
MAX_BYTES = 16 << 30
"""Bytes after which a body counts as endless. The largest published file has 2.5 GB (fhvhv CSV)."""

LATE_AFTER_MONTHS = 5
"""TLC publishes a month 47-62 days after its end, once after 93. Its site answers 403 for files that do not exist, so a
403 for a younger month means `not yet`, for an older one `forbidden`."""

_BUSY = {408, 425, 429, 500, 502, 503, 504}
_ABSENT = {404, 410}

Progress = Callable[[int, int], None]
"""Called with bytes received and bytes expected (0 if unknown) as a download proceeds."""


@dataclass(frozen=True)
class Answer:
    """What a source says of a file before its body: validators, size, and whether it has changed."""

    unchanged: bool
    etag: str
    last_modified: str
    size: int
    blocks: Iterator[bytes]


@dataclass(frozen=True)
class Source:
    """Templates of addresses, and how patiently they are asked.

    Attributes:
        csv_url: Address of a month's CSV with the fields `{dataset}`, `{year}`, `{month:02}`.
        parquet_url: The same for Parquet.
        prefer: `csv`, `parquet`, or `auto`: CSV, and Parquet where the CSV source has no such month.
        connect_timeout: Seconds to wait for a connection.
        read_timeout: Seconds to wait for the next bytes; a slow link that delivers is never cut.
        attempts: How often a busy or broken link is tried.
        first_wait: Seconds before the second attempt; doubled each time, with jitter.
    """

    csv_url: str
    parquet_url: str
    prefer: str = "auto"
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    attempts: int = 5
    first_wait: float = 1.0

    def urls(self, dataset: str, month: Month) -> list[str]:
        """Return the addresses to ask for a month, in order."""
        templates = {"csv": [self.csv_url], "parquet": [self.parquet_url], "auto": [self.csv_url, self.parquet_url]}
        return [
            template.format(dataset=dataset, year=month.year, month=month.month) for template in templates[self.prefer]
        ]

    def fetch(
        self,
        dataset: str,
        month: Month,
        staging: Staging,
        *,
        progress: Progress | None = None,
        today: Callable[[], date] = date.today,
    ) -> tuple[RawFile, bool]:
        """Put a month on the raw shelf, unless it lies there unchanged.

        Returns:
            The month's papers, and whether they are new.

        Raises:
            NotPublishedError: No address has the month.
            PermanentError: Forbidden, or not a trip file.
            TransientError: Every attempt met a busy or broken link.
        """
        known = staging.intact(staging.find(RawFile, "raw", dataset, month))
        location = f"{dataset} {month}"
        absent: list[TaxiError] = []
        for url in self.urls(dataset, month):
            with with_location(f"{location}, {without_secrets(url)}"):
                try:
                    return self._fetch_once(url, dataset, month, staging, known, progress)
                except (NotPublishedError, ForbiddenError) as error:
                    absent.append(error)
        raise self.absent(dataset, month, absent, today())

    def absent(self, dataset: str, month: Month, said: Sequence[TaxiError], today: date) -> TaxiError:
        """Return what it means that no address has a month.

        Args:
            dataset: Name of the dataset.
            month: The month.
            said: What each address said, `NotPublishedError` or `ForbiddenError`.
            today: Decides whether a 403 can still mean that the month is not published.
        """
        asked = " and ".join(without_secrets(url) for url in self.urls(dataset, month))
        forbidden = next((error for error in said if isinstance(error, ForbiddenError)), None)
        if forbidden and month.plus(LATE_AFTER_MONTHS) < Month.of(today):
            return PermanentError(forbidden.message, location=f"{dataset} {month}, {asked}", remedy=forbidden.remedy)
        return NotPublishedError(
            f"{dataset} {month} is not published",
            location=asked,
            remedy="TLC publishes about two months after a month's end; ask again later, or check TAXI_CSV_URL, "
            "TAXI_PARQUET_URL and TAXI_SOURCE",
        )

    def _fetch_once(
        self,
        url: str,
        dataset: str,
        month: Month,
        staging: Staging,
        known: RawFile | None,
        progress: Progress | None,
    ) -> tuple[RawFile, bool]:
        known_here = known if known and known.source_url == without_secrets(url) else None
        with self.open(url, known_here) as answer:
            if answer.unchanged and known:
                return known, False
            inspector = FileInspector()
            with staging.temporary(f"{dataset}-{month}") as draft:
                with draft.open("wb") as file:
                    for block in answer.blocks:
                        inspector.feed(block)
                        file.write(block)
                        if inspector.bytes > MAX_BYTES:
                            raise NotATripFileError(f"not a trip file: it does not end after {MAX_BYTES >> 30} GiB")
                        if progress:
                            progress(inspector.bytes, answer.size)
                contents = inspector.finish(draft)
                suffix = ".gz" if contents.compression == "gzip" else ""
                name = f"{dataset}_tripdata_{month}.{contents.sha256[:8]}.{contents.format}{suffix}"
                record = RawFile(
                    dataset=dataset,
                    month=month,
                    file=f"raw/{dataset}/{name}",
                    source_url=without_secrets(url),
                    etag=answer.etag,
                    last_modified=answer.last_modified,
                    **dataclasses.asdict(contents),
                )
                if record != known:
                    staging.commit("raw", record, {record.file: draft})
                return record, known is None or known.sha256 != record.sha256

    @contextlib.contextmanager
    def open(self, url: str, known: RawFile | ZonesFile | None = None) -> Iterator[Answer]:
        """Ask for a file; its body can be read until the context ends.

        Raises:
            NotPublishedError: It does not exist.
            PermanentError: It may not be had.
            TransientError: The link is busy or broken.
        """
        if urlsplit(url).scheme == "file":
            with self._open_file(url, known) as answer:
                yield answer
            return
        headers = {"Accept-Encoding": "identity", "User-Agent": "taxi_assets"}
        if known and known.etag:
            headers["If-None-Match"] = known.etag
        elif known and known.last_modified:
            headers["If-Modified-Since"] = known.last_modified
        with (
            _broken_links_are_transient(),
            requests.get(
                url,
                headers=headers,
                stream=True,
                timeout=(self.connect_timeout, self.read_timeout),
                hooks={"response": functools.partial(_refuse_inner_redirect, url)},
            ) as response,
        ):
            _raise_for_status(response)
            yield Answer(
                unchanged=response.status_code == requests.codes.not_modified,
                etag=response.headers.get("ETag", ""),
                last_modified=response.headers.get("Last-Modified", ""),
                size=_whole(response.headers.get("Content-Length", "")),
                # raw, because requests would unpack a .csv.gz sent with Content-Encoding: gzip
                blocks=response.raw.stream(_CHUNK, decode_content=False),
            )

    @contextlib.contextmanager
    def _open_file(self, url: str, known: RawFile | ZonesFile | None) -> Iterator[Answer]:
        path = Path(unquote(url.removeprefix("file://")))
        try:
            with path.open("rb") as file:
                stat = os.fstat(file.fileno())
                etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
                yield Answer(
                    unchanged=known is not None and known.etag == etag,
                    etag=etag,
                    last_modified=datetime.fromtimestamp(stat.st_mtime, timezone.utc).isoformat(),
                    size=stat.st_size,
                    blocks=iter(lambda: file.read(_CHUNK), b""),
                )
        except (FileNotFoundError, NotADirectoryError) as error:
            if error.filename != str(path):
                raise
            raise NotPublishedError(f"there is no file {path}") from error
        except IsADirectoryError as error:
            raise PermanentError(f"{path} is a folder, not a file") from error
        except PermissionError as error:
            if error.filename != str(path):
                raise
            raise PermanentError(f"{path} may not be read", remedy="give this user the right to read it") from error


class ForbiddenError(PermanentError):
    """The source answers 403: forbidden or, from TLC's own site, not there."""


@contextlib.contextmanager
def with_location(location: str) -> Iterator[None]:
    """Say where a failure happened, if it does not say so itself."""
    try:
        yield
    except TaxiError as error:
        error.location = error.location or location
        raise


@contextlib.contextmanager
def _broken_links_are_transient() -> Iterator[None]:
    remedy = "check the network and the address; the month is asked for again at the next run"
    try:
        yield
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
        # without the cause, which quotes the address, secrets and all
        raise PermanentError(
            "not an address that can be fetched", remedy="correct TAXI_CSV_URL, TAXI_PARQUET_URL or TAXI_ZONES_URL"
        ) from None
    except requests.exceptions.TooManyRedirects as error:
        raise PermanentError("the source redirects in a circle", remedy="check the address in a browser") from error
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise TransientError("the source does not answer in time", remedy=remedy) from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
        raise TransientError(f"the link to the source broke: {_cause(error)}", remedy=remedy) from error


def _cause(error: BaseException) -> str:
    """Return the innermost reason of a chain of connection errors, which outer ones bury in addresses."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def _raise_for_status(response: requests.Response) -> None:
    status = response.status_code
    said = f"the source answers {status} {response.reason or ''}".rstrip()
    if status in _ABSENT:
        raise NotPublishedError(said)
    if status == requests.codes.forbidden:
        raise ForbiddenError(f"{said}: forbidden", remedy="check the address, and whether this machine may read it")
    if status in _BUSY or status >= requests.codes.server_error:
        error = TransientError(said, remedy="the source is busy; the month is asked for again at the next run")
        error.retry_after = _seconds(response.headers.get("Retry-After", ""))
        raise error
    if status not in (requests.codes.ok, requests.codes.not_modified):
        raise PermanentError(said, remedy="check the address in a browser")


def _refuse_inner_redirect(asked: str, response: requests.Response, **_: object) -> None:
    """Keep a source on the internet from having this machine ask another one behind its firewall.

    Args:
        asked: The address in the settings; one that is behind the firewall itself may lead where it likes.
        response: What came; a redirect or not.

    Raises:
        PermanentError: It leads to a private, local or otherwise not public address, or to no web address at all.
    """
    if not response.is_redirect:
        return
    remedy = "check the address in a browser; if it is right, put the one that it leads to into the settings"
    try:
        to = urljoin(response.url, response.headers["Location"])
        outside = urlsplit(to).scheme in ("http", "https") and (_is_inner(asked) or not _is_inner(to))
    except ValueError:
        raise PermanentError("the source redirects to an address that is none", remedy=remedy) from None
    if not outside:
        raise PermanentError(
            f"the source redirects to {without_secrets(to)}, which is not on the internet", remedy=remedy
        )


def _is_inner(url: str) -> bool:
    """Return whether any address of a URL's host is not a public one; a name that only a proxy can resolve is not."""
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(OSError, UnicodeError):
        found = {str(address[0]).partition("%")[0] for *_, address in socket.getaddrinfo(host, None)}
        return not all(ipaddress.ip_address(address).is_global for address in found)
    return False


def _seconds(retry_after: str) -> float:
    """Read a `Retry-After` header: seconds, or a date."""
    if seconds := _whole(retry_after):
        return float(seconds)
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    return 0.0


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def without_secrets(url: str) -> str:
    """Return an address without user, password and query, which may hold a token."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
