"""The taxi zone lookup: fetched if it changed, read whatever its quotes and line ends, refused if zones are missing.

It is reference data of a few kilobytes, so it is read as a whole, and all of it counts or none.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_assets.contracts.model import fold
from taxi_assets.contracts.schemas import arrow_schema
from taxi_assets.contracts.zones import ZONE_COLUMNS, ZONES
from taxi_assets.errors import NotPublishedError, PermanentError
from taxi_assets.records import ZONES_STEM, ZonesFile
from taxi_assets.source.client import Source, with_location, without_secrets
from taxi_assets.source.inspection import BOM
from taxi_assets.storage.files import sha256_of
from taxi_assets.storage.staging.local import StagingArea
from taxi_assets.transform.values import parse_value, rejection_reason

STAGE = "reference"

MAX_BYTES = 1 << 20
"""Bytes after which a file counts as no zone lookup; TLC's has 12 KB."""


class NotAZoneLookupError(PermanentError):
    """What was fetched is not the zone lookup, or not all of it."""

    def __init__(self, what: str, *, location: str = "", remedy: str = "") -> None:
        super().__init__(what, location=location, remedy=remedy or "look at TAXI_ZONES_URL in a browser")


def fetch_zones(source: Source, url: str, staging: Staging) -> tuple[ZonesFile, bool]:
    """Put the zones on the reference shelf as Parquet, unless they lie there unchanged.

    Args:
        source: How patiently to ask; its addresses are those of months, and are not asked.
        url: Address of the lookup.
        workroom: Where the zones go.

    Returns:
        The papers, and whether they are new.

    Raises:
        PermanentError: It is not there, forbidden, or not the zone lookup; the old zones stay.
        TransientError: Every attempt met a busy or broken link.
    """
    known = staging.intact(staging.read(ZonesFile, f"{STAGE}/{ZONES_STEM}.json"))
    if known and (known.source_url, known.contract) != (without_secrets(url), contract()):
        known = None
    with with_location(f"taxi zones, {without_secrets(url)}"):
        return _fetch_once(source, url, staging, known)


def contract() -> str:
    """Return 12 hexadecimal digits that change when zones would be read differently."""
    parts = [(c.name, c.kind, c.required, c.nullable, c.names) for c in ZONE_COLUMNS]
    return hashlib.sha256(json.dumps([parts, ZONES]).encode()).hexdigest()[:12]


def _fetch_once(source: Source, url: str, staging: Staging, known: ZonesFile | None) -> tuple[ZonesFile, bool]:
    try:
        with source.open(url, known) as answer:
            if answer.unchanged and known:
                return known, False
            content = b""
            for block in answer.blocks:
                content += block
                if len(content) > MAX_BYTES:
                    raise NotAZoneLookupError(f"not the zone lookup: it is longer than {MAX_BYTES >> 20} MiB")
    except NotPublishedError as error:
        raise PermanentError(
            f"the zone lookup is not there: {error.message}", remedy="correct TAXI_ZONES_URL"
        ) from error
    zones, unknown = parse_zones(content)
    with staging.temporary("taxi_zones.parquet") as draft:
        pq.write_table(zones, draft, compression="zstd")
        sha256 = sha256_of(draft)
        record = ZonesFile(
            file=f"{STAGE}/{ZONES_STEM}.{sha256[:8]}.parquet",
            bytes=draft.stat().st_size,
            sha256=sha256,
            rows=zones.num_rows,
            source_url=without_secrets(url),
            source_sha256=hashlib.sha256(content).hexdigest(),
            contract=contract(),
            etag=answer.etag,
            last_modified=answer.last_modified,
            unknown_columns=unknown,
        )
        if record != known:
            staging.commit(STAGE, record, {record.file: draft})
    return record, known is None or known.sha256 != record.sha256


def parse_zones(content: bytes) -> tuple[pa.Table, tuple[str, ...]]:
    """Read a zone lookup: any line ends, any case in the header, and lines that were quoted as a whole.

    Returns:
        The zones by number, in the contract's names and types; and names of columns that the contract does not know.

    Raises:
        NotAZoneLookupError: It is not the lookup, or a zone is missing, cut off or there twice.
    """
    header, *rows = _fields(content)
    positions = {fold(name): position for position, name in reversed(list(enumerate(header)))}
    missing = [column.name for column in ZONE_COLUMNS if column.required and fold(column.name) not in positions]
    if missing:
        first = ",".join(header)[:60]
        raise NotAZoneLookupError(f"not the zone lookup: its first line lacks {', '.join(missing)}: {first!r}")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise NotAZoneLookupError(
                f"the zone lookup is damaged: row {number} has {len(row)} fields, the header names {len(header)}"
            )
    values = {}
    for column in ZONE_COLUMNS:
        position = positions.get(fold(column.name))
        texts = [""] * len(rows) if position is None else [row[position] for row in rows]
        values[column.name] = [parse_value(column, text) for text in texts]
        for text, value in zip(texts, values[column.name], strict=True):
            if value is None and (text.strip() or not column.nullable):
                raise NotAZoneLookupError(f"the zone lookup is damaged: {column.name} {rejection_reason(column, text)}")
    _check_numbers(values["LocationID"])
    table = pa.table(values, arrow_schema(ZONE_COLUMNS)).sort_by("LocationID")
    known = {fold(column.name) for column in ZONE_COLUMNS}
    return table, tuple(name for name in header if fold(name) not in known)


def _fields(content: bytes) -> list[list[str]]:
    """Return the fields of the lines that are not blank, at least of one."""
    try:
        lines = content.removeprefix(BOM).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        found = [next(csv.reader([line], strict=True)) for line in lines if line]
        if found and all(len(fields) == 1 and "," in fields[0] for fields in found):  # quoted as a whole, by a program
            found = [next(csv.reader(fields, strict=True)) for fields in found]
    except (UnicodeDecodeError, csv.Error) as error:
        raise NotAZoneLookupError(f"not the zone lookup, or damaged: it is not CSV in UTF-8 ({error})") from error
    if not found:
        raise NotAZoneLookupError(f"not the zone lookup: it is empty ({len(content)} bytes)")
    return found


def _check_numbers(numbers: list[int]) -> None:
    """Refuse zones that are there twice, and a row of zones with a gap."""
    last = max(ZONES, len(numbers))  # TLC may add zones
    wrong = {
        "zones that are there twice": [number for number, times in Counter(numbers).items() if times > 1],
        "numbers of no zone": [number for number in numbers if not 1 <= number <= last],
        "zones that are missing": set(range(1, last + 1)).difference(numbers),
    }
    for what, which in wrong.items():
        if which:
            raise NotAZoneLookupError(f"the zone lookup is damaged or not whole: {what}: {_some(sorted(which))}")


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")
