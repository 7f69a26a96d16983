"""The assets of one dataset, made from its contract; and nothing that is true of one dataset only.

Annotations are evaluated (no `from __future__ import annotations`): Dagster reads them in functions defined here.
"""

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from taxi_assets import progress
from taxi_assets.assets.steps import hand_on, land_months
from taxi_assets.automation import follows_its_upstream
from taxi_assets.checks import specs_of
from taxi_assets.contracts.model import Dataset
from taxi_assets.io_managers.metadata import column_schema
from taxi_assets.months import Month
from taxi_assets.partitions import MONTHS_PER_RUN, months_of, partitions_of
from taxi_assets.records import CleanedFile
from taxi_assets.resources import SourceResource, StagingResource
from taxi_assets.transform import quality as results
from taxi_assets.transform.clean import clean_month, transform_version
from taxi_assets.transform.rules import CleaningRules

OWNERS = ["team:data-engineering"]
_MONTHS_BEFORE = 12


class CleaningConfig(dg.Config):
    """The tutorial's cleaning rules, editable in the launchpad."""

    missing_passengers: Literal["zero", "keep"] = Field(
        "zero", description="`zero` fills missing passenger counts with 0; `keep` leaves them NULL."
    )
    drop_zero_passengers: bool = Field(False, description="Leave out trips with zero passengers; they are counted.")

    def rules(self) -> CleaningRules:
        """Return the rules."""
        return CleaningRules(self.missing_passengers, self.drop_zero_passengers)


def assets_of(dataset: Dataset, *, postgres: bool = False) -> list[dg.AssetsDefinition]:
    """Return the assets of a dataset.

    Args:
        dataset: The contract.
        postgres: Whether there is a Postgres to load months into.
    """
    makers = [_raw_file, _cleaned_parquet, _gcs_object, _bigquery_table, *([_postgres_table] if postgres else [])]
    with warnings.catch_warnings():
        # backfill policies are beta and check partitions a preview in 1.13; both are pinned, and tested here
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [make(dataset) for make in makers]


def _common(dataset: Dataset, name: str, description: str, kinds: set[str], **more: Any) -> dict[str, Any]:
    """Return what all assets say of themselves."""
    key, partitions = dg.AssetKey([dataset.name, name]), partitions_of(dataset)
    return {
        "key": key,
        "description": f"{description}\n\n{dataset.description}",
        "group_name": dataset.name,
        "kinds": kinds,
        "owners": OWNERS,
        "tags": {"dataset": dataset.name, "source": "tlc"},
        "partitions_def": partitions,
        "backfill_policy": dg.BackfillPolicy.multi_run(MONTHS_PER_RUN),
        "check_specs": specs_of(key, partitions),
        **more,
    }


def _cleaned(dataset: Dataset, upstream: str) -> dict[str, Any]:
    """Return what all assets that hold cleaned rows say of themselves."""
    return {
        "code_version": transform_version(dataset, CleaningRules()),
        "metadata": {"dagster/column_schema": column_schema(dataset.table_columns), "dictionary": dataset.dictionary},
        "ins": {"upstream": dg.AssetIn(dg.AssetKey([dataset.name, upstream]))},
    }


def _raw_file(dataset: Dataset) -> Any:
    @dg.asset(
        **_common(
            dataset,
            "raw_file",
            "One month as TLC published it, byte for byte, with its size, checksum and number of data lines.",
            {"file", "csv", "parquet"},
            io_manager_key="raw_io_manager",
            code_version="1",
            pool="source",
        )
    )
    def raw_file(context: dg.AssetExecutionContext, source: SourceResource, work: StagingResource) -> Iterator[Any]:
        tlc, staging = source.source(), work.staging()

        def fetch(month: Month) -> Any:
            def tell(received: int, size: int) -> None:
                progress.notify(progress.Step(dataset.name, month, bytes=received, size=size))

            raw, changed = tlc.fetch(dataset.name, month, staging, progress=tell)
            return raw, changed, results.of_raw(raw)

        months = months_of(list(context.partition_keys))
        yield from land_months(context, dataset, months, fetch, at_once=work.limits().months_at_once)

    return raw_file


def _cleaned_parquet(dataset: Dataset) -> Any:
    @dg.asset(
        **_common(
            dataset,
            "cleaned_parquet",
            "The month in TLC's current names and types; every row of the file is here, or counted as dropped or "
            "rejected.",
            {"parquet"},
            io_manager_key="cleaned_io_manager",
            **_cleaned(dataset, "raw_file"),
        )
    )
    def cleaned_parquet(
        context: dg.AssetExecutionContext, config: CleaningConfig, work: StagingResource, upstream: dict
    ) -> Iterator[Any]:
        staging, rules = work.staging(), config.rules()

        def clean(month: Month) -> Any:
            return *clean_month(dataset, upstream[month], staging, rules=rules), []

        def judge(month: Month, cleaned: CleanedFile) -> Any:
            before = [
                record
                for back in range(1, _MONTHS_BEFORE + 1)
                if (record := staging.find(CleanedFile, "cleaned", dataset.name, month.plus(-back)))
            ]
            path = staging.path(cleaned.file)
            return results.of_cleaned(dataset, cleaned, path, before, work.rejected_share_limit)

        at_once = work.limits().months_at_once
        yield from land_months(context, dataset, upstream, clean, judge=judge, at_once=at_once)

    return cleaned_parquet


def _gcs_object(dataset: Dataset) -> Any:
    @dg.asset(
        **_common(
            dataset,
            "gcs_object",
            "The cleaned month as an object in the lake, under the tutorial's name.",
            {"gcs", "parquet"},
            io_manager_key="lake_io_manager",
            pool="lake",
            **_cleaned(dataset, "cleaned_parquet"),
        )
    )
    def gcs_object(context: dg.AssetExecutionContext, upstream: dict) -> Iterator[Any]:
        yield from hand_on(context, dataset, upstream)

    return gcs_object


def _bigquery_table(dataset: Dataset) -> Any:
    @dg.asset(
        **_common(
            dataset,
            "bigquery_table",
            f"The month's rows in the table {dataset.table}, replaced as a whole.",
            {"bigquery", "table"},
            io_manager_key="warehouse_io_manager",
            pool="warehouse",
            automation_condition=follows_its_upstream(),
            **_cleaned(dataset, "gcs_object"),
        )
    )
    def bigquery_table(context: dg.AssetExecutionContext, upstream: dict) -> Iterator[Any]:
        yield from hand_on(context, dataset, upstream)

    return bigquery_table


def _postgres_table(dataset: Dataset) -> Any:
    cleaned = _cleaned(dataset, "cleaned_parquet")
    folded = [dataclasses.replace(column, name=column.name.lower()) for column in dataset.table_columns]
    cleaned["metadata"] |= {"dagster/column_schema": column_schema(folded)}

    @dg.asset(
        **_common(
            dataset,
            "postgres_table",
            f"The month's rows in Postgres, in a partition of {dataset.table}, replaced as a whole. Trips with zero "
            "passengers are left out and counted, unless TAXI_POSTGRES_DROP_ZERO_PASSENGERS says otherwise.",
            {"postgres", "table"},
            io_manager_key="postgres_io_manager",
            pool="postgres",
            automation_condition=follows_its_upstream(),
            **cleaned,
        )
    )
    def postgres_table(context: dg.AssetExecutionContext, upstream: dict) -> Iterator[Any]:
        yield from hand_on(context, dataset, upstream)

    return postgres_table
