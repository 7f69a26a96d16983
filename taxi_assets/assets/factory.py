"""The assets of one dataset, made from its contract; and nothing that is true of one dataset only.

Annotations are evaluated (no `from __future__ import annotations`): Dagster reads them in functions defined here.
"""

import warnings
from collections.abc import Iterator
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from taxi_assets.assets.steps import land_months
from taxi_assets.automation.partitions import MONTHS_PER_RUN, months_of, partitions_of
from taxi_assets.checks import specs_of
from taxi_assets.contracts.model import Dataset
from taxi_assets.io_managers.metadata import column_schema
from taxi_assets.months import Month
from taxi_assets.resources import SourceResource, WorkResource
from taxi_assets.trips import verdicts
from taxi_assets.trips.clean import clean_month, recipe
from taxi_assets.trips.papers import CleanedFile
from taxi_assets.trips.rules import CleaningRules

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


def assets_of(dataset: Dataset) -> list[dg.AssetsDefinition]:
    """Return the four assets of a dataset."""
    with warnings.catch_warnings():
        # backfill policies are beta and check partitions a preview in 1.13; both are pinned, and tested here
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return _assets_of(dataset)


def _assets_of(dataset: Dataset) -> list[dg.AssetsDefinition]:
    partitions = partitions_of(dataset)
    columns = column_schema(dataset.table_columns)
    read_with = recipe(dataset, CleaningRules())

    def common(name: str, description: str, kinds: set[str], **more: Any) -> dict[str, Any]:
        key = dg.AssetKey([dataset.name, name])
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

    def upstream(name: str) -> dict[str, dg.AssetIn]:
        return {"upstream": dg.AssetIn(dg.AssetKey([dataset.name, name]))}

    @dg.asset(
        **common(
            "raw_file",
            "One month as TLC published it, byte for byte, with its size, checksum and number of data lines.",
            {"file", "csv", "parquet"},
            io_manager_key="raw_io_manager",
            code_version="1",
            pool="source",
        )
    )
    def raw_file(context: dg.AssetExecutionContext, source: SourceResource, work: WorkResource) -> Iterator[Any]:
        tlc, room = source.source(), work.workroom()

        def fetch(month: Month) -> Any:
            raw, changed = tlc.fetch(dataset.name, month, room)
            return raw, changed, verdicts.of_raw(raw)

        yield from land_months(context, dataset, months_of(list(context.partition_keys)), fetch)

    @dg.asset(
        **common(
            "cleaned_parquet",
            "The month in TLC's current names and types; every row of the file is here, or counted as dropped or "
            "rejected.",
            {"parquet", "duckdb"},
            io_manager_key="cleaned_io_manager",
            code_version=read_with,
            metadata={"dagster/column_schema": columns, "dictionary": dataset.dictionary},
            ins=upstream("raw_file"),
        )
    )
    def cleaned_parquet(
        context: dg.AssetExecutionContext, config: CleaningConfig, work: WorkResource, upstream: dict
    ) -> Iterator[Any]:
        room, rules = work.workroom(), config.rules()

        def clean(month: Month) -> Any:
            cleaned, changed = clean_month(dataset, upstream[month], room, rules=rules)
            before = [
                papers
                for back in range(1, _MONTHS_BEFORE + 1)
                if (papers := room.find(CleanedFile, "cleaned", dataset.name, month.plus(-back)))
            ]
            path = room.path(cleaned.file)
            return cleaned, changed, verdicts.of_cleaned(dataset, cleaned, path, before, work.rejected_share_limit)

        yield from land_months(context, dataset, upstream, clean)

    @dg.asset(
        **common(
            "gcs_object",
            "The cleaned month as an object in the lake, under the tutorial's name.",
            {"gcs", "parquet"},
            io_manager_key="lake_io_manager",
            code_version=read_with,
            metadata={"dagster/column_schema": columns},
            ins=upstream("cleaned_parquet"),
            pool="lake",
        )
    )
    def gcs_object(context: dg.AssetExecutionContext, upstream: dict) -> Iterator[Any]:
        yield from land_months(context, dataset, upstream, lambda month: (upstream[month], False, []))

    @dg.asset(
        **common(
            "bigquery_table",
            f"The month's rows in the table {dataset.table}, replaced as a whole.",
            {"bigquery", "table"},
            io_manager_key="warehouse_io_manager",
            code_version=read_with,
            metadata={"dagster/column_schema": columns},
            ins=upstream("gcs_object"),
            pool="warehouse",
        )
    )
    def bigquery_table(context: dg.AssetExecutionContext, upstream: dict) -> Iterator[Any]:
        yield from land_months(context, dataset, upstream, lambda month: (upstream[month], False, []))

    return [raw_file, cleaned_parquet, gcs_object, bigquery_table]
