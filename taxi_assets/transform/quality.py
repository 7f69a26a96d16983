"""What is checked of a month at each step, and what must hold before it goes on. Results are plain values.

How Dagster shows and enforces them is in `taxi_assets.checks`.
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
from taxi_assets.replacement import is_usual
from taxi_assets.transform.anomalies import (
    MIN_EARLIER_MONTHS,
    MIN_ROWS,
    MONTHS_COMPARED,
    anomaly_shares,
    is_unusual,
)
from taxi_assets.transform.rejects import explain_rejects


@dataclass(frozen=True)
class CheckResult:
    """The result of one check of one month.

    Attributes:
        passed: Whether it holds.
        text: What was found, in one sentence.
        numbers: The figures behind it.
        remedy: What to do if it does not hold.
        blocking: Whether a month for which it does not hold must not go on; else the check warns.
    """

    passed: bool
    text: str
    numbers: dict[str, float] = field(default_factory=dict, hash=False)
    remedy: str = ""
    blocking: bool = True


def check_not_empty(raw: RawFile) -> CheckResult:
    """Check that a raw file has rows; warn if it may have been cut off."""
    text = f"{raw.source_rows:,} data lines" if raw.source_rows else "the file has a header and no rows"
    remedy = "ask TLC, or wait until the file is published again"
    numbers: dict[str, float] = {"source_rows": raw.source_rows}
    if raw.source_rows and (doubts := "; ".join(source_doubts(raw))):
        remedy = "look at the file at the source: if it is damaged, replace it there and run the month again"
        return CheckResult(passed=False, text=f"{text}; {doubts}", numbers=numbers, remedy=remedy, blocking=False)
    return CheckResult(raw.source_rows > 0, text, numbers, remedy)


def source_doubts(raw: RawFile) -> tuple[str, ...]:
    """Return why a raw file may be damaged; nothing if nothing says so. TLC's CSV files end with a line end."""
    doubts, before = [], raw.most_rows
    if before and not is_usual(raw.source_rows, before):
        found = f"the file has {raw.source_rows:,} rows, and the month had {before:,} before"
        doubts.append(f"{found}; --accept-row-count if that is right")
    if not raw.last_line_ends:
        doubts.append("the last line of the file has no line end, so that it may have been cut off")
    return tuple(doubts)


def check_ledger(cleaned: CleanedFile, rows: int, rejected_share_limit: float, rejects_at: str = "") -> CheckResult:
    """Check that every source row is accounted for, and that few enough were rejected.

    Args:
        cleaned: The cleaned month.
        rows: Rows in its file, counted there.
        rejected_share_limit: Share of rejected rows above which the month fails.
        rejects_at: The whole path of the rejects file.
    """
    accounted, share = rows + cleaned.dropped_rows + cleaned.rejected_rows, cleaned.rejected_share
    adds_up = accounted == cleaned.source_rows and rows == cleaned.cleaned_rows
    return CheckResult(
        adds_up and share <= rejected_share_limit,
        f"{cleaned.source_rows:,} source rows {'=' if adds_up else 'are not'} {rows:,} cleaned + "
        f"{cleaned.dropped_rows:,} dropped + {cleaned.rejected_rows:,} rejected; {share:.4%} could not be read, "
        f"the limit is {rejected_share_limit:.4%}"
        + (explain_rejects(cleaned, rejects_at) if share > rejected_share_limit else ""),
        {"source_rows": cleaned.source_rows, "accounted_rows": accounted, "rejected_share": share},
        "look at the rejected rows; if they may be left out, raise TAXI_REJECTED_SHARE_LIMIT"
        if adds_up
        else "this is a bug in taxi_assets; report it with the file",
    )


def require_ledger(cleaned: CleanedFile, rejected_share_limit: float, rejects_at: str = "") -> None:
    """Refuse a cleaned month that the ledger check stopped, whichever run hands it on.

    Raises:
        PermanentError: The ledger does not add up, or too many rows were rejected.
    """
    result = check_ledger(cleaned, cleaned.cleaned_rows, rejected_share_limit, rejects_at)
    if not result.passed:
        location = f"{cleaned.dataset} {cleaned.month}"
        raise PermanentError(f"check ledger: {result.text}", location=location, remedy=result.remedy)


def check_schema(dataset: Dataset, cleaned: CleanedFile, path: Path) -> CheckResult:
    """Check that a cleaned file has the contract's columns and types; warn of unknown and absent source columns."""
    import pyarrow.parquet as pq

    found = pq.read_schema(path).remove_metadata()
    want = arrow_schema(dataset.table_columns)
    wrong = [f"{w.name} is {f.type}, not {w.type}" for f, w in zip(found, want, strict=False) if f.type != w.type]
    wrong += [] if found.names == want.names else [f"columns are {found.names}"]
    notes = [*_drift(cleaned), *_absent(cleaned)]
    said = "; ".join(wrong + notes) or f"{len(want)} columns, as in the contract; the source had no others"
    remedy = "clean the month again"
    if notes:
        remedy = "add an unknown column to taxi_assets/contracts; name one that a file may lack in TAXI_ACCEPTED_DRIFT"
    return CheckResult(
        not wrong and not notes,
        "; ".join((said, *_accepted(cleaned), *cleaned.read_as)),
        {"unknown_columns": len(cleaned.unknown_columns), "absent_columns": len(cleaned.absent_columns)},
        remedy,
        blocking=bool(wrong),
    )


