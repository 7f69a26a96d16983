"""What a published value means: how a text, or a type that drifted, becomes a contract's value, and when it does not.

Nothing is rounded, cut or guessed: a value that does not fit exactly is a fault, and its row is rejected. What a
value means is said by `whole`, `number`, `moment` and `words`, one value at a time; `read` gives the same for an array
at once, and asks them only about the few values that Arrow's own strict casts refuse.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from taxi_assets.contracts.model import Column, Kind
from taxi_assets.contracts.schemas import arrow_type

PARSER_VERSION = "2"
"""Raised when a value comes to mean something else, so that months are cleaned again."""

EXACT = 2**53
"""Whole numbers below it are exact as a double."""

MICROSECONDS = pa.timestamp("us")
_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[ T]([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?)?)?"
)
_US = re.compile(
    r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4}) ([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?: ([AP]M))?", re.IGNORECASE
)
_TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000}
_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800
"""Seconds from 1970-01-01 to the beginning of these years."""

_SMALL_ARRAY = 256
"""Values that are asked about one by one before a refused array is divided further."""


def constants(values: Sequence[float], kind: pa.DataType) -> pa.Array:
    """Return an array of numbers, or of times given as numbers; `pa.array` and `pa.scalar` import pandas, in 0.4 s."""
    plain = np.array(values, np.float64 if pa.types.is_floating(kind) else f"int{kind.bit_width}")
    return pa.Array.from_buffers(kind, len(plain), [None, pa.py_buffer(plain)])


def null(kind: pa.DataType) -> pa.Scalar:
    """Return a NULL."""
    return pa.nulls(1, kind)[0]


_ZERO, _TOO_LARGE = constants([0], pa.int32())[0], constants([EXACT], pa.float64())[0]
_NO = pc.is_valid(null(pa.int64()))


def parse_int(value: Any) -> int | None:
    """Return the whole number that a text or number is, or None: 2.0 is 2, 2.5 is none."""
    if isinstance(value, str):
        value = int(value) if _INT.fullmatch(value) else parse_float(value)
    if isinstance(value, float):
        value = int(value) if value.is_integer() and abs(value) < EXACT else None
    elif isinstance(value, Decimal):
        value = int(value) if value.is_finite() and value == value.to_integral_value() else None
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def parse_float(value: Any) -> float | None:
    """Return the finite number that a text or number is, or None."""
    if isinstance(value, str):
        value = float(value) if _FLOAT.fullmatch(value) else None
    elif isinstance(value, Decimal):
        value = float(value)
    elif type(value) is int:
        value = float(value) if abs(value) <= EXACT else None
    return value if type(value) is float and math.isfinite(value) else None


def parse_datetime(value: Any) -> datetime | None:
    """Return the date and time that a text is, or None: ISO 8601 without a zone, or month/day/year."""
    if not isinstance(value, str):
        return None
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
    """Return the text that a text or whole number is, or None if it is none, or no database could hold it."""
    text = value.strip() if isinstance(value, str) else str(value) if type(value) is int else ""
    return text if text and "\0" not in text else None


_PARSERS: Mapping[Kind, Callable[[Any], Any]] = {
    "int64": parse_int,
    "float64": parse_float,
    "timestamp": parse_datetime,
    "string": parse_text,
}


def parse_value(column: Column, value: Any) -> Any:
    """Return what a value means in a column, today's code for an earlier one; None if it means nothing."""
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            return None
    if isinstance(value, str):
        value = value.strip()
    if column.codes and (code := column.codes.get(str(value).strip().lower())) is not None:
        return code
    return _PARSERS[column.kind](value)


