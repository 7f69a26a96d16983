"""The assets of one dataset, made from its contract; nothing here is true of one dataset only.

See https://docs.dagster.io/guides/build/assets/defining-assets. Annotations are evaluated (there is no
`from __future__ import annotations`), because Dagster reads them in functions that are defined inside a function.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from taxi_assets import progress
from taxi_assets.automation import follows_its_upstream
from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import NotPublishedError, TaxiError
from taxi_assets.failures import parts_of, reported_failures
from taxi_assets.io_managers import metadata
from taxi_assets.jobs import run_tags
from taxi_assets.months import Month
from taxi_assets.names import BIGQUERY_TABLE, CLEANED_PARQUET, GCS_OBJECT, POSTGRES_TABLE, RAW_FILE, asset_key
from taxi_assets.partitions import partitions_of
from taxi_assets.records import CleanedFile, LakeObject, RawFile
from taxi_assets.resources import LakeResource, ReplacementResource, SourceResource, StagingResource
from taxi_assets.transform.clean import clean_month, transform_version
from taxi_assets.transform.rules import CleaningRules

OWNERS = ["team:data-engineering"]


def assets_of(
    dataset: Dataset,
    retries: dg.RetryPolicy,
    rules: CleaningRules,
    *,
    profile: str = "local",
    postgres: bool = False,
) -> list[dg.AssetsDefinition]:
    """Return the assets of a dataset.

    Args:
        dataset: The contract.
        retries: How a step is tried again after a transient failure.
        rules: The cleaning rules of the settings; the launchpad can change them for a run.
        profile: Which stores the months go to.
        postgres: Whether there is a Postgres to load months into.
    """
    lake, warehouse = ("gcs", "bigquery") if profile == "gcp" else ("file", "duckdb")
    return [
        _raw_file(dataset, retries, rules),
        _cleaned_parquet(dataset, retries, rules),
        _gcs_object(dataset, retries, rules, lake),
        _bigquery_table(dataset, retries, rules, warehouse),
        *([_postgres_table(dataset, retries, rules)] if postgres else []),
    ]


def _cleaning_config(dataset: Dataset, rules: CleaningRules) -> type[dg.Config]:
    """Return the launchpad's form of the tutorial's cleaning rules, with the settings' as the defaults."""
    if not dataset.one("passengers"):
        return dg.Config

    class CleaningConfig(dg.Config):
        missing_passengers: Literal["keep", "zero"] = Field(
            rules.missing_passengers,
            description="`keep` leaves missing passenger counts empty; `zero` fills in 0, as the tutorial does.",
        )
        drop_zero_passengers: bool = Field(
            rules.drop_zero_passengers, description="Leave out trips with zero passengers; they are counted."
        )

    return CleaningConfig


def _raw_file(dataset: Dataset, retries: dg.RetryPolicy, rules: CleaningRules) -> Any:
    key = asset_key(dataset.name, RAW_FILE)

    @dg.asset(
        **_common(dataset, RAW_FILE, retries, rules),
        description="One month as TLC published it, byte for byte, with its size, checksum and number of data lines."
        f"\n\n{dataset.description}",
        kinds={"file", "csv", "parquet"},
        io_manager_key="raw_io_manager",
        code_version="1",
        freshness_policy=_freshness(dataset),
        pool="source",
        output_required=False,  # a month that is not published is skipped, and so is what is downstream of it
    )
    def raw_file(
        context: dg.AssetExecutionContext,
        source: SourceResource,
        staging: StagingResource,
        lake: LakeResource,
        replacement: ReplacementResource,
    ) -> Iterator[dg.MaterializeResult[RawFile]]:
        month, area = begin(context, dataset), staging.create()

        def downloaded(received: int, size: int) -> None:
            progress.notify(progress.Step(dataset.name, month, bytes=received, size=size))

        try:
            with reported_failures(
                key, month, retries=retries, retry_number=context.retry_number, observe=context.log_event
            ):
                raw, changed = source.create().fetch(
                    dataset.name,
                    month,
                    area,
                    landed_rows=_landed_rows(lake, dataset, month),
                    accept_row_count=replacement.accept_row_count,
                    progress=downloaded,
                )
        except NotPublishedError as error:
            context.log.warning(f"{dataset.name} {month} is skipped. {error}")
            context.log_event(_not_published(context, error))
            return
        did = "fetched" if changed else "unchanged"
        if changed and raw.most_rows is not None:
            did += f"; the month had {raw.most_rows:,} rows before"
        context.log.info(f"{dataset.name} {month}: {raw.source_rows:,} rows, {raw.bytes / 1e6:,.1f} MB {did}")
        progress.notify(progress.Step(dataset.name, month, done=True))
        yield dg.MaterializeResult(
            value=raw,
            data_version=dg.DataVersion(raw.sha256),
            metadata=metadata.of_raw(raw, area.location(raw.file), changed=changed),
        )

    return raw_file


