"""The IO manager of raw and cleaned months: their files lie on the work room's shelves already when they land."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.io_managers import metadata
from taxi_assets.io_managers.monthly import MonthlyIOManager
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, MonthRecord, RawFile
from taxi_assets.resources import StagingResource
from taxi_assets.transform import quality as results
from taxi_assets.transform.quality import CheckResult

if TYPE_CHECKING:
    import pyarrow as pa


class RawIOManager(MonthlyIOManager):
    """Papers of raw months."""

    work: StagingResource

    def land(self, dataset: Dataset, record: RawFile) -> tuple[MonthRecord, bool, list[CheckResult]]:
        """See `MonthlyIOManager.land`; the file is where it belongs."""
        return record, False, []

    def find(self, dataset: str, month: Month) -> RawFile:
        """See `MonthlyIOManager.find`."""
        return self.work.staging().get(RawFile, "raw", dataset, month)

    def read(self, record: RawFile) -> pa.Table:
        """Refuse: what a raw file holds is known only after cleaning.

        Raises:
            DagsterInvariantViolationError: Always.
        """
        raise dg.DagsterInvariantViolationError(
            f"raw months have no common columns; take {record.dataset}/cleaned_parquet as the input"
        )

    def describe(self, record: RawFile, *, changed: bool) -> dict[str, Any]:
        """See `MonthlyIOManager.describe`."""
        return metadata.of_raw(record, self.work.staging().location(record.file), changed=changed)


class CleanedIOManager(MonthlyIOManager):
    """Papers, or rows, of cleaned months."""

    work: StagingResource

    def land(self, dataset: Dataset, record: CleanedFile) -> tuple[MonthRecord, bool, list[CheckResult]]:
        """See `MonthlyIOManager.land`; the file is where it belongs."""
        return record, False, []

    def find(self, dataset: str, month: Month) -> CleanedFile:
        """See `MonthlyIOManager.find`; a month of which too much was rejected is not handed on, by whatever run."""
        cleaned = self.work.staging().get(CleanedFile, "cleaned", dataset, month)
        results.of_ledger(cleaned, cleaned.cleaned_rows, self.work.rejected_share_limit).raise_if_blocking(
            f"{dataset} {month}"
        )
        return cleaned

    def read(self, record: CleanedFile) -> pa.Table:
        """See `MonthlyIOManager.read`."""
        import pyarrow.parquet as pq

        return pq.read_table(self.work.staging().path(record.file), partitioning=None)

    def describe(self, record: CleanedFile, *, changed: bool) -> dict[str, Any]:
        """See `MonthlyIOManager.describe`."""
        staging = self.work.staging()
        # 52 weeks back lies in the same month of the year before, but for its last day or two
        earlier = [staging.find(CleanedFile, "cleaned", record.dataset, record.month.plus(-back)) for back in (12, 11)]
        return metadata.of_cleaned(record, staging, earlier, changed=changed)
