"""Why rows were rejected: counted by reason while a month is cleaned, and told with an example."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from taxi_assets.records import CleanedFile
from taxi_assets.transform.batches import Reject

_VALUE = re.compile(r"'(.*)' is not ([^']*)", re.DOTALL)
_FIELDS = re.compile(r"it has [0-9]+ fields, ")
_SHOWN_REASONS, _SHOWN_CHARACTERS = 3, 80


class RejectTally:
    """Counts rejected rows by column and reason, and keeps the first example of each."""

    def __init__(self) -> None:
        self.rows = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], Reject] = {}

    def add(self, rejects: Iterable[Reject]) -> None:
        """Count rejected rows."""
        for reject in rejects:
            reason = _FIELDS.sub("it has too few fields, ", reject.reason)
            if match := _VALUE.fullmatch(reason):
                reason = f"not {match[2]}"
            key = reject.column or "", reason
            self.rows += 1
            self._counts[key] += 1
            self._examples.setdefault(key, reject)

    def top_reasons(self) -> tuple[str, ...]:
        """Return the most frequent reasons, one sentence each: column, rows, and the first example with its line."""
        return tuple(self._sentence(key, count) for key, count in self._counts.most_common(_SHOWN_REASONS))

    def _sentence(self, key: tuple[str, str], count: int) -> str:
        column, reason = key
        rows = f"{count:,} rows" if count > 1 else "1 row"
        return f"{column or 'whole line'}: {reason} ({rows}, first {_example(self._examples[key])})"


def explain_rejects(cleaned: CleanedFile, rejects_at: str = "") -> str:
    """Return why rows of a month were rejected and where they are; nothing if none were.

    Args:
        cleaned: The cleaned month.
        rejects_at: The whole path of the rejects file; by default the record's.
    """
    if not cleaned.rejected_rows:
        return ""
    reasons = "; ".join(cleaned.reject_reasons) or "see the rejects file"
    return f". Most often: {reasons}. All rejected rows are in {rejects_at or cleaned.rejects_file}"


def _example(reject: Reject) -> str:
    """Return the value that was rejected, or the line's beginning, with its line number."""
    match = _VALUE.fullmatch(reject.reason)
    text = match[1] if match else reject.raw_text
    return f"'{text[:_SHOWN_CHARACTERS]}' in line {reject.line_number:,}"
