"""The taxi zone lookup: fetch it if it changed, parse it in all its editions, refuse it if zones are missing.

Reference data of a few kilobytes: read as a whole, and accepted as a whole or not at all.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

from taxi_assets.contracts.model import fold
from taxi_assets.contracts.schemas import arrow_schema
from taxi_assets.contracts.zones import ZONE_COLUMNS, ZONES
from taxi_assets.errors import NotPublishedError, PermanentError
from taxi_assets.records import ZONES_STEM, ZonesFile
from taxi_assets.source.addresses import without_secrets
from taxi_assets.source.client import Source, with_location
from taxi_assets.source.streams import BOM
from taxi_assets.storage.base import Staging
from taxi_assets.storage.files import sha256_of
from taxi_assets.transform.values import parse_value, rejection_reason

STAGE = "reference"

MAX_BYTES = 1 << 20
"""A longer file is no zone lookup; TLC's has 12 KB."""


class NotAZoneLookupError(PermanentError):
    """The file is not the zone lookup, or not all of it."""

    default_remedy = "look at the file that TAXI_ZONES_URL names"


def fetch_zones(source: Source, url: str, staging: Staging) -> tuple[ZonesFile, bool]:
    """Fetch the zones into staging as Parquet, unless they are there unchanged; ask once.

    Args:
        source: The client; the addresses of months in it are not used.
        url: Address of the lookup.
        staging: Where the zones go.

    Returns:
        The zones' record, and whether they are new.

    Raises:
        PermanentError: The lookup is absent, forbidden, or not the zone lookup; the old zones stay.
        TransientError: The source is busy, or the connection broke.
    """
    known = staging.intact(staging.read(ZonesFile, f"{STAGE}/{ZONES_STEM}.json"))
    if known and (known.source_url, known.contract) != (without_secrets(url), contract()):
        known = None
    with with_location(f"taxi zones, {without_secrets(url)}"):
        return _fetch(source, url, staging, known)


def contract() -> str:
    """Return 12 hexadecimal digits that change when a lookup would be parsed differently."""
    parts = [(c.name, c.kind, c.required, c.nullable, c.names) for c in ZONE_COLUMNS]
    return hashlib.sha256(json.dumps([parts, ZONES]).encode()).hexdigest()[:12]


def _fetch(source: Source, url: str, staging: Staging, known: ZonesFile | None) -> tuple[ZonesFile, bool]:
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
    """Parse a zone lookup with any line ends, any case in the header, and lines quoted as a whole.

    Returns:
        The zones by number, in the contract's names and types, and the columns that the contract does not know.

    Raises:
        NotAZoneLookupError: The content is not the lookup, or a zone is missing, cut off or there twice.
    """
    header, *rows = _fields(content)
    positions = {fold(name): position for position, name in reversed(list(enumerate(header)))}
    missing = [column.name for column in ZONE_COLUMNS if column.required and fold(column.name) not in positions]
    if missing:
        raise NotAZoneLookupError(f"not the zone lookup: its first line lacks {', '.join(missing)}")
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
    table = _to_table(values).sort_by("LocationID")
    known = {fold(column.name) for column in ZONE_COLUMNS}
    return table, tuple(name for name in header if fold(name) not in known)


def _to_table(values: dict[str, list[Any]]) -> pa.Table:
    """Return columns as a table, by way of JSON: `pa.array` imports pandas, in 0.2 s and 25 MiB."""
    schema = arrow_schema(ZONE_COLUMNS)
    rows = (dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True))
    lines = "\n".join(map(json.dumps, rows)).encode()
    return pyarrow.json.read_json(pa.py_buffer(lines), parse_options=pyarrow.json.ParseOptions(schema)).cast(schema)


def _fields(content: bytes) -> list[list[str]]:
    """Return the fields of the nonblank lines, of which there is at least one."""
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
    """Refuse zones that are there twice or missing."""
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
