"""What a table in BigQuery looks like, made from the contract; and what may be different about one that exists.

Columns, types, modes and partitions are the contract's. Clustering, labels and everything else of an existing table
are its owner's to tune.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from taxi_assets.contracts.model import SOURCE_MONTH, Dataset
from taxi_assets.contracts.schemas import bigquery_fields
from taxi_assets.errors import PermanentError
from taxi_assets.months import Month
from taxi_assets.storage.google.access import LABELS

if TYPE_CHECKING:
    from google.cloud import bigquery


def ensure_table(
    client: bigquery.Client, reference: bigquery.TableReference, dataset: Dataset, **request_options: Any
) -> bigquery.Table:
    """Return the table; it is made if it is not there, and gains columns that are new.

    Args:
        client: The client.
        reference: The table's name.
        dataset: Its contract.
        patience: `timeout` and `retry` of each request.

    Raises:
        PermanentError: The table differs otherwise; says in what.
        google.api_core.exceptions.GoogleAPICallError: BigQuery refuses.
    """
    from google.api_core import exceptions as api
    from google.cloud import bigquery

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
    """Return the table of a contract, not yet made."""
    from google.cloud import bigquery

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

    Questions about a place read one zone's blocks, and those about a day the day's within each zone. The other way
    round, by pickup time first, the zones would be scattered over the month.
    """
    columns = (dataset.one("pickup_zone"), dataset.one("pickup_time"))
    return [column.name for column in columns if column]


def check_kept(table: bigquery.Table, month: Month) -> None:
    """Refuse a month that BigQuery would drop as soon as it is loaded.

    A table takes its dataset's default partition expiration when it is made; in the BigQuery sandbox that is 60 days,
    and every month that TLC publishes is older.

    Raises:
        PermanentError: The month is older than the table's partition expiration.
    """
    expiration = table.time_partitioning.expiration_ms if table.time_partitioning else None
    age = dt.datetime.now(dt.timezone.utc).date() - month.first_day
    if expiration is not None and age > dt.timedelta(milliseconds=expiration):
        days, name = expiration / 86_400_000, f"{table.project}.{table.dataset_id}.{table.table_id}"
        raise PermanentError(
            f"the table drops months that are older than {days:g} days, and {month} is",
            location=f"{name}, partition expiration",
            remedy=f"ALTER TABLE `{name}` SET OPTIONS (partition_expiration_days = NULL), and the same with ALTER SCHEMA "
            "and default_partition_expiration_days for its dataset; in the BigQuery sandbox, turn on billing first",
        )


def reconciled(table: bigquery.Table, dataset: Dataset) -> list[dict[str, Any]]:
    """Return the fields that a table is to have: its own with the contract's descriptions, then new ones.

    Raises:
        PermanentError: Something else is different.
    """
    want = {field["name"].lower(): field for field in bigquery_fields(dataset.table_columns)}
    have = [field.to_api_repr() for field in table.schema]
    wrong = []
    for field in have:
        expected = want.pop(field["name"].lower(), None)
        if expected is None:
            wrong.append(f"column {field['name']} is not in the contract")
            continue
        wrong += [
            f"{what} of {field['name']} is {field[what]}, not {expected[what]}"
            for what in ("type", "mode")
            if field[what] != expected[what]
        ]
        field["description"] = expected["description"]
    wrong += [f"REQUIRED column {field['name']} is missing" for field in want.values() if field["mode"] == "REQUIRED"]
    partitioning = table.time_partitioning
    if partitioning is None or (partitioning.type_, partitioning.field) != ("MONTH", SOURCE_MONTH.name):
        wrong.append(f"it is not partitioned by MONTH on {SOURCE_MONTH.name}")
    if wrong:
        raise PermanentError(
            f"the table differs from the contract: {'; '.join(wrong)}",
            location=f"{table.project}.{table.dataset_id}.{table.table_id}",
            remedy="rename or delete the table, then materialise its months again",
        )
    return have + list(want.values())
