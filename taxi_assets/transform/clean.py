"""Clean a month: from the file as published to Parquet in the contract's names and types.

Every source row is cleaned, dropped by a rule, or rejected; the ledger of the three must add up. Rejected rows go
whole, with line number and reason, to a Parquet file of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import PermanentError
from taxi_assets.records import CleanedFile, RawFile
from taxi_assets.storage.base import Staging
from taxi_assets.storage.files import sha256_of
from taxi_assets.transform import parquet_writer, values
from taxi_assets.transform.cleaner import Cleaner
from taxi_assets.transform.header import check_drift
from taxi_assets.transform.quality import source_doubts
from taxi_assets.transform.rules import CleaningRules


def transform_version(dataset: Dataset, rules: CleaningRules) -> str:
    """Return 12 hexadecimal digits that change with the contract, the parser, the file layout and the rules."""
    parts = [dataset.fingerprint, values.PARSER_VERSION, parquet_writer.FILE_LAYOUT, repr(rules)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def clean_month(
    dataset: Dataset,
    raw: RawFile,
    staging: Staging,
    *,
    rules: CleaningRules | None = None,
    accepted_drift: Collection[str] = (),
) -> tuple[CleanedFile, bool]:
    """Clean a raw month into the staging area, unless this version of the transform cleaned the same file before.

    Args:
        dataset: The contract.
        raw: The month as published.
        staging: Where it is, and where the cleaned month goes.
        rules: What to fill and drop; by default nothing.
        accepted_drift: Names of absent or unknown columns that somebody has looked at, see `check_drift`.

    Returns:
        The month's record, and whether it is new.

    Raises:
        PermanentError: The file is damaged or another month's, its header is not one of the dataset's or has a renamed
            column, or the ledger does not add up.
    """
    rules = rules or CleaningRules()
    version = transform_version(dataset, rules)
    wanted = raw.sha256, version, source_doubts(raw)
    known = staging.find(CleanedFile, "cleaned", dataset.name, raw.month)
    is_same = known and (known.source_sha256, known.transform_version, known.source_doubts) == wanted
    if known and is_same and staging.intact(known):
        return known, False
    location = f"{dataset.name} {raw.month}, {raw.source_url}"
    metadata = {"dataset": dataset.name, "month": str(raw.month), "source_sha256": raw.sha256, "recipe": version}
    with (
        staging.temporary(f"{dataset.name}-{raw.month}.parquet") as cleaned,
        staging.temporary(f"{dataset.name}-{raw.month}.rejects.parquet") as rejects,
    ):
        with _damage_is_permanent(location):
            cleaner = Cleaner(dataset, raw, staging.path(raw.file), rules, location)
            cleaner.write(cleaned, rejects, metadata)
        _check_ledger(cleaner, raw, location)
        cleaner.days.check(location)
        accepted = check_drift(dataset, cleaner.mapping.absent, cleaner.unknown_columns, accepted_drift, location)
        record = _record(dataset, raw, cleaner, cleaned, version, accepted)
        pa.default_memory_pool().release_unused()  # 100 MiB, which DuckDB needs then; jemalloc does it by itself
        files = {record.file: cleaned} | ({record.rejects_file: rejects} if cleaner.rejected else {})
        staging.commit("cleaned", record, files)
    return record, True


def _record(
    dataset: Dataset, raw: RawFile, cleaner: Cleaner, path: Path, version: str, accepted: tuple[str, ...]
) -> CleanedFile:
    sha256 = sha256_of(path)
    stem = f"cleaned/{dataset.name}/{dataset.file_stem(raw.month)}.{sha256[:8]}"
    return CleanedFile(
        dataset=dataset.name,
        month=raw.month,
        file=f"{stem}.parquet",
        bytes=path.stat().st_size,
        sha256=sha256,
        source_url=raw.source_url,
        source_format=raw.format,
        source_sha256=raw.sha256,
        source_rows=raw.source_rows,
        cleaned_rows=cleaner.cleaned,
        dropped_rows=cleaner.dropped,
        rejected_rows=cleaner.rejected,
        transform_version=version,
        filled_passengers=cleaner.filled,
        reject_reasons=cleaner.rejects.top_reasons(),
        rejects_file=f"{stem}.rejects.parquet" if cleaner.rejected else "",
        unknown_columns=cleaner.unknown_columns,
        absent_columns=cleaner.mapping.absent,
        accepted_drift=accepted,
        read_as=tuple(f"{column}: {note}" for column, note in cleaner.read_as.items()),
        source_doubts=source_doubts(raw),
        anomalies=dict(cleaner.anomalies.counts),
        trips_per_day=cleaner.days.counts,
    )


def _check_ledger(cleaner: Cleaner, raw: RawFile, location: str) -> None:
    if cleaner.cleaned + cleaner.dropped + cleaner.rejected != raw.source_rows:
        raise PermanentError(
            f"the ledger does not add up: {raw.source_rows} source rows, but {cleaner.cleaned} cleaned, "
            f"{cleaner.dropped} dropped and {cleaner.rejected} rejected",
            location=location,
            remedy="this is a bug in taxi_assets; please report it with the file",
        )


@contextmanager
def _damage_is_permanent(location: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno:  # the machine's fault: a damaged file raises without errno
            raise
        raise PermanentError(
            f"the raw file cannot be read: {str(error).splitlines()[0]}",
            location=location,
            remedy="fetch the month again; if the error stays, TLC's file is damaged",
        ) from error
