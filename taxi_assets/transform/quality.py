"""What is checked of a month at each station, and what must hold before it goes on.

A verdict is a check's result for one month, in plain values. The checks' names, and how Dagster shows them, stand in
`taxi_assets.checks`.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taxi_assets.contracts.model import Dataset
from taxi_assets.contracts.schemas import arrow_schema
from taxi_assets.errors import PermanentError
from taxi_assets.records import CleanedFile, LakeObject, RawFile, TableMonth

UNUSUAL_FACTOR = 3.0
UNUSUAL_FROM = 0.002
"""An oddity is unusual if its share of the rows and the median share of the months before differ threefold, in either
direction, and the larger is above 0.2 %. In TLC's files the shares of one dataset vary by less than two from month to
month."""


@dataclass(frozen=True)
class CheckResult:
    """One check's result for one month.

    Attributes:
        check: Name of the check.
        passed: Whether it holds.
        blocking: Whether a month for which it does not hold must not go on.
        text: What was found, in one sentence.
        numbers: Figures behind it.
        fix: What to do if it does not hold.
    """

    check: str
    passed: bool
    blocking: bool
    text: str
    numbers: dict[str, float] = field(default_factory=dict, hash=False)
    remedy: str = ""

    def raise_if_blocking(self, location: str) -> None:
        """Raise if the month must not go on.

        Raises:
            PermanentError: The check is blocking and did not pass.
        """
        if self.blocking and not self.passed:
            raise PermanentError(f"check {self.check}: {self.text}", location=location, remedy=self.remedy)


def of_raw(raw: RawFile) -> list[CheckResult]:
    """Check a raw month: it has rows."""
    remedy = "ask TLC, or wait until the file is published again"
    text = f"{raw.source_rows:,} data lines" if raw.source_rows else "the file has a header and no rows"
    return [CheckResult("not_empty", raw.source_rows > 0, True, text, {"source_rows": raw.source_rows}, remedy)]


def of_cleaned(
    dataset: Dataset, cleaned: CleanedFile, path: Path, before: Sequence[CleanedFile], rejected_share_limit: float
) -> list[CheckResult]:
    """Check a cleaned month: the ledger, the schema, the rejected share, the columns, the oddities.

    Args:
        dataset: The contract.
        cleaned: The month's papers.
        path: Where its file lies.
        before: Papers of the months before it, as many as there are up to a year.
        rejected_share_limit: Share of rejected rows above which the month fails.
    """
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    found = metadata.schema.to_arrow_schema().remove_metadata()
    want = arrow_schema(dataset.table_columns)
    wrong = [f"{w.name} is {f.type}, not {w.type}" for f, w in zip(found, want, strict=False) if f.type != w.type]
    wrong += [] if found.names == want.names else [f"columns are {found.names}"]
    strange = [f"unknown column {name} with {n:,} values was kept out" for name, n in cleaned.unknown_columns.items()]
    strange += [f"expected column {name} is absent" for name in cleaned.absent_columns]
    return [
        of_ledger(cleaned, metadata.num_rows, rejected_share_limit),
        CheckResult(
            "schema",
            not wrong and not strange,
            bool(wrong),
            "; ".join(wrong + strange) or f"{len(want)} columns, as in the contract; the source had no others",
            {"unknown_columns": len(cleaned.unknown_columns), "absent_columns": len(cleaned.absent_columns)},
            f"add the column to taxi_assets/contracts/{dataset.name}.py",
        ),
        CheckResult(
            "rejected",
            not cleaned.rejected_rows,
            False,
            f"{cleaned.rejected_rows:,} of {cleaned.source_rows:,} rows could not be read"
            + (f"; they lie in {cleaned.rejects_file}" if cleaned.rejects_file else ""),
            {"rejected_rows": cleaned.rejected_rows, "rejected_share": cleaned.rejected_share},
            "look at the reasons; if TLC writes a value in another way, teach it to taxi_assets/transform/values.py",
        ),
        _anomalies(cleaned, before),
    ]


def of_ledger(cleaned: CleanedFile, rows: int, rejected_share_limit: float) -> CheckResult:
    """Check that every source row is accounted for, and that few enough were rejected.

    Args:
        cleaned: The month's papers.
        rows: Rows in its file, counted there.
        rejected_share_limit: See `of_cleaned`.
    """
    accounted, share = rows + cleaned.dropped_rows + cleaned.rejected_rows, cleaned.rejected_share
    adds_up = accounted == cleaned.source_rows and rows == cleaned.cleaned_rows
    return CheckResult(
        "ledger",
        adds_up and share <= rejected_share_limit,
        True,
        f"{cleaned.source_rows:,} source rows {'=' if adds_up else 'are not'} {rows:,} cleaned + "
        f"{cleaned.dropped_rows:,} dropped + {cleaned.rejected_rows:,} rejected; {share:.4%} could not be read, "
        f"the limit is {rejected_share_limit:.4%}",
        {"source_rows": cleaned.source_rows, "accounted_rows": accounted, "rejected_share": share},
        f"look at the rejected rows in {cleaned.rejects_file}; if they may be left out, raise TAXI_REJECTED_SHARE_LIMIT"
        if adds_up
        else "this is a fault of taxi_assets; report it with the file",
    )


def _anomalies(cleaned: CleanedFile, before: Sequence[CleanedFile]) -> CheckResult:
    unusual = []
    for name, count in cleaned.anomalies.items():
        share = count / max(cleaned.cleaned_rows, 1)
        shares = [other.anomalies[name] / max(other.cleaned_rows, 1) for other in before if name in other.anomalies]
        usual = statistics.median(shares) if shares else share
        if max(share, usual) > max(UNUSUAL_FROM, UNUSUAL_FACTOR * min(share, usual)):
            unusual.append(f"{name}: {share:.2%} of the rows, usual are {usual:.2%}")
    return CheckResult(
        "oddities",
        not unusual,
        False,
        "; ".join(unusual) or f"nothing unusual against the {len(before)} months before",
        dict(cleaned.anomalies),
        "look at the rows before using them; they are in the table",
    )


def of_object(stored: LakeObject, cleaned: CleanedFile) -> list[CheckResult]:
    """Check an object: it has the cleaned file's rows."""
    return [_same_rows(stored.rows, "object", cleaned.cleaned_rows, "cleaned", "gcs_object")]


