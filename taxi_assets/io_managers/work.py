"""The IO manager of raw and cleaned months: their files lie on the work room's shelves already when they land."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from taxi_assets.contracts.model import Dataset
from taxi_assets.io_managers import metadata
from taxi_assets.io_managers.monthly import MonthlyIOManager
from taxi_assets.months import Month
from taxi_assets.resources import WorkResource
from taxi_assets.transform import quality as verdicts
from taxi_assets.records import CleanedFile, Papers, RawFile
from taxi_assets.transform.quality import Verdict

if TYPE_CHECKING:
    import pyarrow as pa


class RawIOManager(MonthlyIOManager):
    """Papers of raw months."""

    work: WorkResource

    def land(self, dataset: Dataset, papers: RawFile) -> tuple[Papers, bool, list[Verdict]]:
        """See `MonthlyIOManager.land`; the file is where it belongs."""
        return papers, False, []

    def find(self, dataset: str, month: Month) -> RawFile:
        """See `MonthlyIOManager.find`."""
        return self.work.workroom().get(RawFile, "raw", dataset, month)

    def read(self, papers: RawFile) -> pa.Table:
        """Refuse: what a raw file holds is known only after cleaning.

        Raises:
            DagsterInvariantViolationError: Always.
        """
        raise dg.DagsterInvariantViolationError(
            f"raw months have no common columns; take {papers.dataset}/cleaned_parquet as the input"
        )

    def describe(self, papers: RawFile, *, changed: bool) -> dict[str, Any]:
        """See `MonthlyIOManager.describe`."""
        return metadata.of_raw(papers, self.work.workroom().where(papers.file), changed=changed)


class CleanedIOManager(MonthlyIOManager):
    """Papers, or rows, of cleaned months."""

    work: WorkResource

    def land(self, dataset: Dataset, papers: CleanedFile) -> tuple[Papers, bool, list[Verdict]]:
        """See `MonthlyIOManager.land`; the file is where it belongs."""
        return papers, False, []

    def find(self, dataset: str, month: Month) -> CleanedFile:
        """See `MonthlyIOManager.find`; a month of which too much was rejected is not handed on, by whatever run."""
        cleaned = self.work.workroom().get(CleanedFile, "cleaned", dataset, month)
        verdicts.of_ledger(cleaned, cleaned.cleaned_rows, self.work.rejected_share_limit).raise_if_blocking(
            f"{dataset} {month}"
        )
        return cleaned

    def read(self, papers: CleanedFile) -> pa.Table:
        """See `MonthlyIOManager.read`."""
        import pyarrow.parquet as pq

        return pq.read_table(self.work.workroom().path(papers.file), partitioning=None)

    def describe(self, papers: CleanedFile, *, changed: bool) -> dict[str, Any]:
        """See `MonthlyIOManager.describe`."""
        room = self.work.workroom()
        # 52 weeks back lies in the same month of the year before, but for its last day or two
        earlier = [room.find(CleanedFile, "cleaned", papers.dataset, papers.month.plus(-back)) for back in (12, 11)]
        return metadata.of_cleaned(papers, room, earlier, changed=changed)
