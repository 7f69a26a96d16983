"""What a table in BigQuery looks like, and what may differ in one that exists."""

from __future__ import annotations

import dataclasses

import pytest
from google.cloud import bigquery as bq

from taxi_assets.contracts import DATASETS
from taxi_assets.errors import PermanentError
from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse
from taxi_assets.storage.warehouse.bigquery_tables import new_table
from taxi_assets_tests.storage.months import FEBRUARY, JANUARY, PROJECT, YELLOW, Put


def table_of(client: bq.Client, warehouse: BigQueryWarehouse) -> bq.Table:
    return client.get_table(f"{PROJECT}.{warehouse.schema}.yellow_trips")


@pytest.mark.parametrize("name", list(DATASETS))
def test_a_table_is_made_as_the_contract_says(client: bq.Client, warehouse: BigQueryWarehouse, name: str) -> None:
    dataset = DATASETS[name]
    warehouse.ensure_table(dataset)
    table = client.get_table(f"{PROJECT}.{warehouse.schema}.{name}_trips")
    kinds = {"int64": "INTEGER", "float64": "FLOAT", "string": "STRING", "timestamp": "DATETIME", "date": "DATE"}
    assert [(f.name, f.field_type, f.is_nullable, f.description) for f in table.schema] == [
        (c.name, kinds[c.kind], c.nullable, c.description) for c in dataset.table_columns
    ]
    assert (table.time_partitioning.type_, table.time_partitioning.field) == ("MONTH", "source_month")
    assert table.clustering_fields == [column.name for column in map(dataset.one, ("pickup_zone", "pickup_time"))]
    assert table.labels == {"source": "tlc", "dataset": name, "made_by": "taxi_assets"}
    assert dataset.description in table.description


def test_a_table_gains_the_contracts_new_nullable_columns_and_keeps_its_rows_and_its_owners_labels(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    older = dataclasses.replace(YELLOW, columns=YELLOW.columns[:-5])
    warehouse.replace_month(older, put(dataset=older))
    table = table_of(client, warehouse)
    table.labels, table.clustering_fields = {"cost_center": "42"}, ["VendorID"]
    client.update_table(table, ["labels", "clustering_fields"])
    warehouse.replace_month(YELLOW, put(FEBRUARY))
    table = table_of(client, warehouse)
    assert [field.name for field in table.schema] == [
        *(column.name for column in older.table_columns),
        *(column.name for column in YELLOW.columns[-5:]),
    ]
    assert table.schema[-1].description == YELLOW.columns[-1].description
    assert table.labels["cost_center"] == "42"
    assert warehouse.count_months("yellow_trips") == {JANUARY: 100, FEBRUARY: 100}
    assert set(warehouse.read_month("yellow", JANUARY)[YELLOW.columns[-1].name].to_pylist()) == {None}


def test_any_other_difference_from_the_contract_is_refused_with_the_difference(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    stored = put()
    table = bq.Table(
        f"{PROJECT}.{warehouse.schema}.yellow_trips",
        schema=[
            bq.SchemaField("VendorID", "STRING"),
            bq.SchemaField("tpep_pickup_datetime", "DATETIME"),
            bq.SchemaField("surprise", "STRING", mode="REQUIRED"),
            bq.SchemaField("trip_distance", "FLOAT", mode="REQUIRED"),
        ],
    )
    client.create_table(table)
    with pytest.raises(PermanentError) as caught:
        warehouse.replace_month(YELLOW, stored)
    for difference in (
        "type of VendorID is STRING, not INTEGER",
        "mode of trip_distance is REQUIRED, not NULLABLE",
        "REQUIRED column surprise is not in the contract",
        "REQUIRED column source_month is missing",
        "not partitioned by MONTH on source_month",
    ):
        assert difference in caught.value.message
    assert len(table_of(client, warehouse).schema) == 4


def test_an_owners_own_nullable_columns_and_relaxed_ones_stop_no_load(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    table = new_table(warehouse._reference("yellow_trips"), YELLOW)
    relaxed = [bq.SchemaField.from_api_repr(field.to_api_repr() | {"mode": "NULLABLE"}) for field in table.schema]
    table.schema = [*relaxed, bq.SchemaField("reviewer", "STRING", description="Who looked at the trip.")]
    client.create_table(table)
    assert warehouse.replace_month(YELLOW, put()).unknown_columns == ("reviewer",)
    assert warehouse.check_table(YELLOW)
    (reviewer,) = [field for field in table_of(client, warehouse).schema if field.name == "reviewer"]
    assert reviewer.description == "Who looked at the trip."
    assert set(warehouse.read_month("yellow", JANUARY)["reviewer"].to_pylist()) == {None}


def test_a_table_of_an_earlier_release_gains_a_required_column_as_one_that_may_be_empty(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    table = new_table(warehouse._reference("yellow_trips"), YELLOW)
    table.schema = [field for field in table.schema if field.name != "source_row"]
    client.create_table(table)
    assert warehouse.replace_month(YELLOW, put()).rows == 100
    (added,) = [field for field in table_of(client, warehouse).schema if field.name == "source_row"]
    assert added.mode == "NULLABLE"
    assert warehouse.check_table(YELLOW)


def test_a_required_column_that_no_file_has_is_refused_with_the_statement_that_drops_it(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    table = new_table(warehouse._reference("yellow_trips"), YELLOW)
    table.schema = [*table.schema, bq.SchemaField("reviewer", "STRING", mode="REQUIRED")]
    client.create_table(table)
    with pytest.raises(PermanentError) as caught:
        warehouse.replace_month(YELLOW, put())
    assert "REQUIRED column reviewer is not in the contract" in caught.value.message
    assert "yellow_trips` DROP COLUMN reviewer" in caught.value.remedy


def test_a_table_that_drops_old_months_takes_none_that_it_would_drop(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    """As in BigQuery's sandbox, where partitions live for 60 days."""
    stored, table = put(), new_table(warehouse._reference("yellow_trips"), YELLOW)
    assert table.time_partitioning is not None
    table.time_partitioning.expiration_ms = 60 * 86_400_000
    client.create_table(table)
    with pytest.raises(PermanentError) as caught:
        warehouse.replace_month(YELLOW, stored)
    assert "drops months that are older than 60 days, and 2021-01 is" in caught.value.message
    assert "partition_expiration_days = NULL" in caught.value.remedy
    assert "sandbox" in caught.value.remedy


def test_a_table_that_bigquery_will_delete_takes_no_month(
    client: bq.Client, warehouse: BigQueryWarehouse, put: Put
) -> None:
    dataset = client.get_dataset(f"{PROJECT}.{warehouse.schema}")
    dataset.default_table_expiration_ms = 30 * 86_400_000
    client.update_dataset(dataset, ["default_table_expiration_ms"])
    for attempt in (lambda: warehouse.replace_month(YELLOW, put()), lambda: warehouse.check_table(YELLOW)):
        with pytest.raises(PermanentError, match="BigQuery deletes the table, with every month in it, on 20") as caught:
            attempt()
        assert "expiration_timestamp = NULL" in caught.value.remedy
        assert "default_table_expiration_days" in caught.value.remedy
        assert "sandbox" in caught.value.remedy


def test_it_knows_its_tables(warehouse: BigQueryWarehouse) -> None:
    assert not warehouse.has_table("yellow_trips")
    warehouse.ensure_table(YELLOW)
    assert warehouse.has_table("yellow_trips")
