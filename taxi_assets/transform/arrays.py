"""Whole columns of published values: Arrow reads what it reads strictly, `values` the few texts that Arrow refuses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from taxi_assets.contracts.model import Column
from taxi_assets.contracts.schemas import arrow_type
from taxi_assets.transform.values import EXACT, MISSING_WORDS, UTC_SUFFIX, parse_value

MICROSECONDS = pa.timestamp("us")
_TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000}
_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800
"""Seconds from 1970-01-01 to the beginning of these years."""

_SMALL_ARRAY = 256
"""An array that Arrow refused is read value by value if it is this small, and divided if it is larger."""


def constants(values: Sequence[float], kind: pa.DataType) -> pa.Array:
    """Return an array of numbers, or of times given as numbers; `pa.array` and `pa.scalar` import pandas, in 0.4 s."""
    plain = np.array(values, np.float64 if pa.types.is_floating(kind) else f"int{kind.bit_width}")
    return pa.Array.from_buffers(kind, len(plain), [None, pa.py_buffer(plain)])


def row_numbers(first: int, rows: int) -> pa.Array:
    """Return consecutive numbers."""
    return pa.Array.from_buffers(pa.int64(), rows, [None, pa.py_buffer(np.arange(first, first + rows, dtype=np.int64))])


def null(kind: pa.DataType) -> pa.Scalar:
    """Return a NULL."""
    return pa.nulls(1, kind)[0]


def _texts(words: Iterable[str]) -> pa.Array:
    """Return an array of ASCII texts, for the same reason."""
    words = sorted(words)
    offsets = np.cumsum([0, *map(len, words)], dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(words), [None, pa.py_buffer(offsets), pa.py_buffer("".join(words).encode())]
    )


_ZERO, _TOO_LARGE = constants([0], pa.int32())[0], constants([EXACT], pa.float64())[0]
_NO = pc.is_valid(null(pa.int64()))
_UTC = frozenset({"utc", "etc/utc", "z", "zulu", "etc/zulu", "uct", "etc/uct", "gmt", "etc/gmt", "+00:00", "-00:00"})
_NEW_YORK = frozenset({"america/new_york", "us/eastern"})


def parse_column(column: Column, raw: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """Parse an array of published values as a column of a contract.

    Args:
        column: The contract's column.
        raw: Values as published, of any type.

    Returns:
        Values of the contract's type, null where there is none or it cannot be read; and a mask of those that cannot
        be read, or None if all can.
    """
    if _has_few_values(column, raw.type):
        raw = raw.dictionary_encode()  # each distinct value is looked up once
    if not pa.types.is_dictionary(raw.type):
        return _parse_plain(column, raw)
    values, wrong = _parse_plain(column, raw.dictionary)
    return values.take(raw.indices), None if wrong is None else pc.fill_null(wrong.take(raw.indices), _NO)


def _has_few_values(column: Column, kind: pa.DataType) -> bool:
    if column.kind == "string":
        return is_text(kind) or bool(pa.types.is_primitive(kind))
    return bool(column.codes) and (is_text(kind) or bool(pa.types.is_boolean(kind)))


def _parse_plain(column: Column, raw: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    if is_text(raw.type):
        raw = without_missing(raw, MISSING_WORDS - column.codes.keys() if column.missing_words else ())
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
    """Return a mask of the values that are present: NaN, blanks, NA, NULL and the like are missing."""
    if pa.types.is_dictionary(raw.type):
        return pc.fill_null(is_present(raw.dictionary).take(raw.indices), _NO)
    if is_text(raw.type):
        return without_missing(raw).is_valid()
    if pa.types.is_binary(raw.type):
        return pc.fill_null(pc.greater(pc.binary_length(raw), _ZERO), _NO)
    if pa.types.is_floating(raw.type):
        return pc.fill_null(pc.invert(pc.is_nan(raw)), _NO)
    return raw.is_valid()


def without_missing(raw: pa.Array, words: Iterable[str] = MISSING_WORDS) -> pa.Array:
    """Return texts without surrounding space, null where nothing or one of the words is left."""
    text = pc.utf8_trim_whitespace(raw)
    missing = pc.equal(pc.binary_length(text), _ZERO)
    if words:
        missing = pc.or_(missing, pc.is_in(pc.utf8_lower(text), _texts(words).cast(text.type)))
    return pc.if_else(missing, null(text.type), text)


def zone_note(raw: pa.Array) -> str:
    """Return how times that carry a zone are read; nothing if they carry none."""
    if pa.types.is_dictionary(raw.type):
        return zone_note(raw.dictionary)
    if pa.types.is_timestamp(raw.type) and raw.type.tz:
        return f"marked {raw.type.tz}, read as wall time"
    if is_text(raw.type) and pc.any(pc.match_substring_regex(pc.utf8_trim_whitespace(raw), UTC_SUFFIX)).as_py():
        return "marked UTC, read as wall time"
    return ""


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _values(column: Column, raw: pa.Array) -> pa.Array:
    """Let Arrow read the whole array, or else ever smaller parts, down to single values."""
    try:
        return _at_once(column, raw)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    if len(raw) <= _SMALL_ARRAY:
        return pa.array([parse_value(column, value) for value in raw.to_pylist()], arrow_type(column.kind))
    step = max(_SMALL_ARRAY, math.ceil(len(raw) / 16))
    return pa.concat_arrays([_values(column, raw.slice(start, step)) for start in range(0, len(raw), step)])


def _at_once(column: Column, raw: pa.Array) -> pa.Array:
    """Read a whole array, or raise ArrowInvalid if one of its values needs a closer look."""
    if column.kind == "string":
        if not is_text(raw.type) or any(parse_value(column, text) != text for text in raw.to_pylist()):
            raise pa.ArrowInvalid
        return raw.cast(pa.string())
    return {"int64": _parse_ints, "float64": _parse_floats, "timestamp": _parse_time_texts}[column.kind](raw)


def _parse_ints(raw: pa.Array) -> pa.Array:
    if is_text(raw.type):
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
        numbers = raw.cast(pa.float64())
        _require(pc.is_finite(numbers))
        return numbers
    if pa.types.is_decimal(raw.type):
        raw = raw.cast(pa.string())  # Arrow's own cast to double is one unit in the last place off for 13 % of amounts
    elif not (pa.types.is_integer(raw.type) or pa.types.is_floating(raw.type)):
        raise pa.ArrowInvalid
    numbers = raw.cast(pa.float64())  # refuses whole numbers that a double cannot hold
    if not all_true(pc.is_finite(numbers)):
        numbers = pc.if_else(pc.is_nan(numbers), null(numbers.type), numbers)
        _require(pc.is_finite(numbers))
    return numbers


def _parse_time_texts(raw: pa.Array) -> pa.Array:
    if not is_text(raw.type):
        raise pa.ArrowInvalid
    try:
        times = raw.cast(MICROSECONDS)
    except pa.ArrowInvalid:
        unmarked = pc.replace_substring_regex(raw, UTC_SUFFIX, r"\1")
        times = pc.replace_substring_regex(unmarked, r"(\.[0-9]{6})0{1,3}$", r"\1").cast(MICROSECONDS)
    _require(within(times))  # Arrow knows a year 0
    return times


def _to_microseconds(raw: pa.Array) -> pa.Array:
    """Return wall times in microseconds; null where they are finer, outside the years 1 to 9999, or of another zone."""
    zone = (raw.type.tz or "").lower()
    inside = within(raw)
    if not all_true(inside):
        raw = pc.if_else(inside, raw, null(raw.type))
    if zone in _UTC:
        raw = raw.cast(pa.timestamp(raw.type.unit))  # writers that mark times as UTC mean wall time
    elif zone in _NEW_YORK:
        raw = pc.local_timestamp(raw)
    elif zone:
        return pa.nulls(len(raw), MICROSECONDS)
    if raw.type == MICROSECONDS:
        return raw
    held = raw.cast(MICROSECONDS, safe=False)
    return pc.if_else(pc.equal(held.cast(raw.type), raw), held, null(MICROSECONDS))


def all_true(mask: pa.Array) -> bool:
    """Whether no value is false. Of a column that has no values, none is; Arrow's own default says null."""
    return bool(pc.all(mask, min_count=0).as_py())


def within(times: pa.Array) -> pa.Array:
    """Return a mask of the timestamps in the years 1 to 9999, which every store can hold."""
    if times.type.unit == "ns":  # its range is 1677 to 2262
        return times.is_valid()
    ticks = _TICKS[times.type.unit]
    first, after = constants([_YEAR_1 * ticks, _YEAR_10000 * ticks], times.type)
    return pc.and_(pc.greater_equal(times, first), pc.less(times, after))


def _require(condition: pa.Array) -> None:
    """Raise ArrowInvalid unless every value meets the condition."""
    if not all_true(condition):
        raise pa.ArrowInvalid
