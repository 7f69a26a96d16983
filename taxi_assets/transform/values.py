"""What a published value means: how one text or number becomes a contract's value, and when it does not.

Nothing is rounded, cut or guessed: a value that does not fit exactly is wrong, and its row is rejected. `arrays`
reads whole columns and gives the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from taxi_assets.contracts.model import Column, Kind

PARSER_VERSION = "3"
"""Raise it when a value comes to mean something else, so that months are cleaned again."""

EXACT = 2**53
"""Whole numbers below it are exact as a double."""

_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[ T]([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6})0{0,3})?)?)?)?"
)
_US = re.compile(
    r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4}) ([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?: ([AP]M))?", re.IGNORECASE
)

UTC_SUFFIX = r"(?i)(:[0-9]{2}(?:\.[0-9]+)?|[AP]M) ?(?:Z|UTC|GMT|[+-]00(?::?00)?)$"
"""A time marked as UTC: Z, UTC, +00:00. Programs that know no time without a zone write wall time so."""

MISSING_WORDS = frozenset({"na", "n/a", "null", "nan", "none", "\\n", "nat", "<na>", "#n/a"})
"""Words for a missing value, in lower case, as R, SQL, NumPy, Python, Hive, pandas and spreadsheets write them."""

_UTC = re.compile(UTC_SUFFIX)


def parse_int(value: Any) -> int | None:
    """Return the whole number that a text or number stands for, or None: 2.0 is 2, 2.5 is None."""
    if isinstance(value, str):
        value = int(value) if _INT.fullmatch(value) else parse_float(value)
    if isinstance(value, float):
        value = int(value) if value.is_integer() and abs(value) < EXACT else None
    elif isinstance(value, Decimal):
        value = int(value) if value.is_finite() and value == value.to_integral_value() else None
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def parse_float(value: Any) -> float | None:
    """Return the finite number that a text or number stands for, or None."""
    if isinstance(value, str):
        value = float(value) if _FLOAT.fullmatch(value) else None
    elif isinstance(value, Decimal):
        value = float(value)
    elif type(value) is int:
        value = float(value) if abs(value) <= EXACT else None
    return value if type(value) is float and math.isfinite(value) else None


def parse_datetime(value: Any) -> datetime | None:
    """Return the wall time that a text stands for, or None: ISO 8601 or month/day/year, as it is or marked as UTC."""
    if not isinstance(value, str):
        return None
    value = _UTC.sub(r"\1", value)
    parts: tuple[int, ...]
    if match := _ISO.fullmatch(value):
        fraction = (match[7] or "").ljust(6, "0")
        parts = (*(int(match[n] or 0) for n in range(1, 7)), int(fraction))
    elif match := _US.fullmatch(value):
        hour, half = int(match[4]), (match[7] or "").upper()
        if half and not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half == "PM") if half else hour
        parts = (int(match[3]), int(match[1]), int(match[2]), hour, int(match[5]), int(match[6] or 0))
    else:
        return None
    try:
        return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - New York wall time
    except ValueError:
        return None


def parse_text(value: Any) -> str | None:
    """Return a text, or a whole number as text; None for anything else, and for text that no database can hold."""
    text = value.strip() if isinstance(value, str) else str(value) if type(value) is int else ""
    return text if text and "\0" not in text else None


_PARSERS: Mapping[Kind, Callable[[Any], Any]] = {
    "int64": parse_int,
    "float64": parse_float,
    "timestamp": parse_datetime,
    "string": parse_text,
}


def parse_value(column: Column, value: Any) -> Any:
    """Return a value as the column's type, today's code for an earlier one; None if it is neither."""
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            return None
    if isinstance(value, str):
        value = value.strip()
    if column.codes and (code := column.codes.get(str(value).strip().lower())) is not None:
        return code
    return None if is_missing(column, value) else _PARSERS[column.kind](value)


def is_missing(column: Column, value: Any) -> bool:
    """Whether a published value is a blank or one of the words that stand for a missing value."""
    if not isinstance(value, str):
        return value is None or value != value
    word = value.strip().lower()
    return not word or (column.missing_words and word in MISSING_WORDS)


def rejection_reason(column: Column, value: str) -> str:
    """Return why a value was rejected."""
    wanted = {"int64": "a whole number", "float64": "a number", "timestamp": "a date and time", "string": "text"}
    known = f" or a known code ({', '.join(column.codes)})" if column.codes else ""
    shown = value if len(value) <= 80 else f"{value[:80]}..."
    return f"'{shown}' is not {wanted[column.kind]}{known}"
