"""The papers a month carries from room to room: small frozen records of what a file holds and where it lies.

Papers travel between assets, runs and machines; data does not. They hold names relative to the work folder, so that
they stay true when the folder is mounted elsewhere.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, TypeVar

from taxi_assets.months import Month

ZONES_STEM = "taxi_zones/taxi_zone_lookup"

_STORED_NAMES = {"transform_version": "recipe", "anomalies": "oddities"}
"""Fields whose name in the JSON files is older than their name here; files written by earlier releases stay readable."""


@dataclass(frozen=True)
class FileRecord:
    """What the papers of any file say.

    Attributes:
        file: Path of the data file, relative to the work folder, or a URI in a store.
        bytes: Size of the data file.
        sha256: Checksum of the data file, hexadecimal.
    """

    file: str
    bytes: int
    sha256: str

    @property
    def stem(self) -> str:
        """Where the papers lie on a shelf, without their ending."""
        raise NotImplementedError

    def to_json(self) -> str:
        """Return the papers as a JSON object, one field a line."""
        return json.dumps({_STORED_NAMES.get(k, k): v for k, v in vars(self).items()}, indent=1, default=str)

    @classmethod
    def from_json(cls: type[P], text: str) -> P:  # noqa: PYI019 - typing.Self is not in Python 3.10
        """Read papers that `to_json` wrote; fields of a later or earlier version are left out or take their default.

        Raises:
            ValueError: The text is not such papers.
        """
        plain: dict[str, Any] = json.loads(text)
        names = {f.name for f in dataclasses.fields(cls)}
        try:
            # JSON knows no tuples, and papers that are read again must equal those that were written
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
            raise ValueError(f"not the papers of a {cls.__name__}: {error}") from error


P = TypeVar("P", bound=FileRecord)


@dataclass(frozen=True)
class MonthRecord(FileRecord):
    """What the papers of any month say.

    Attributes:
        dataset: Name of the dataset.
        month: The month whose file it is.
    """

    dataset: str
    month: Month

    @property
    def stem(self) -> str:
        """See `FilePapers.stem`."""
        return f"{self.dataset}/{self.dataset}_tripdata_{self.month}"


@dataclass(frozen=True)
class RawFile(MonthRecord):
    """A month as published, byte for byte.

    Attributes:
        format: `csv` or `parquet`, by content.
        compression: `gzip` or `none`, by content.
        source_rows: Data lines (CSV: lines that are not blank, less the header) or rows (Parquet: by its footer),
            counted at the door, before anything parses them.
        source_url: Where it came from.
        etag: The source's `ETag`, empty if it sent none.
        last_modified: The source's `Last-Modified`, empty if it sent none.
    """

    format: str
    compression: str
    source_rows: int
    source_url: str
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True)
class CleanedFile(MonthRecord):
    """A month in the contract's names and types, and what became of each source row.

    Attributes:
        source_url: Where the raw file came from.
        source_format: Format of the raw file.
        source_sha256: Checksum of the raw file.
        source_rows: Rows counted at the door.
        cleaned_rows: Rows in the data file.
        dropped_rows: Rows left out by a cleaning rule.
        rejected_rows: Rows that could not be read; they lie whole in `rejects_file`.
        filled_passengers: Missing passenger counts that a rule filled with 0.
        rejects_file: Path relative to the work folder, empty if nothing was rejected.
        recipe: Identifies contract, cleaning and rules; the same source and recipe give the same bytes.
        unknown_columns: Columns of the source that the contract does not know, with the number of their values.
        absent_columns: Columns expected in this month that the source does not have.
        oddities: Rows that are strange and kept, counted by what is strange about them.
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
    rejects_file: str = ""
    unknown_columns: dict[str, int] = field(default_factory=dict, hash=False)
    absent_columns: tuple[str, ...] = ()
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
        source_sha256: Checksum of the raw file it was made of.
        recipe: What it was made with.
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


@dataclass(frozen=True)
class TableMonth(MonthRecord):
    """A month as rows of a warehouse table; `file` is the table's full name, `sha256` the loaded object's checksum.

    Attributes:
        rows: Rows of the month, counted in the table after the load.
        changed: Whether this materialization loaded it, rather than found it there.
        dropped_rows: Rows that the load itself left out by a rule (Postgres: trips without passengers).
        job: The load job's identifier, where the warehouse has one.
        numbers: What the load cost, by the name under which the UI plots it.
    """

    rows: int
    changed: bool = True
    dropped_rows: int = 0
    job: str = ""
    numbers: dict[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class ZonesFile(FileRecord):
    """The taxi zones in the contract's names and types.

    Attributes:
        rows: Zones.
        source_url: Where the lookup came from.
        source_sha256: Checksum of the lookup as published.
        contract: Identifies the contract it was read with.
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
        """See `FilePapers.stem`."""
        return ZONES_STEM
