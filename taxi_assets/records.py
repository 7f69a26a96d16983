"""Records: what travels between assets, runs and machines instead of data. Small, frozen, stored as JSON.

Paths in a record are relative to the work folder, so that they hold when the folder is mounted elsewhere.
"""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, TypeVar

from taxi_assets.months import Month

ZONES_STEM = "taxi_zones/taxi_zone_lookup"

_STORED_NAMES = {"transform_version": "recipe", "anomalies": "oddities", "most_rows": "previous_rows"}
"""Fields that are stored under an older name, so that releases can read each other's files."""


@dataclass(frozen=True)
class FileRecord(ABC):
    """A data file.

    Attributes:
        file: Path of the data file, relative to the work folder, or a URI in a store.
        bytes: Size of the data file.
        sha256: Checksum of the data file, hexadecimal.
    """

    file: str
    bytes: int
    sha256: str

    @property
    @abstractmethod
    def stem(self) -> str:
        """Path of the record within a stage of the staging area, without its extension."""

    def to_json(self) -> str:
        """Return the record as a JSON object, one field a line."""
        return json.dumps({_STORED_NAMES.get(k, k): v for k, v in vars(self).items()}, indent=1, default=str)

    @classmethod
    def from_json(cls: type[R], text: str) -> R:  # noqa: PYI019 - typing.Self is not in Python 3.10
        """Read a record that `to_json` wrote; unknown fields are ignored, missing ones take their default.

        Raises:
            ValueError: The text is not such a record.
        """
        plain: dict[str, Any] = json.loads(text)
        names = {f.name for f in dataclasses.fields(cls)}
        try:
            # JSON has no tuples, and a record must equal itself after a round trip
            stored = {name: plain.get(_STORED_NAMES.get(name, name), plain.get(name)) for name in names}
            values: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in stored.items()
                if value is not None
            }
            if "month" in names:
                values["month"] = Month.parse(plain["month"])
            return cls(**values)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a {cls.__name__} record: {error}") from error


R = TypeVar("R", bound=FileRecord)


@dataclass(frozen=True)
class MonthRecord(FileRecord):
    """A data file of one month.

    Attributes:
        dataset: Name of the dataset.
        month: The month that the file was published for.
    """

    dataset: str
    month: Month

    @property
    def stem(self) -> str:
        """See `FileRecord.stem`."""
        return f"{self.dataset}/{self.dataset}_tripdata_{self.month}"


@dataclass(frozen=True)
class RawFile(MonthRecord):
    """A month as published, byte for byte.

    Attributes:
        format: `csv` or `parquet`, by content.
        compression: `gzip` or `none`, by content.
        source_rows: Data lines (CSV: lines that are not blank, less the header) or rows (Parquet: by the footer),
            counted as the file streams in, before anything parses it.
        source_url: Where it came from.
        etag: The source's `ETag`, empty if it sent none.
        last_modified: The source's `Last-Modified`, empty if it sent none.
        refetches: Downloads of these same bytes under new validators.
        most_rows: The most rows that the month has had in the lake before this file, since a person last accepted
            fewer; None if none.
        last_line_ends: Whether the last line of a CSV has a line end; without one, the file may have been cut off.
    """

    format: str
    compression: str
    source_rows: int
    source_url: str
    etag: str = ""
    last_modified: str = ""
    refetches: int = 0
    most_rows: int | None = None
    last_line_ends: bool = True


@dataclass(frozen=True)
class CleanedFile(MonthRecord):
    """A month in the contract's names and types, and what became of each source row.

    Attributes:
        source_url: Where the raw file came from.
        source_format: Format of the raw file.
        source_sha256: Checksum of the raw file.
        source_rows: Rows of the raw file.
        cleaned_rows: Rows in the data file.
        dropped_rows: Rows dropped by a cleaning rule.
        rejected_rows: Rows that could not be read; `rejects_file` holds them whole.
        filled_passengers: Missing passenger counts that a rule filled with 0.
        reject_reasons: The most frequent reasons, each with column, rows, and the first value with its line.
        rejects_file: Path relative to the work folder, empty if nothing was rejected.
        transform_version: Identifies contract, parser and rules; the same source and version give the same bytes.
        unknown_columns: Columns of the source that the contract does not know, with the number of their values.
        absent_columns: Columns expected in this month that the source lacks.
        accepted_drift: Absent and unknown columns that look like a renamed one, and that somebody has accepted.
        read_as: Times that the source marks with a zone, and how they were read.
        source_doubts: Why the raw file may be damaged.
        anomalies: Rows that look wrong and are kept, counted by kind.
        trips_per_day: Trips that began on each day of the month, the first of the month first.
    """

    source_url: str
    source_format: str
    source_sha256: str
    source_rows: int
    cleaned_rows: int
    dropped_rows: int
    rejected_rows: int
    transform_version: str
    filled_passengers: int = 0
    reject_reasons: tuple[str, ...] = ()
    rejects_file: str = ""
    unknown_columns: dict[str, int] = field(default_factory=dict, hash=False)
    absent_columns: tuple[str, ...] = ()
    accepted_drift: tuple[str, ...] = ()
    read_as: tuple[str, ...] = ()
    source_doubts: tuple[str, ...] = ()
    anomalies: dict[str, int] = field(default_factory=dict, hash=False)
    trips_per_day: tuple[int, ...] = ()

    @property
    def rejected_share(self) -> float:
        """Rejected rows as a share of the source's rows, 0 to 1."""
        return self.rejected_rows / self.source_rows if self.source_rows else 0.0


@dataclass(frozen=True)
class LakeObject(MonthRecord):
    """A cleaned month as an object in the lake; `file` is its URI.

    Attributes:
        rows: Rows of the object, by its own footer.
        source_sha256: Checksum of the raw file it was made from.
        transform_version: That of the cleaned file.
        generation: The store's version of the object; a new one each time it is replaced.
        crc32c: Checksum that the store itself keeps of the object, base64; empty where it keeps none.
        changed: Whether this materialization sent it, rather than found it there.
    """

    rows: int
    source_sha256: str = ""
    transform_version: str = ""
    generation: str = ""
    changed: bool = True
    crc32c: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether this project put it; no one else says what it was made from."""
        return bool(self.source_sha256)


@dataclass(frozen=True)
class TableMonth(MonthRecord):
    """A month as rows of a warehouse table; `file` is the table's full name, `sha256` the loaded object's checksum.

    Attributes:
        rows: Rows of the month, counted in the table after the load.
        changed: Whether this materialization loaded it, rather than found it there.
        dropped_rows: Rows dropped by a rule of the load itself (Postgres: trips without passengers).
        job: The load job's identifier, where the warehouse has one.
        numbers: Measurements of the load, by the name under which the UI plots them.
    """

    rows: int
    changed: bool = True
    dropped_rows: int = 0
    unknown_columns: tuple[str, ...] = ()
    job: str = ""
    numbers: dict[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class ZonesFile(FileRecord):
    """The taxi zones in the contract's names and types.

    Attributes:
        rows: Zones.
        source_url: Where the lookup came from.
        source_sha256: Checksum of the lookup as published.
        contract: Identifies the contract and parser it was read with.
        etag: The source's `ETag`, empty if it sent none.
        last_modified: The source's `Last-Modified`, empty if it sent none.
        unknown_columns: Columns of the lookup that the contract does not know.
    """

    rows: int
    source_url: str
    source_sha256: str
    contract: str
    etag: str = ""
    last_modified: str = ""
    unknown_columns: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """See `FileRecord.stem`."""
        return ZONES_STEM
