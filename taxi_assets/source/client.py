"""The client: a month's addresses, and how one is fetched without losing a byte.

`Source.fetch` asks once whether the month has changed, streams it through inspection into a temporary file, and commits
it to staging when it is complete. Retries are the caller's: every failure says by its class whether one makes sense.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from urllib.parse import unquote, urlsplit

from taxi_assets.errors import NotPublishedError, PermanentError, TaxiError
from taxi_assets.months import Month
from taxi_assets.records import RawFile, ZonesFile
from taxi_assets.source.addresses import without_secrets
from taxi_assets.source.http import BLOCK_BYTES, Answer, ForbiddenError, open_http
from taxi_assets.source.inspection import Contents, FileInspector
from taxi_assets.source.streams import NotATripFileError
from taxi_assets.storage.staging.local import StagingArea

MAX_BYTES = 16 << 30
"""Bytes after which a body counts as endless. The largest published file has 2.5 GB (fhvhv CSV)."""

LATE_AFTER_MONTHS = 5
"""TLC publishes a month 31 to 64 days after its end (2026), once after 93. Its site answers 403 for files that do not
exist, so a 403 means "not yet" for a younger month and "forbidden" for an older one."""

Progress = Callable[[int, int], None]
"""Called with bytes received and bytes expected (0 if unknown) as a download proceeds."""


@dataclass(frozen=True)
class Source:
    """Where months are published.

    Attributes:
        csv_url: Address of a month's CSV with the fields `{dataset}`, `{year}`, `{month:02}`.
        parquet_url: The same for Parquet.
        prefer: `csv`, `parquet`, or `auto`: CSV, and Parquet where the CSV source has no such month.
        connect_timeout: Seconds to wait for a connection.
        read_timeout: Seconds to wait for the next bytes; a slow connection that delivers is never cut.
    """

    csv_url: str
    parquet_url: str
    prefer: str = "auto"
    connect_timeout: float = 10.0
    read_timeout: float = 60.0

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
        staging: StagingArea,
        *,
        progress: Progress | None = None,
        today: Callable[[], date] = date.today,
    ) -> tuple[RawFile, bool]:
        """Fetch a month into staging, unless it is there unchanged; ask each address once.

        Returns:
            The month's record, and whether its bytes are new.

        Raises:
            NotPublishedError: No address has the month.
            PermanentError: The source refuses, or the file is no trip file.
            TransientError: The source is busy, or the connection broke.
        """
        known = staging.intact(staging.find(RawFile, "raw", dataset, month))
        absent: list[TaxiError] = []
        for url in self.urls(dataset, month):
            with with_location(f"{dataset} {month}, {without_secrets(url)}"):
                try:
                    return self._fetch(url, dataset, month, staging, known, progress)
                except (NotPublishedError, ForbiddenError) as error:
                    absent.append(error)
        raise self.absent(dataset, month, absent, today())

    def absent(self, dataset: str, month: Month, errors: Sequence[TaxiError], today: date) -> TaxiError:
        """Return what it means that no address has a month.

        Args:
            dataset: Name of the dataset.
            month: The month.
            errors: What each address answered, `NotPublishedError` or `ForbiddenError`.
            today: Decides whether a 403 can still mean that the month is not published.
        """
        asked = " and ".join(without_secrets(url) for url in self.urls(dataset, month))
        forbidden = next((error for error in errors if isinstance(error, ForbiddenError)), None)
        if forbidden and month.plus(LATE_AFTER_MONTHS) < Month.of(today):
            return PermanentError(forbidden.message, location=f"{dataset} {month}, {asked}", remedy=forbidden.remedy)
        return NotPublishedError(
            f"{dataset} {month} is not published",
            location=asked,
            remedy="TLC publishes about two months after a month's end; ask again later, or check TAXI_CSV_URL, "
            "TAXI_PARQUET_URL and TAXI_SOURCE",
        )

    def _fetch(
        self,
        url: str,
        dataset: str,
        month: Month,
        staging: StagingArea,
        known: RawFile | None,
        progress: Progress | None,
    ) -> tuple[RawFile, bool]:
        here = known if known and known.source_url == without_secrets(url) else None
        with staging.temporary(f"{dataset}-{month}") as draft:
            with self.open(url, here) as answer:
                if answer.unchanged and known:
                    return known, False
                contents = _download(answer, draft, progress)
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

        Args:
            url: An HTTP or `file://` address.
            known: The file at hand, if any; the answer says whether it has changed.

        Raises:
            NotPublishedError: The file does not exist.
            PermanentError: The source refuses, or the address is wrong.
            TransientError: The source is busy, or the connection broke.
        """
        etag, last_modified = (known.etag, known.last_modified) if known else ("", "")
        timeout = self.connect_timeout, self.read_timeout
        local = urlsplit(url).scheme == "file"
        with _open_file(url, etag) if local else open_http(url, etag, last_modified, timeout) as answer:
            yield answer


def _download(answer: Answer, draft: Path, progress: Progress | None) -> Contents:
    """Write a body to a file and inspect it on the way."""
    inspector = FileInspector()
    with draft.open("wb") as file:
        for block in answer.blocks:
            inspector.feed(block)
            file.write(block)
            if inspector.bytes > MAX_BYTES:
                raise NotATripFileError(f"not a trip file: it does not end after {MAX_BYTES >> 30} GiB")
            if progress:
                progress(inspector.bytes, answer.size)
    return inspector.finish(draft)


@contextlib.contextmanager
def _open_file(url: str, etag: str) -> Iterator[Answer]:
    path = Path(unquote(url.removeprefix("file://")))
    try:
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotPublishedError(f"there is no file {path}") from error
    except IsADirectoryError as error:
        raise PermanentError(f"{path} is a folder, not a file") from error
    except PermissionError as error:
        raise PermanentError(f"{path} may not be read", remedy="give this user the right to read it") from error
    with file:
        stat = os.fstat(file.fileno())
        current = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
        yield Answer(
            unchanged=etag == current,
            etag=current,
            last_modified=datetime.fromtimestamp(stat.st_mtime, timezone.utc).isoformat(),
            size=stat.st_size,
            blocks=iter(lambda: file.read(BLOCK_BYTES), b""),
        )


@contextlib.contextmanager
def with_location(location: str) -> Iterator[None]:
    """Add where a failure happened, unless the error says so itself."""
    try:
        yield
    except TaxiError as error:
        error.location = error.location or location
        raise
