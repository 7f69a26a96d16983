"""Schemas as BigQuery sees them: names of types, what a Parquet file declares, which changes are allowed.

Pure functions on table resources and files; no server, no SQL engine.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

from taxi_assets_tests.servers.front import ApiError, Json

if TYPE_CHECKING:
    from pathlib import Path

_OLD_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
_SQL_NAMES = {old: new for new, old in _OLD_NAMES.items()}
_PHYSICAL = {"INTEGER": "INT64", "FLOAT": "DOUBLE", "STRING": "BYTE_ARRAY", "BYTES": "BYTE_ARRAY", "DATE": "INT32"}


def use_old_names(resource: Json) -> None:
    """Gives the fields of a resource's schema the type names that BigQuery answers with ("TableFieldSchema")."""
    for field in resource.get("schema", {}).get("fields", []):
        field["type"] = _OLD_NAMES.get(field["type"].upper(), field["type"].upper())
        field["mode"] = field.get("mode", "NULLABLE").upper()


def sql_type(field: Json) -> str:
    """Returns the field's type as SQL writes it."""
    name: str = field["type"]
    return _SQL_NAMES.get(name, name)


def month_of(partition: str) -> tuple[dt.date, dt.date]:
    """Returns first day and first day after of the month that a decorator names.

    Raises:
        ApiError: 400 when it is not ``YYYYMM``; other granularities are not modelled.
    """
    try:
        first = dt.datetime.strptime(partition, "%Y%m").date()  # noqa: DTZ007  a calendar month has no zone
    except ValueError as error:
        message = f"Invalid partition identifier for a table partitioned by month: {partition}"
        raise ApiError(400, "invalid", message) from error
    return first, (first + dt.timedelta(days=31)).replace(day=1)


def month_condition(resource: Json, partition: str, alias: str = "") -> str:
    """Returns SQL that is true for the rows of one month; for every row when ``partition`` is empty.

    Args:
        resource: The table.
        partition: ``YYYYMM``, or "".
        alias: The table's alias in the statement, with its dot, e.g. "t.".
    """
    if not partition:
        return "TRUE"
    first, after = month_of(partition)
    column = f"{alias}`{partition_column(resource)}`"
    return f"{column} >= DATE '{first}' AND {column} < DATE '{after}'"


def partition_column(resource: Json) -> str:
    """Returns the column that partitions a table by month.

    Raises:
        ApiError: 400 when the table has none.
    """
    partitioning = resource.get("timePartitioning") or {}
    if partitioning.get("type") != "MONTH" or not partitioning.get("field"):
        raise ApiError(400, "invalid", f"The table is not partitioned by month on a column: {resource.get('id')}")
    column: str = partitioning["field"]
    return column


def check_schema_change(
    name: str, old: list[Json], new: list[Json], *, may_relax: bool = True, may_omit: bool = False
) -> list[Json]:
    """Returns the fields that ``new`` adds to ``old``; refuses what "Modifying table schemas" does not allow.

    Args:
        name: The table, ``project:dataset.table``, for the messages.
        old: Fields of the table.
        new: Fields it is to have, or of the data that is to be loaded.
        may_relax: Whether a REQUIRED field may become NULLABLE.
        may_omit: Whether NULLABLE fields may be left out: a load leaves them null.

    Raises:
        ApiError: 400 invalid, in BigQuery's words.
    """
    added = []
    missing = {field["name"].lower(): field for field in old}
    for field in new:
        before = missing.pop(field["name"].lower(), None)
        if before is None:
            if field["mode"] == "REQUIRED":
                raise _mismatch(name, f"Cannot add required fields to an existing schema. (field: {field['name']})")
            added.append(field)
            continue
        relaxed = may_relax and (before["mode"], field["mode"]) == ("REQUIRED", "NULLABLE")
        for what in ("type", "mode"):
            if before[what] != field[what] and not (what == "mode" and relaxed):
                change = f"Field {field['name']} has changed {what} from {before[what]} to {field[what]}"
                raise _mismatch(name, change)
    for field in missing.values():
        if field["mode"] == "REQUIRED" or not may_omit:
            raise _mismatch(name, f"Field {field['name']} is missing in new schema")
    return added