def of_table(loaded: TableMonth, stored: LakeObject) -> list[CheckResult]:
    """Check a loaded month: the table has the object's rows."""
    return [_same_rows(loaded.rows + loaded.dropped_rows, "table", stored.rows, "object", "bigquery_table")]


def of_postgres(loaded: TableMonth, cleaned: CleanedFile) -> list[CheckResult]:
    """Check a month in Postgres: the cleaned file's rows are in the table, or were dropped and counted."""
    holds = loaded.rows + loaded.dropped_rows == cleaned.cleaned_rows
    return [
        CheckResult(
            "ledger",
            holds,
            True,
            f"{cleaned.cleaned_rows:,} cleaned rows {'=' if holds else 'are not'} {loaded.rows:,} loaded + "
            f"{loaded.dropped_rows:,} dropped for zero passengers",
            {
                "cleaned_rows": cleaned.cleaned_rows,
                "table_rows": loaded.rows,
                "dropped_rows": loaded.dropped_rows,
            },
            "materialise postgres_table for this month again",
        )
    ]


def _same_rows(rows: int, here: str, rows_before: int, there: str, asset: str) -> CheckResult:
    return CheckResult(
        "ledger",
        rows == rows_before,
        True,
        f"{rows:,} {here} rows {'=' if rows == rows_before else 'are not'} {rows_before:,} {there} rows",
        {f"{here}_rows": rows, f"{there}_rows": rows_before},
        f"materialise {asset} for this month again",
    )
