"""The IO manager of reports: their files lie in the lake already when they land, and no asset reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import PermanentError
from taxi_assets.io_managers import metadata
from taxi_assets.io_managers.monthly import MonthlyIOManager
from taxi_assets.months import Month
from taxi_assets.records import MonthRecord
from taxi_assets.reports.report import ReportFile
from taxi_assets.transform.quality import CheckResult

if TYPE_CHECKING:
    import pyarrow as pa


class ReportIOManager(MonthlyIOManager):
    """Papers of reports."""

    def land(self, dataset: Dataset, record: ReportFile) -> tuple[MonthRecord, bool, list[CheckResult]]:
        """See `MonthlyIOManager.land`; the report is where it belongs."""
        return record, False, []

    def find(self, dataset: str, month: Month) -> MonthRecord:
        """Refuse: a report is for people.

        Raises:
            PermanentError: Always.
        """
        raise PermanentError(
            "a report is not an input",
            location=f"{dataset}/monthly_report",
            remedy=f"take {dataset}/bigquery_table, which holds the numbers",
        )

    def read(self, record: MonthRecord) -> pa.Table:
        """Refuse, as `find`; it is never called without it.

        Raises:
            PermanentError: Always.
        """
        self.find(record.dataset, record.month)
        raise AssertionError

    def describe(self, record: ReportFile, *, changed: bool) -> dict[str, Any]:
        """See `MonthlyIOManager.describe`."""
        return metadata.of_report(record, changed=changed)
