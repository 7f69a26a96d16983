"""The places in which a month can land: a folder, Google Cloud Storage, DuckDB, BigQuery, Postgres. No Dagster.

Each store puts a month so that a reader sees the old one or the new one and nothing between, and putting it twice
changes nothing. What a month contains is not decided here.
"""
