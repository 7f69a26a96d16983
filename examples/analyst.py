"""Reads what has landed as an analyst does: the lake with pandas and DuckDB, the warehouse with SQL.

    .venv/bin/python examples/analyst.py data/demo
    .venv/bin/python examples/analyst.py data/demo --dataset green
    .venv/bin/python examples/analyst.py --bigquery my-project-123

It needs pandas, pyarrow and duckdb, and for BigQuery google-cloud-bigquery; nothing of this project.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import duckdb
import pandas as pd

BY_MONTH = """
SELECT source_month AS month, COUNT(*) AS trips, ROUND(AVG(trip_distance), 2) AS miles,
       ROUND(AVG(total_amount), 2) AS dollars
FROM nyc_tlc.{dataset}_trips
GROUP BY source_month
ORDER BY source_month
"""


def lake_with_pandas(folder: Path, dataset: str) -> pd.DataFrame:
    """How passengers paid, from one month's file; only two columns of it are read."""
    newest = max(folder.glob(f"lake/data/{dataset}/*.parquet"))
    trips = pd.read_parquet(newest, columns=["payment_type", "tip_amount"])
    payments = {1: "credit card", 2: "cash", 3: "no charge", 4: "dispute"}
    trips["paid_by"] = trips["payment_type"].map(payments).fillna("not known")
    print(f"\n{newest.name}, with pandas")
    return trips.groupby("paid_by").agg(trips=("tip_amount", "size"), mean_tip=("tip_amount", "mean")).round(2)


def lake_with_duckdb(folder: Path, dataset: str) -> pd.DataFrame:
    """Busiest hours over all months: DuckDB reads the lake's files as one table."""
    files = f"{folder}/lake/data/{dataset}/*.parquet"
    time = "lpep_pickup_datetime" if dataset == "green" else "tpep_pickup_datetime"
    print(f"\n{files}, with DuckDB")
    hours = f"SELECT hour({time}) AS hour, count(*) AS trips FROM read_parquet($files)"
    return duckdb.execute(f"{hours} GROUP BY ALL ORDER BY trips DESC LIMIT 3", {"files": files}).df()


def warehouse_in_duckdb(folder: Path, dataset: str) -> pd.DataFrame:
    """Months of the local warehouse; read only, so that it can be open elsewhere too."""
    print(f"\n{folder}/warehouse.duckdb, in SQL")
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as warehouse:
        return warehouse.execute(BY_MONTH.format(dataset=dataset)).df()


def warehouse_in_bigquery(project: str, dataset: str) -> pd.DataFrame:
    """The same months in BigQuery, by the same query. Columns that are not named cost nothing."""
    from google.cloud import bigquery

    print(f"\n{project}, in BigQuery")
    return bigquery.Client(project).query(BY_MONTH.format(dataset=dataset)).to_dataframe(create_bqstorage_client=False)


def main() -> None:
    """Print a few tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("data"), help="data folder (TAXI_DATA_DIR)")
    parser.add_argument("--dataset", choices=("yellow", "green"), default="yellow")
    parser.add_argument("--bigquery", metavar="PROJECT", help="ask BigQuery instead")
    arguments = parser.parse_args()
    if arguments.bigquery:
        print(warehouse_in_bigquery(arguments.bigquery, arguments.dataset).to_string(index=False))
        return
    if not list(arguments.folder.glob(f"lake/data/{arguments.dataset}/*.parquet")):
        parser.error(f"no {arguments.dataset} month has landed in {arguments.folder}; land some with `make demo`")
    print(lake_with_pandas(arguments.folder, arguments.dataset).to_string())
    print(lake_with_duckdb(arguments.folder, arguments.dataset).to_string(index=False))
    print(warehouse_in_duckdb(arguments.folder, arguments.dataset).to_string(index=False))


if __name__ == "__main__":
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:  # as `| head` does; https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
