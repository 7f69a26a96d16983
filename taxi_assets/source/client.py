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

from taxi_assets.contracts import DATASETS
from taxi_assets.errors import NotPublishedError, PermanentError, TaxiError
from taxi_assets.months import Month
from taxi_assets.records import RawFile, ZonesFile
from taxi_assets.replacement import check_replacement, is_usual
from taxi_assets.source.addresses import is_local, local_path, without_secrets
from taxi_assets.source.guard import ConnectionGuard
from taxi_assets.source.http import BLOCK_BYTES, Answer, open_http
from taxi_assets.source.inspection import FileInspector
from taxi_assets.source.streams import NotATripFileError
from taxi_assets.source.validators import carry_over
from taxi_assets.storage.base import Staging

LATE_AFTER_MONTHS = 5
"""Months after which an absent month is an error and no longer "not published yet". TLC published 31 to 64 days after a
month's end in 2026, once after 93."""

Progress = Callable[[int, int], None]
"""Called with bytes received and bytes expected (0 if unknown) as a download proceeds."""


@dataclass(frozen=True)
class Source:
    """Where months are published.

    Attributes:
        csv_url: Address of a month's CSV with the fields `{dataset}`, `{year}`, `{month:02}`.
        parquet_url: The same for Parquet.
        prefer: `csv`, `parquet`, or `auto`: the dataset's preferred format, and the other where that is absent.
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
        templates = {"csv": self.csv_url, "parquet": self.parquet_url}
        formats = [self.prefer]
        if self.prefer == "auto":
            formats = sorted(templates, key=lambda name: name != DATASETS[dataset].preferred_format)
        return [templates[name].format(dataset=dataset, year=month.year, month=month.month) for name in formats]

    def fetch(
        self,
        dataset: str,
        month: Month,
        staging: Staging,
        *,
        landed_rows: int = 0,
        accept_row_count: bool = False,
        progress: Progress | None = None,
        today: Callable[[], date] = date.today,
    ) -> tuple[RawFile, bool]:
        """Fetch a month into staging, unless it is there unchanged; ask each address once.

        Args:
            dataset: Name of the dataset.
            month: The month.
            staging: Where it goes.
            landed_rows: Rows of the month in the lake.
            accept_row_count: Whether the file may have under half of these, or of earlier ones.
            progress: Called as the download proceeds.
            today: Decides whether the month is old.

        Returns:
            The month's record, and whether its bytes are new.

        Raises:
            NotPublishedError: No address has the month, which is recent.
            PermanentError: No address has the month, which is old; the source refuses; the file is no trip file; or
                it has too few rows, see `check_replacement`.
            TransientError: The source is busy, or the connection broke.
        """
        before = staging.find(RawFile, "raw", dataset, month)
        known = staging.intact(before)
        absent: list[NotPublishedError] = []
        for url in self.urls(dataset, month):
            location = f"{dataset} {month}, {without_secrets(url)}"
            with with_location(location), staging.temporary(f"{dataset}-{month}") as draft:
                try:
                    here = None if accept_row_count else known  # what is accepted is committed again, with its file
                    record = self._download(url, dataset, month, here, draft, progress)
                except NotPublishedError as error:
                    absent.append(error)
                    continue
                if before and before.sha256 == record.sha256:
                    record = carry_over(before, record)
                else:
                    most = max(landed_rows, (before and before.most_rows) or 0)
                    check_replacement(record, most, accepted=accept_row_count)
                    if before and before.most_rows and not is_usual(before.source_rows, before.most_rows):
                        most = before.most_rows  # the next file is not doubted because of one that nobody has accepted
                    record = dataclasses.replace(record, most_rows=most or None)
                if accept_row_count:
                    record = dataclasses.replace(record, most_rows=None)
                if record != known:
                    staging.commit("raw", record, {record.file: draft})
                return record, known is None or known.sha256 != record.sha256
        raise self.absent(dataset, month, absent, today())

    def absent(self, dataset: str, month: Month, answers: Sequence[NotPublishedError], today: date) -> TaxiError:
        """Return what it means that no address has a month: not published yet or, for an old month, an error.

        Args:
            dataset: Name of the dataset.
            month: The month.
            answers: What each address answered.
            today: Decides whether the month is old.
        """
        location = " and ".join(without_secrets(url) for url in self.urls(dataset, month))
        settings = "check TAXI_CSV_URL, TAXI_PARQUET_URL and TAXI_SOURCE"
        missing = self.missing_folders()
        if len(missing) == len(answers):
            found = ", ".join(f"{folder} ({name})" for name, folder in missing.items())
            return PermanentError(f"there is no such folder: {found}", location=location, remedy=settings)
        if month.plus(LATE_AFTER_MONTHS) < Month.of(today):
            reasons = "; ".join(dict.fromkeys(answer.message for answer in answers))
            return PermanentError(
                f"{dataset} {month} is absent from the source, although TLC must have published it: {reasons}",
                location=location,
                remedy=f"{settings}, and whether this machine may read there",
            )
        return NotPublishedError(
            f"{dataset} {month} is not published",
            location=location,
            remedy=f"TLC publishes a month one to two months after its end; ask again later, or {settings}",
        )

    def missing_folders(self) -> dict[str, Path]:
        """Return the folders on this machine that are asked and do not exist, by the setting that names them."""
        templates = {"csv": self.csv_url, "parquet": self.parquet_url}
        asked = {name: url.partition("{")[0] for name, url in templates.items() if self.prefer in (name, "auto")}
        folders = {name: local_path(start.rpartition("/")[0]) for name, start in asked.items() if is_local(start)}
        return {f"TAXI_{name.upper()}_URL": folder for name, folder in folders.items() if not folder.is_dir()}

    def _download(
        self,
        url: str,
        dataset: str,
        month: Month,
        known: RawFile | None,
        draft: Path,
        progress: Progress | None,
    ) -> RawFile:
        """Download a month to a file and inspect it on the way; return `known` if it has not changed."""
        here = known if known and known.source_url == without_secrets(url) else None
        inspector = FileInspector()
        try:
            with self.open(url, here) as answer, draft.open("wb") as file:
                if here and answer.unchanged:
                    return here
                for block in answer.blocks:
                    inspector.feed(block)
                    file.write(block)
                    if progress:
                        progress(inspector.bytes, answer.size)
            contents = inspector.finish(draft)
        except NotATripFileError as error:
            if is_local(url) and error.remedy == NotATripFileError.default_remedy:
                error.remedy = "replace the file with the one that TLC published"
            raise
        suffix = ".gz" if contents.compression == "gzip" else ""
        name = f"{dataset}_tripdata_{month}.{contents.sha256[:8]}.{contents.format}{suffix}"
        return RawFile(
            dataset=dataset,
            month=month,
            file=f"raw/{dataset}/{name}",
            source_url=without_secrets(url),
            etag=answer.etag,
            last_modified=answer.last_modified,
            **dataclasses.asdict(contents),
        )

    @contextlib.contextmanager
    def open(
        self, url: str, known: RawFile | ZonesFile | None = None, guard: ConnectionGuard | None = None
    ) -> Iterator[Answer]:
        """Ask for a file; its body can be read until the context ends.

        Args:
            url: An HTTP or `file://` address.
            known: The file at hand, if any; the answer says whether it has changed.
            guard: Lets another thread end the request.

        Raises:
            NotPublishedError: The file does not exist.
            PermanentError: The source refuses, or the address is wrong.
            TransientError: The source is busy, or the connection broke.
        """
        etag, last_modified = (known.etag, known.last_modified) if known else ("", "")
        if is_local(url):
            opened = _open_file(url, etag)
        else:
            timeout = self.connect_timeout, self.read_timeout
            opened = open_http(url, etag, last_modified, timeout, guard or ConnectionGuard())
        with opened as answer:
            yield answer


@contextlib.contextmanager
def _open_file(url: str, etag: str) -> Iterator[Answer]:
    path = local_path(url)
    try:
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotPublishedError(f"there is no file {path}") from error
    except IsADirectoryError as error:
        raise PermanentError(f"{path} is a folder, not a file", remedy="give the address of the file") from error
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
