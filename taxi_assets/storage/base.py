"""What a lake, a warehouse and a staging area can do; the code above storage knows no more of them than this."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from taxi_assets.contracts.model import Column, Dataset
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, LakeObject, R, TableMonth

if TYPE_CHECKING:
    import pyarrow as pa


class Staging(Protocol):
    """Raw and cleaned files, each month replaced atomically. A stage is `raw`, `cleaned` or `reference`."""

    def path(self, file: str) -> Path:
        """Return where a file that a record names is on this machine."""

    def location(self, file: str) -> str:
        """Return where every machine finds a file, for people to read."""

    def find(self, kind: type[R], stage: str, dataset: str, month: Month) -> R | None:
        """Return a month's record if its data file is there, whole; else None."""

    def read(self, kind: type[R], name: str) -> R | None:
        """Return the record of a name if its data file is there, whole; else None."""

    def get(self, kind: type[R], stage: str, dataset: str, month: Month) -> R:
        """Return a month's record.

        Raises:
            PermanentError: The month is not there, or its data file is missing.
        """

    def intact(self, record: R | None) -> R | None:
        """Return the record if its data file has the very bytes that it says; else None."""

    def months(self, stage: str, dataset: str) -> list[Month]:
        """Return the months of a stage, in order."""

    def temporary(self, name: str) -> AbstractContextManager[Path]:
        """Give a path to write to; what is there at the end is removed, unless it was moved away."""

    def commit(self, stage: str, record: R, files: dict[str, Path]) -> None:
        """Move a month's files into place and make its record the one that counts."""


class Lake(Protocol):
    """A dataset's cleaned months, one Parquet object each."""

    def check(self) -> None:
        """See that months can be put, or raise why not; cheap, and done before any download."""

    def put(self, cleaned: CleanedFile, path: Path, *, accept_row_count: bool = False) -> LakeObject:
        """Make the file at `path` the month's object, unless the object already has the same bytes.

        Raises:
            PermanentError: The file has under half of the rows that have landed, unless `accept_row_count`; or it
                cannot be put.
            TransientError: The lake is busy, or the link broke.
        """

    def landed_rows(self, dataset: str, month: Month) -> int:
        """Return the rows of a month's object if this project put it; else 0."""

    def put_file(self, name: str, path: Path) -> str:
        """Put any other file and return its URI."""

    def uri(self, name: str) -> str:
        """Return the URI of a file that `put_file` put."""

    def read_file(self, name: str) -> bytes:
        """Return the content of a file that `put_file` put."""

    def remove_file(self, name: str) -> None:
        """Remove a file that `put_file` put, if it is there."""

    def list_files(self, folder: str) -> list[str]:
        """Return the names of the files below a folder, in order."""

    def find(self, dataset: str, month: Month) -> LakeObject | None:
        """Return what the lake holds of a month, by the object's own footer and checksum; None if nothing."""

    def versions(self, dataset: str) -> dict[Month, str]:
        """Return, for each month's object, something that differs when it is replaced; no object is read."""

    def read(self, stored: LakeObject) -> pa.Table:
        """Return an object's rows."""


class Warehouse(Protocol):
    """One table per dataset, in which a month is replaced as a whole."""

    schema: str

    def check(self, lake: Any) -> None:
        """See that months can be loaded from a lake, or raise why not; cheap, and done before any download."""

    def replace_month(
        self, dataset: Dataset, stored: LakeObject, *, reload: bool = False, accept_row_count: bool = False
    ) -> TableMonth:
        """Make the table hold, for the object's month, exactly the object's rows; do nothing if it already does.

        `reload` loads the month even if the table has it by its own record.

        Raises:
            PermanentError: The object or the table does not fit the contract; the object would erase most of the
                month, unless `accept_row_count`; or the account lacks a permission. The old month stays.
            TransientError: The warehouse is busy, or the link broke.
        """

    def replace_table(self, name: str, columns: Sequence[Column], uri: str) -> int:
        """Make a small table hold exactly the rows of a Parquet file; return their number."""

    def has_table(self, name: str) -> bool:
        """Return whether the schema has a table of that name."""

    def count_months(self, table: str, months: Collection[Month] | None = None) -> dict[Month, int]:
        """Return how many rows each month of a table has; empty if there is no table."""

    def find_month(self, dataset: str, month: Month, stored: LakeObject | None = None) -> TableMonth | None:
        """Return what the warehouse holds of a month; None if nothing.

        A warehouse that did not record the checksum of what it loaded takes that of `stored`, the month's object.
        """

    def loaded_checksums(self, table: str) -> dict[Month, str]:
        """Return the checksum of the object from which each month of a table was loaded, where it is recorded."""

    def verify_month(self, dataset: Dataset, stored: LakeObject) -> list[str]:
        """Compare a month of the table with its object; return what does not hold, a sentence each."""

    def read_month(self, dataset: str, month: Month) -> pa.Table:
        """Return a month's rows."""

    def query(
        self, sql: str, parameters: Sequence[Any] = (), *, max_bytes: int | None = None, limit: int | None = None
    ) -> pa.Table:
        """Return the rows of one query that only reads; tables are named as `nyc_tlc.yellow_trips`.

        Args:
            sql: The query.
            parameters: Values of its `?`.
            max_bytes: Refuse a query that BigQuery would bill for more.
            limit: Fetch no more rows than this.

        Raises:
            QueryError: The warehouse refuses the query.
        """