def parse_column(column: Column, raw: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """Read an array of published values as a column of a contract.

    Args:
        column: The contract's column.
        raw: Values as published, of any type.

    Returns:
        Values of the contract's type, null where none is given or it means nothing; and a mask of those that are
        given and mean nothing, or None if there are none.
    """
    if (column.codes or column.kind == "string") and (is_text(raw.type) or pa.types.is_primitive(raw.type)):
        raw = raw.dictionary_encode()  # so that each different value is looked up once
    if not pa.types.is_dictionary(raw.type):
        return _parse_plain(column, raw)
    values, wrong = _parse_plain(column, raw.dictionary)
    return values.take(raw.indices), None if wrong is None else pc.fill_null(wrong.take(raw.indices), _NO)


def _parse_plain(column: Column, raw: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    if pa.types.is_null(raw.type):
        return pa.nulls(len(raw), arrow_type(column.kind)), None
    if pa.types.is_date(raw.type):
        raw = raw.cast(pa.timestamp("s"))
    values = (
        _to_microseconds(raw)
        if column.kind == "timestamp" and pa.types.is_timestamp(raw.type)
        else _values(column, raw)
    )
    if values.null_count == raw.null_count:
        return values, None
    wrong = pc.and_(values.is_null(), is_present(raw))
    return values, wrong if pc.any(wrong).as_py() else None


def is_present(raw: pa.Array) -> pa.Array:
    """Return a mask of where an array holds a value: NaN, blanks and nothing are none."""
    if pa.types.is_dictionary(raw.type):
        return pc.fill_null(is_present(raw.dictionary).take(raw.indices), _NO)
    if is_text(raw.type) or pa.types.is_binary(raw.type):
        held = pc.utf8_trim_whitespace(raw) if is_text(raw.type) else raw
        return pc.fill_null(pc.greater(pc.binary_length(held), _ZERO), _NO)
    if pa.types.is_floating(raw.type):
        return pc.fill_null(pc.invert(pc.is_nan(raw)), _NO)
    return raw.is_valid()


def rejection_reason(column: Column, value: str) -> str:
    """Return why a value is not read."""
    wanted = {"int64": "a whole number", "float64": "a number", "timestamp": "a date and time", "string": "text"}
    known = f" or a known code ({', '.join(column.codes)})" if column.codes else ""
    shown = value if len(value) <= 80 else f"{value[:80]}..."
    return f"'{shown}' is not {wanted[column.kind]}{known}"


def is_text(kind: pa.DataType) -> bool:
    """Whether values of an Arrow type are texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _values(column: Column, raw: pa.Array) -> pa.Array:
    """Read with Arrow where it takes the whole array, else in ever smaller parts, in the end value by value."""
    try:
        return _at_once(column, raw)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    if len(raw) <= _SMALL_ARRAY:
        return pa.array([parse_value(column, value) for value in raw.to_pylist()], arrow_type(column.kind))
    step = max(_SMALL_ARRAY, math.ceil(len(raw) / 16))
    return pa.concat_arrays([_values(column, raw.slice(start, step)) for start in range(0, len(raw), step)])


def _at_once(column: Column, raw: pa.Array) -> pa.Array:
    """Read a whole array; raises ArrowInvalid if a value in it has to be looked at."""
    if column.kind == "string":
        if not is_text(raw.type) or any(parse_value(column, text) != text for text in raw.to_pylist()):
            raise pa.ArrowInvalid
        return raw.cast(pa.string())
    return {"int64": _parse_ints, "float64": _parse_floats, "timestamp": _parse_time_texts}[column.kind](raw)


def _parse_ints(raw: pa.Array) -> pa.Array:
    if is_text(raw.type):
        raw = _trimmed(raw)
        # Arrow reads 0x10 as 16
        if not pc.any(pc.match_substring(raw, "x", ignore_case=True)).as_py():
            try:
                return raw.cast(pa.int64())
            except pa.ArrowInvalid:  # whole numbers written as 1.0
                pass
        raw = _parse_floats(raw)
    if pa.types.is_floating(raw.type):
        raw = raw.cast(pa.float64())
        raw = pc.if_else(pc.is_nan(raw), null(raw.type), raw)
        _require(pc.less(pc.abs(raw), _TOO_LARGE))
    elif not (pa.types.is_integer(raw.type) or pa.types.is_decimal(raw.type)):
        raise pa.ArrowInvalid
    return raw.cast(pa.int64())  # refuses fractions


def _parse_floats(raw: pa.Array) -> pa.Array:
    if is_text(raw.type):
        numbers = _trimmed(raw).cast(pa.float64())
        _require(pc.is_finite(numbers))
        return numbers
    if not (pa.types.is_integer(raw.type) or pa.types.is_floating(raw.type) or pa.types.is_decimal(raw.type)):
        raise pa.ArrowInvalid
    numbers = raw.cast(pa.float64())  # refuses whole numbers that a double cannot hold
    if not _all(pc.is_finite(numbers)):
        numbers = pc.if_else(pc.is_nan(numbers), null(numbers.type), numbers)
        _require(pc.is_finite(numbers))
    return numbers


def _parse_time_texts(raw: pa.Array) -> pa.Array:
    if not is_text(raw.type):
        raise pa.ArrowInvalid
    times = _trimmed(raw).cast(MICROSECONDS)
    _require(within(times))  # Arrow knows a year 0
    return times


def _to_microseconds(raw: pa.Array) -> pa.Array:
    """Return timestamps in microseconds; null where they are finer, or outside of the years 1 to 9999."""
    inside = within(raw)
    if not _all(inside):
        raw = pc.if_else(inside, raw, null(raw.type))
    if raw.type.tz in ("UTC", "Etc/UTC", "+00:00"):
        raw = raw.cast(pa.timestamp(raw.type.unit))  # writers that mark wall time as UTC mean the wall time
    elif raw.type.tz:
        raw = pc.local_timestamp(raw)
    if raw.type == MICROSECONDS:
        return raw
    held = raw.cast(MICROSECONDS, safe=False)
    return pc.if_else(pc.equal(held.cast(raw.type), raw), held, null(MICROSECONDS))


def within(times: pa.Array) -> pa.Array:
    """Return a mask of the timestamps within the years 1 to 9999, which every store can hold."""
    if times.type.unit == "ns":  # its range is 1677 to 2262
        return times.is_valid()
    ticks = _TICKS[times.type.unit]
    first, after = constants([_YEAR_1 * ticks, _YEAR_10000 * ticks], times.type)
    return pc.and_(pc.greater_equal(times, first), pc.less(times, after))


def _trimmed(raw: pa.Array) -> pa.Array:
    """Return texts without surrounding blanks, null where nothing is left."""
    text = pc.utf8_trim_whitespace(raw)
    return pc.if_else(pc.equal(pc.binary_length(text), _ZERO), null(text.type), text)


def _all(mask: pa.Array) -> bool:
    return bool(pc.all(mask).as_py())


def _require(condition: pa.Array) -> None:
    """Refuse an array of which a value does not meet the condition."""
    if not _all(condition):
        raise pa.ArrowInvalid
