"""What the IO managers have in common: a month is stored once, and read back as what a parameter's annotation asks for.

See https://docs.dagster.io/guides/build/io-managers/defining-a-custom-io-manager. What travels is a record; the data
itself is streamed from store to store.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pyarrow as pa

from taxi_assets import progress
from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import PermanentError
from taxi_assets.failures import reported_failures
from taxi_assets.months import Month
from taxi_assets.records import LakeObject, MonthRecord, TableMonth

MAX_RETRIES_TAG = "dagster/max_retries"
"""https://docs.dagster.io/deployment/execution/run-retries#combining-op-and-run-retries"""


@contextlib.contextmanager
def checked_before_run(context: dg.InitResourceContext) -> Iterator[None]:
    """Keep Dagster from retrying the run if what is checked before its steps fails for good.

    Dagster takes a failure outside of steps for a crash, and retries crashed runs.
    """
    try:
        yield
    except PermanentError:
        if context.instance and context.run:
            context.instance.add_run_tags(context.run.run_id, {MAX_RETRIES_TAG: "0"})
        raise


class MonthReader(dg.ConfigurableIOManager):
    """Reads back a month that its asset has stored: as its record, a `pyarrow.Table` or a `pandas.DataFrame`."""

    @abstractmethod
    def find(self, dataset: str, month: Month) -> MonthRecord | None:
        """Return the record of a stored month, None if it is not there."""

    @abstractmethod
    def rows(self, record: Any) -> pa.Table:
        """Return the rows of a stored month."""

    def handle_output(self, context: dg.OutputContext, obj: MonthRecord) -> None:
        """Do nothing: the month is where it belongs."""

    def load_input(self, context: dg.InputContext) -> Any:
        """Return what the parameter's annotation asks for: the record, or the rows of all months of the run."""
        module = getattr(context.dagster_type.typing_type, "__module__", "").partition(".")[0]
        asks_for_rows, found = module in ("pandas", "pyarrow"), []
        for key in context.asset_partition_keys:
            month = Month.parse(key)
            with reported_failures(context.asset_key, month):
                record = self._get(context.asset_key, month)
                found.append(self.rows(record) if asks_for_rows else record)
        if not asks_for_rows:
            (record,) = found
            return record
        table = pa.concat_tables(found)
        return table.to_pandas() if module == "pandas" else table

    def _get(self, key: dg.AssetKey, month: Month) -> MonthRecord:
        record = self.find(key.path[0], month)
        if record is None:
            subject = f"{key.path[0]} {month}"
            remedy = f"taxi-assets run {subject}, or materialize {key.to_user_string()}"
            raise PermanentError(f"{subject} is not there: {key.path[-1]} has no such month", remedy=remedy)
        return record


class MonthIOManager(MonthReader):
    """Stores the upstream month that an asset returns, in one atomic step, and reads it back."""

    @abstractmethod
    def store(self, dataset: Dataset, record: Any) -> LakeObject | TableMonth:
        """Put the upstream month where it belongs; return its new record."""

    @abstractmethod
    def describe(self, record: Any) -> dict[str, Any]:
        """Return a stored month's metadata for the UI."""

    def handle_output(self, context: dg.OutputContext, obj: MonthRecord) -> None:
        """Store the month."""
        with reported_failures(context.asset_key, obj.month, observe=context.log_event):
            stored = self.store(DATASETS[obj.dataset], obj)
        progress.notify(progress.Step(obj.dataset, obj.month, done=True))
        context.add_output_metadata(self.describe(stored))
        if isinstance(stored, TableMonth) and stored.unknown_columns:
            names = ", ".join(stored.unknown_columns)
            context.log.warning(f"{stored.file} has columns that this release does not know, left empty: {names}")
        did = "stored in" if stored.changed else "unchanged in"
        context.log.info(
            f"{obj.dataset} {obj.month}: {stored.rows:,} rows, {obj.bytes / 1e6:,.1f} MB {did} {stored.file}"
        )
