"""How a step of the graph works through its months and tells Dagster what became of each.

A month that fails is left out of the output and makes the step fail after the others have landed; steps further down
work on the months they get. A month that is not published is left out too, and fails nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import TaxiError
from taxi_assets.io_managers.monthly import REPORTS_ITSELF
from taxi_assets.landing import Done, Judge, Landing
from taxi_assets.months import Month
from taxi_assets.records import MonthRecord


def land_months(
    context: dg.AssetExecutionContext,
    dataset: Dataset,
    months: Iterable[Month] | Mapping[Month, MonthRecord | TaxiError],
    work: Callable[[Month], Done],
    *,
    judge: Judge | None = None,
    at_once: int = 1,
) -> Iterator[Any]:
    """Work through the months of a step; the body of every asset of the graph.

    Args:
        context: The asset's context.
        dataset: The contract.
        months: The months to do; with the upstream asset's papers, if there is one, or why there are none.
        work: Does one of them.
        judge: See `Landing.each`.
        at_once: See `Landing.each`.

    Yields:
        The outputs and check evaluations that Dagster expects.

    Raises:
        dagster.Failure: A month failed, after the others have landed.
    """
    upstream = months if isinstance(months, Mapping) else {}
    landing = Landing(
        dataset,
        made_from={m: record.sha256 for m, record in upstream.items() if isinstance(record, MonthRecord)},
        failures={m: error for m, error in upstream.items() if isinstance(error, TaxiError)},
    )
    landing.each([m for m in months if m not in landing.failures], work, judge=judge, at_once=at_once)
    for name in context.op_execution_context.op_def.output_dict if context.has_assets_def else ():
        if name != "result":  # a check's own output; its evaluations follow month by month
            yield dg.Output(None, output_name=name)
    if landing.record or not landing.failures:  # with nothing to hand on, the steps further down need not run
        yield dg.Output(landing, metadata={REPORTS_ITSELF: True})  # handle_output may add failures
    yield from _evaluations(context, landing)
    for status, errors in (("not_published", landing.not_published), ("failed", landing.failures)):
        for month, error in errors.items():
            _observe(context, month, status, error)
    if landing.failures:
        raise _failure(dataset, landing)


def hand_on(context: dg.AssetExecutionContext, dataset: Dataset, months: Mapping[Month, Any]) -> Iterator[Any]:
    """Hand a step's months to its IO manager, which does the work; the body of an asset that only moves data."""
    yield from land_months(context, dataset, months, lambda month: (months[month], False, []))


def _failure(dataset: Dataset, landing: Landing) -> dg.Failure:
    failed = landing.failures
    first = next(iter(failed.values()))
    names = ", ".join(str(month) for month in failed) if len(failed) < 4 else f"{len(failed)} months"
    return dg.Failure(
        f"{dataset.name} {names} failed (of {len(landing.seconds.keys() | failed)} in this run): {first}",
        metadata={str(month): str(error) for month, error in failed.items()},
        # a retry of the step would come after the steps further down, which work on what has landed
        allow_retries=False,
    )


def _observe(context: dg.AssetExecutionContext, month: Month, status: str, error: TaxiError) -> None:
    """Leave a note on the month in the UI, and for `taxi-assets run` to find."""
    context.log.log(
        "ERROR" if status == "failed" else "WARNING", f"{context.asset_key.to_user_string()} {month}: {status}. {error}"
    )
    context.log_event(
        dg.AssetObservation(
            context.asset_key,
            partition=f"{month}-01",
            description=error.message,
            metadata={"status": status, "kind": error.kind, "error": str(error)},
        )
    )


def _evaluations(context: dg.AssetExecutionContext, landing: Landing) -> Iterator[dg.AssetCheckEvaluation]:
    keys = [f"{month}-01" for month in landing.record]
    landed = (
        {
            record.partition_key: AssetCheckEvaluationTargetMaterializationData(
                storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
            )
            for record in context.instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=keys), limit=len(keys)
            ).records
        }
        if keys
        else {}
    )
    for month, results in landing.results.items():
        for result in results:
            yield dg.AssetCheckEvaluation(
                asset_key=context.asset_key,
                check_name=result.check,
                partition=f"{month}-01",
                passed=result.passed,
                severity=dg.AssetCheckSeverity.ERROR if result.blocking else dg.AssetCheckSeverity.WARN,
                description=result.text,
                metadata=dict(result.numbers),
                blocking=False,  # a month that failed is left out of the output; Dagster would stop the others too
                target_materialization_data=landed.get(f"{month}-01"),
            )
