"""What a table in BigQuery looks like, derived from the contract; and what may differ in one that exists.

Columns, types, modes and partitions are the contract's. Clustering, labels and everything else of an existing table
are its owner's to choose.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from google.api_core import exceptions as api
from google.cloud import bigquery

from taxi_assets.contracts.model import SOURCE_MONTH, Dataset
from taxi_assets.contracts.schemas import bigquery_fields
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.storage.google.access import LABELS


def ensure_table(
    client: bigquery.Client, reference: bigquery.TableReference, dataset: Dataset, **request_options: Any
) -> bigquery.Table:
    """Return the table; create it if it is missing, and add the columns that are new.

    Raises:
        PermanentError: The table differs in another way; says in which.
    """
    try:
        table = client.get_table(reference, **request_options)
    except api.NotFound:
        return client.create_table(new_table(reference, dataset), exists_ok=True, **request_options)
    fields = reconciled(table, dataset)
    if fields == [field.to_api_repr() for field in table.schema]:
        return table
    table.schema = [bigquery.SchemaField.from_api_repr(field) for field in fields]
    return client.update_table(table, ["schema"], **request_options)


def new_table(reference: bigquery.TableReference, dataset: Dataset) -> bigquery.Table:
    """Return the table of a contract, not yet created."""
    fields = bigquery_fields(dataset.table_columns)
    table = bigquery.Table(reference, schema=[bigquery.SchemaField.from_api_repr(field) for field in fields])
    table.time_partitioning = bigquery.TimePartitioning(
        type_=bigquery.TimePartitioningType.MONTH, field=SOURCE_MONTH.name
    )
    table.clustering_fields = clustering(dataset)
    table.friendly_name = dataset.title
    table.description = f"{dataset.description} After: {dataset.dictionary}."
    table.labels = LABELS | {"dataset": dataset.name}
    return table


def clustering(dataset: Dataset) -> list[str]:
    """Return the columns by which rows are kept together within a month.

    Queries for a place read one zone's blocks, and those for a day that day's within each zone. With the pickup time
    first, a zone's trips would be scattered over the month.
    """
    columns = (dataset.one("pickup_zone"), dataset.one("pickup_time"))
    return [column.name for column in columns if column]


def check_expiration(table: bigquery.Table, month: Month) -> None:
    """Refuse a month that BigQuery would drop, with its partition or with the whole table.

    A table takes its dataset's default expirations when it is created. In the BigQuery sandbox they are 60 days, and
    every month that TLC publishes is older.
    """
    name = f"{table.project}.{table.dataset_id}.{table.table_id}"
    if table.expires is not None:
        raise PermanentError(
            f"BigQuery deletes the table, with every month in it, on {table.expires:%Y-%m-%d}",
            location=f"{name}, table expiration",
            remedy=_keep(name, "expiration_timestamp", "default_table_expiration_days"),
        )
    expiration = table.time_partitioning.expiration_ms if table.time_partitioning else None
    age = dt.datetime.now(dt.timezone.utc).date() - month.first_day
    if expiration is not None and age > dt.timedelta(milliseconds=expiration):
        raise PermanentError(
            f"the table drops months that are older than {expiration / 86_400_000:g} days, and {month} is",
            location=f"{name}, partition expiration",
            remedy=_keep(name, "partition_expiration_days", "default_partition_expiration_days"),
        )


def _keep(name: str, option: str, default: str) -> str:
    return (
        f"ALTER TABLE `{name}` SET OPTIONS ({option} = NULL), and the same with ALTER SCHEMA and {default} for its "
        "dataset; in the BigQuery sandbox, turn on billing first"
    )


def reconciled(table: bigquery.Table, dataset: Dataset) -> list[dict[str, Any]]:
    """Return the fields that a table should have: its own with the contract's descriptions, then new ones.

    Its owner may have added columns that a load can leave empty, and may have relaxed REQUIRED ones; a table that
    differs in another way is refused.
    """
    name = f"{table.project}.{table.dataset_id}.{table.table_id}"
    want = {field["name"].lower(): field for field in bigquery_fields(dataset.table_columns)}
    have = [field.to_api_repr() for field in table.schema]
    wrong, extra = [], []
    for field in have:
        expected = want.pop(field["name"].lower(), None)
        if expected is None:
            extra += [field["name"]] if field["mode"] == "REQUIRED" else []
            continue
        if field["type"] != expected["type"]:
            wrong.append(f"type of {field['name']} is {field['type']}, not {expected['type']}")
        if field["mode"] not in (expected["mode"], "NULLABLE"):
            wrong.append(f"mode of {field['name']} is {field['mode']}, not {expected['mode']}")
        field["description"] = expected["description"]
    if SOURCE_MONTH.name in want:
        wrong.append(f"REQUIRED column {SOURCE_MONTH.name} is missing")
    partitioning = table.time_partitioning
    if partitioning is None or (partitioning.type_, partitioning.field) != ("MONTH", SOURCE_MONTH.name):
        wrong.append(f"it is not partitioned by MONTH on {SOURCE_MONTH.name}")
    if wrong or extra:
        drops = "; ".join(f"ALTER TABLE `{name}` DROP COLUMN {column}" for column in extra)
        wrong += [f"REQUIRED column {column} is not in the contract" for column in extra]
        raise PermanentError(
            f"the table differs from the contract: {'; '.join(wrong)}",
            location=name,
            remedy=drops if len(wrong) == len(extra) else "rename or delete the table, then load its months again",
        )
    # BigQuery adds no REQUIRED column to a table; the months that were there have NULL until they are loaded again
    return have + [field | {"mode": "NULLABLE"} for field in want.values()]
