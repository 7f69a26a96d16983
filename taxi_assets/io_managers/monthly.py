"""What every IO manager of months has in common: each month of a run lands, fails and is reported for itself.

Dagster stores one output for all partitions of a run and, by itself, would report every one of them as materialized. A
month that failed must not be; so the output carries the marker with which Dagster leaves the reporting to us, and
`handle_output` logs one materialization for each month that landed, with its own data version and metadata. This module
and the body in `taxi_assets.assets.steps` are the only places that know of it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

# dagster 1.13 has no public way to say "this output reports its partitions itself"; observable source assets use this
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION as REPORTS_ITSELF

from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import TaxiError
from taxi_assets.landing import Done, Landing
from taxi_assets.months import Month
from taxi_assets.records import MonthRecord
from taxi_assets.retries import retrying

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["REPORTS_ITSELF", "MonthlyIOManager"]

_MAX_EVENTS = 10_000
"""Events that Dagster gives at a time, more than a run of a hundred months of all datasets has."""


class MonthlyIOManager(dg.ConfigurableIOManager):
    """Lands the months of a step, each for itself; hands them on as papers, as an Arrow table or as a DataFrame.

    Attributes:
        attempts: How often a month is tried while the store is busy or its link broken.
        first_wait: Seconds before the second attempt; doubled each time.
        at_once: How many months are landed side by side.
    """

    attempts: int = 5
    first_wait: float = 1.0
    at_once: int = 1

    @abstractmethod
    def land(self, dataset: Dataset, record: Any) -> Done:
        """Put one month where it belongs; return its new papers, whether anything changed, and what checks say."""

    @abstractmethod
    def find(self, dataset: str, month: Month) -> MonthRecord:
        """Return the papers of a month that landed.

        Raises:
            TaxiError: It is not there.
        """

    @abstractmethod
    def read(self, record: Any) -> pa.Table:
        """Return the rows of a month that landed."""

    @abstractmethod
    def describe(self, record: Any, *, changed: bool) -> dict[str, Any]:
        """Return a month's metadata for the UI."""

    def handle_output(self, context: dg.OutputContext, obj: Landing) -> None:
        """Land each month and report it."""
        came_with = dict(obj.record)
        patience = retrying(self.attempts, self.first_wait)
        obj.each(
            sorted(came_with), lambda month: self.land(obj.dataset, came_with[month]), patience, at_once=self.at_once
        )
        inputs = _input_tags(context, obj)
        for month, record in sorted(obj.record.items()):
            key = _partition_key(month)
            tags = {
                DATA_VERSION_TAG: record.sha256,
                DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
                **({CODE_VERSION_TAG: version} if (version := context.asset_spec.code_version) else {}),
                **inputs.get(month, {}),
            }
            metadata = self.describe(record, changed=month in obj.changed) | {"seconds": round(obj.seconds[month], 3)}
            context.log_event(dg.AssetMaterialization(context.asset_key, partition=key, metadata=metadata, tags=tags))

    def load_input(self, context: dg.InputContext) -> Any:
        """Return what a downstream asset's annotation asks for.

        `pandas.DataFrame` and `pyarrow.Table` give the rows of all months of the run; a class of papers gives the one
        month's; anything else, a `dict` of papers by month, and of the error where a month cannot be had: it fails in
        the step, and the others land.
        """
        asked = context.dagster_type.typing_type
        record: dict[Month, Any] = {}
        for month in [Month.parse(key) for key in self._landed(context)]:
            try:
                record[month] = self.find(context.asset_key.path[0], month)
            except TaxiError as error:  # noqa: PERF203 - each month for itself
                if asked is not dict:
                    raise
                record[month] = error
        if isinstance(asked, type) and issubclass(asked, MonthRecord):
            (only,) = record.values()
            return only
        if (module := getattr(asked, "__module__", "").partition(".")[0]) in ("pandas", "pyarrow"):
            table = self._table(record.values())
            return table.to_pandas() if module == "pandas" else table
        return record

    def _table(self, record: Iterable[MonthRecord]) -> pa.Table:
        import pyarrow as pa

        return pa.concat_tables([self.read(each) for each in record])

    def _landed(self, context: dg.InputContext) -> list[str]:
        """Return the run's partitions, without those that the upstream step of the same run did not land."""
        keys = list(context.asset_partition_keys)
        upstream = context.upstream_output
        try:
            if upstream is None or upstream.step_key == "none":  # what Dagster gives for an asset outside of the run
                return keys
        except dg.DagsterInvariantViolationError:  # and in a notebook, by `load_asset_value`
            return keys
        records = context.instance.get_records_for_run(
            upstream.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION, limit=_MAX_EVENTS
        ).records
        landed = {record.partition_key for record in records if record.asset_key == context.asset_key}
        return [key for key in keys if key in landed]


def _partition_key(month: Month) -> str:
    return f"{month}-01"


def _input_tags(context: dg.OutputContext, landing: Landing) -> dict[Month, dict[str, str]]:
    """Return, for each month, the tags that say which version of the upstream asset it was made from.

    Without them the UI would show every month as out of date. Of the pointer to an upstream event Dagster only asks
    that no later event exists for the month, so the newest of the asset will do.
    """
    deps = list(context.asset_spec.deps) if landing.made_from else []
    tags: dict[Month, dict[str, str]] = {month: {} for month in landing.record}
    for dep in deps:
        newest = context.step_context.instance.fetch_materializations(dep.asset_key, limit=1).records
        for month, version in landing.made_from.items() if newest else ():
            tags.setdefault(month, {}).update(
                {
                    get_input_data_version_tag(dep.asset_key): version,
                    get_input_event_pointer_tag(dep.asset_key): str(newest[0].storage_id),
                }
            )
    return tags