def _cleaned_parquet(dataset: Dataset, retries: dg.RetryPolicy, rules: CleaningRules) -> Any:
    key, CleaningConfig = asset_key(dataset.name, CLEANED_PARQUET), _cleaning_config(dataset, rules)  # noqa: N806

    @dg.asset(
        **_common(dataset, CLEANED_PARQUET, retries, rules, upstream=RAW_FILE),
        description="The month in TLC's current names and types; every row of the file is here, or counted as dropped "
        f"or rejected.\n\n{dataset.description}",
        kinds={"parquet"},
        io_manager_key="cleaned_io_manager",
    )
    def cleaned_parquet(
        context: dg.AssetExecutionContext,
        config: CleaningConfig,  # type: ignore[valid-type]
        staging: StagingResource,
        record: RawFile,
    ) -> dg.MaterializeResult[CleanedFile]:
        month, area = begin(context, dataset), staging.create()
        with reported_failures(key, month, observe=context.log_event):
            chosen = dataclasses.replace(rules, **config.model_dump())  # type: ignore[attr-defined]
            cleaned, changed = clean_month(dataset, record, area, rules=chosen, accepted_drift=staging.drift())
            shown = metadata.of_cleaned(cleaned, area, changed=changed)
        did = "cleaned" if changed else "cleaned before"
        context.log.info(
            f"{dataset.name} {month}: {cleaned.cleaned_rows:,} rows {did}, {cleaned.dropped_rows:,} dropped, "
            f"{cleaned.rejected_rows:,} rejected, {cleaned.bytes / 1e6:,.1f} MB"
        )
        progress.notify(progress.Step(dataset.name, month, done=True))
        return dg.MaterializeResult(
            value=cleaned,
            data_version=dg.DataVersion(cleaned.sha256),
            metadata=shown,
        )

    return cleaned_parquet


def _gcs_object(dataset: Dataset, retries: dg.RetryPolicy, rules: CleaningRules, lake: str) -> Any:
    @dg.asset(
        **_common(dataset, GCS_OBJECT, retries, rules, upstream=CLEANED_PARQUET),
        description=f"The cleaned month as an object in the lake, under the tutorial's name.\n\n{dataset.description}",
        kinds={lake, "parquet"},
        io_manager_key="lake_io_manager",
        pool="lake",
    )
    def gcs_object(context: dg.AssetExecutionContext, record: CleanedFile) -> dg.MaterializeResult[CleanedFile]:
        begin(context, dataset)
        return dg.MaterializeResult(value=record, data_version=dg.DataVersion(record.sha256))

    return gcs_object


def _bigquery_table(dataset: Dataset, retries: dg.RetryPolicy, rules: CleaningRules, warehouse: str) -> Any:
    @dg.asset(
        **_common(dataset, BIGQUERY_TABLE, retries, rules, upstream=GCS_OBJECT),
        description=f"The month's rows in the table {dataset.table}, replaced as a whole.\n\n{dataset.description}",
        kinds={warehouse, "table"},
        io_manager_key="warehouse_io_manager",
        pool="warehouse",
        automation_condition=follows_its_upstream(),
    )
    def bigquery_table(context: dg.AssetExecutionContext, record: LakeObject) -> dg.MaterializeResult[LakeObject]:
        begin(context, dataset)
        return dg.MaterializeResult(value=record, data_version=dg.DataVersion(record.sha256))

    return bigquery_table