def _mismatch(name: str, difference: str) -> ApiError:
    return ApiError(400, "invalid", f"Provided Schema does not match Table {name}. {difference}")


def parquet_fields(path: Path, uri: str) -> list[Json]:
    """Returns the fields that a Parquet file declares ("Loading Parquet data: Parquet conversions").

    Raises:
        ApiError: 400 when it is not a Parquet file.
    """
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        message = f"Error while reading data, error message: Input file is not in Parquet format. File: {uri}"
        raise ApiError(400, "invalid", message) from error
    modes = {True: "NULLABLE", False: "REQUIRED"}
    return [{"name": f.name, "type": _bigquery_type(f.type), "mode": modes[f.nullable]} for f in schema]


def _bigquery_type(kind: pa.DataType) -> str:
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_timestamp(kind):
        return "TIMESTAMP" if kind.tz else "DATETIME"
    for name, belongs in (
        ("INTEGER", types.is_integer),
        ("FLOAT", types.is_floating),
        ("STRING", lambda t: types.is_string(t) or types.is_large_string(t)),
        ("BYTES", types.is_binary),
        ("BOOLEAN", types.is_boolean),
        ("DATE", types.is_date),
        ("NUMERIC", types.is_decimal),
    ):
        if belongs(kind):
            return name
    return str(kind).upper()


def check_file(uri: str, in_file: list[Json], wanted: list[Json], *, ignore_unknown: bool) -> list[str]:
    """Returns the names of the wanted fields that the file has, matched by name without regard to case.

    Raises:
        ApiError: 400 for another type, an absent REQUIRED field, or a field that nobody wants
            (``ignoreUnknownValues`` of "JobConfigurationLoad").
    """
    known = {field["name"].lower(): field for field in in_file}
    present = []
    for field in wanted:
        found = known.pop(field["name"].lower(), None)
        if found is None and field["mode"] == "REQUIRED":
            raise _unreadable(uri, f"Required column '{field['name']}' is missing from the file")
        if found is None:
            continue
        if found["type"] != field["type"]:
            has, target = (_PHYSICAL.get(f["type"], f["type"]) for f in (found, field))
            what = f"Parquet column '{field['name']}' has type {has} which does not match the target cpp_type {target}"
            raise _unreadable(uri, what)
        present.append(field["name"])
    if known and not ignore_unknown:
        raise _unreadable(uri, f"No such field: {next(iter(known.values()))['name']}")
    return present


def check_rows(path: Path, uri: str, required: list[str], partition: str, column: str | None) -> int:
    """Returns the file's rows, after looking at each for nulls and for another month.

    Args:
        path: The Parquet file.
        uri: Its ``gs://`` address, for the messages.
        required: Columns that may not be null.
        partition: ``YYYYMM``, or "".
        column: The DATE column that must lie in that month; None when there is no partition.
    """
    first, after = month_of(partition) if column else (dt.date.min, dt.date.max)
    file = pq.ParquetFile(path)
    names = {name.lower(): name for name in file.schema_arrow.names}
    by_name = {name: names[name.lower()] for name in {*required, *([column] if column else [])}}
    for batch in file.iter_batches(columns=list(by_name.values()) or None):
        for name in required:
            if batch.column(by_name[name]).null_count:
                raise _unreadable(uri, f"Only optional fields can be set to NULL. Field: {name}; Value: NULL")
        if column and batch.num_rows:
            dates = batch.column(by_name[column])
            span = pc.min_max(dates).as_py()
            if dates.null_count or span["min"] < first or span["max"] >= after:
                message = "Some rows belong to different partitions rather than destination partition"
                raise ApiError(400, "invalid", f"{message} {partition}. File: {uri}")
    rows: int = file.metadata.num_rows
    return rows


def _unreadable(uri: str, why: str) -> ApiError:
    return ApiError(400, "invalid", f"Error while reading data, error message: {why}. File: {uri}")
