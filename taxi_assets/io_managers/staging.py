"""The IO managers of raw and cleaned months: their assets have put the files into the staging area themselves."""

from __future__ import annotations

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from taxi_assets.io_managers.base import MonthReader
from taxi_assets.months import Month
from taxi_assets.records import CleanedFile, RawFile
from taxi_assets.resources import StagingResource
from taxi_assets.transform.quality import require_ledger


class RawIOManager(MonthReader):
    """Reads raw months back as records."""

    staging: StagingResource

    def find(self, dataset: str, month: Month) -> RawFile:
        """See `MonthReader.find`."""
        return self.staging.create().get(RawFile, "raw", dataset, month)

    def rows(self, record: RawFile) -> pa.Table:
        """Refuse: raw months have no common columns.

        Raises:
            DagsterInvariantViolationError: Always.
        """
        raise dg.DagsterInvariantViolationError(
            f"raw months have no common columns; use {record.dataset}/cleaned_parquet as the input"
        )


class CleanedIOManager(MonthReader):
    """Reads cleaned months back as records or rows."""

    staging: StagingResource

    def find(self, dataset: str, month: Month) -> CleanedFile:
        """See `MonthReader.find`; a month that the ledger check stopped is not handed on, by whatever run."""
        area = self.staging.create()
        cleaned = area.get(CleanedFile, "cleaned", dataset, month)
        require_ledger(cleaned, self.staging.rejected_share_limit, area.location(cleaned.rejects_file))
        return cleaned

    def rows(self, record: CleanedFile) -> pa.Table:
        """See `MonthReader.rows`."""
        return pq.read_table(self.staging.create().path(record.file), partitioning=None)