def _postgres_table(dataset: Dataset, retries: dg.RetryPolicy, rules: CleaningRules) -> Any:
    common = _common(dataset, POSTGRES_TABLE, retries, rules, upstream=CLEANED_PARQUET)
    folded = [dataclasses.replace(column, name=column.name.lower()) for column in dataset.table_columns]
    common["metadata"] |= {
        "dagster/column_schema": metadata.column_schema(folded),
        "dagster/column_lineage": metadata.column_lineage(dataset, asset_key(dataset.name, CLEANED_PARQUET), folded),
    }
    dropped = "Trips with zero passengers are left out and counted if TAXI_POSTGRES_DROP_ZERO_PASSENGERS says so."

    @dg.asset(
        **common,
        description=f"The month's rows in Postgres, in a partition of {dataset.table}, replaced as a whole. "
        f"{dropped if dataset.one('passengers') else ''}\n\n{dataset.description}",
        kinds={"postgres", "table"},
        io_manager_key="postgres_io_manager",
        pool="postgres",
        automation_condition=follows_its_upstream(),
    )
    def postgres_table(context: dg.AssetExecutionContext, record: CleanedFile) -> dg.MaterializeResult[CleanedFile]:
        begin(context, dataset)
        return dg.MaterializeResult(value=record, data_version=dg.DataVersion(record.sha256))

    return postgres_table


def _common(
    dataset: Dataset, name: str, retries: dg.RetryPolicy, rules: CleaningRules, *, upstream: str = ""
) -> dict[str, Any]:
    """Return the arguments that all assets share; those downstream of `raw_file` hold the contract's columns."""
    common: dict[str, Any] = {
        "key": asset_key(dataset.name, name),
        "group_name": dataset.name,
        "owners": OWNERS,
        "tags": {"dataset": dataset.name, "source": "tlc"},
        "partitions_def": partitions_of(dataset),
        "retry_policy": retries,
    }
    if upstream:
        common |= {
            "ins": {"record": dg.AssetIn(asset_key(dataset.name, upstream))},
            "code_version": transform_version(dataset, rules),
            "metadata": {
                "dagster/column_schema": metadata.column_schema(dataset.table_columns),
                "dagster/column_lineage": metadata.column_lineage(dataset, asset_key(dataset.name, upstream)),
                "dictionary": metadata.dictionary(dataset),
            },
        }
    return common


def _freshness(dataset: Dataset) -> dg.FreshnessPolicy:
    """Return the policy that a month lands in time.

    Dagster looks at the last landing, of any month. A month may land `late_after_days` after its end, and the one
    before it 31 days after its own end, a month earlier: as many days may pass between two landings.
    """
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(days=dataset.late_after_days))


def begin(context: dg.AssetExecutionContext, dataset: Dataset) -> Month:
    """Return the month of a run, and tag the run with it: a backfill tags its runs with their partition keys only."""
    month = Month.parse(context.partition_key)
    if "month" not in context.run.tags:
        context.instance.add_run_tags(context.run.run_id, run_tags(dataset.name, month))
    return month


def _landed_rows(lake: LakeResource, dataset: Dataset, month: Month) -> int:
    """Return the rows of a month in the lake; 0 if a bucket does not answer: the step that writes to it says so."""
    with contextlib.suppress(TaxiError):
        return lake.create().landed_rows(dataset.name, month)
    return 0


def _not_published(context: dg.AssetExecutionContext, error: NotPublishedError) -> dg.AssetObservation:
    return dg.AssetObservation(
        context.asset_key,
        partition=context.partition_key,
        description=error.message,
        metadata={"status": "not_published", **parts_of(error)},
    )