def notes_of(cleaned: CleanedFile) -> list[str]:
    """Return what a person should know of a month that landed: doubts, unknown columns with values, accepted drift."""
    return [*cleaned.source_doubts, *_drift(cleaned), *_accepted(cleaned)]


def _drift(cleaned: CleanedFile) -> list[str]:
    unknown = {n: count for n, count in cleaned.unknown_columns.items() if count and n not in cleaned.accepted_drift}
    return [f"unknown column {name} with {count:,} values was left out" for name, count in unknown.items()]


def _absent(cleaned: CleanedFile) -> list[str]:
    absent = [name for name in cleaned.absent_columns if name not in cleaned.accepted_drift]
    return [f"expected column {name} is absent" for name in absent]


def _accepted(cleaned: CleanedFile) -> list[str]:
    return [f"accepted drift: {', '.join(cleaned.accepted_drift)}"] if cleaned.accepted_drift else []


def check_rejected(cleaned: CleanedFile, rejects_at: str = "") -> CheckResult:
    """Warn if rows could not be read, see `check_ledger`."""
    return CheckResult(
        not cleaned.rejected_rows,
        f"{cleaned.rejected_rows:,} of {cleaned.source_rows:,} rows could not be read"
        + explain_rejects(cleaned, rejects_at),
        {"rejected_rows": cleaned.rejected_rows, "rejected_share": cleaned.rejected_share},
        "look at the reasons; if TLC writes a value in another way, add the format to taxi_assets/transform/values.py",
        blocking=False,
    )


def check_anomalies(cleaned: CleanedFile, earlier: Sequence[CleanedFile]) -> CheckResult:
    """Warn if a kind of strange row is unusually frequent, compared with the months before.

    Args:
        cleaned: The cleaned month.
        earlier: The months before it, up to a year, as many as there are.
    """
    unusual = []
    for name in cleaned.anomalies:
        (share,) = anomaly_shares(name, [cleaned])
        shares = anomaly_shares(name, earlier)
        if is_unusual(share, shares, cleaned.cleaned_rows):
            unusual.append(f"{name}: {share:.2%} of the rows, usually {statistics.median(shares):.2%}")
    said = "; ".join(unusual) or f"nothing unusual compared with the {len(earlier)} months before"
    if not earlier:
        said = f"not compared: none of the {MONTHS_COMPARED} months before has landed"
    elif len(earlier) < MIN_EARLIER_MONTHS or cleaned.cleaned_rows < MIN_ROWS:
        said = (
            f"not compared: a comparison needs {MIN_ROWS:,} rows and {MIN_EARLIER_MONTHS} of the {MONTHS_COMPARED} "
            f"months before; there are {cleaned.cleaned_rows:,} rows and {len(earlier)} months"
        )
    return CheckResult(
        not unusual,
        said,
        dict(cleaned.anomalies),
        "look at the rows before using them; they are in the table",
        blocking=False,
    )


def check_object(stored: LakeObject, cleaned: CleanedFile) -> CheckResult:
    """Check that an object has the cleaned file's rows, and its bytes where both checksums are known."""
    same = stored.sha256 == cleaned.sha256 or stored.sha256.startswith("crc32c-")
    return _same_rows("object", stored.rows, "cleaned", cleaned.cleaned_rows, same_bytes=same)


def check_table(loaded: TableMonth, stored: LakeObject) -> CheckResult:
    """Check that a table has the object's rows, and was loaded from it where that is recorded."""
    same = not loaded.sha256 or loaded.sha256 == stored.sha256
    return _same_rows("table", loaded.rows, "object", stored.rows, same_bytes=same)


def check_postgres(loaded: TableMonth, cleaned: CleanedFile) -> CheckResult:
    """Check that the cleaned file's rows are in the Postgres table, or were dropped by a rule and counted."""
    holds = loaded.rows + loaded.dropped_rows == cleaned.cleaned_rows
    return CheckResult(
        holds,
        f"{cleaned.cleaned_rows:,} cleaned rows {'=' if holds else 'are not'} {loaded.rows:,} loaded + "
        f"{loaded.dropped_rows:,} dropped for zero passengers",
        {"cleaned_rows": cleaned.cleaned_rows, "table_rows": loaded.rows, "dropped_rows": loaded.dropped_rows},
        "load the month again",
    )


def _same_rows(here: str, rows: int, upstream: str, upstream_rows: int, *, same_bytes: bool) -> CheckResult:
    text = f"{rows:,} {here} rows {'=' if rows == upstream_rows else 'are not'} {upstream_rows:,} {upstream} rows"
    return CheckResult(
        rows == upstream_rows and same_bytes,
        text if same_bytes else f"{text}, but the {here} was made from other bytes",
        {f"{here}_rows": rows, f"{upstream}_rows": upstream_rows},
        "load the month again",
    )
