"""The warehouses: DuckDB, BigQuery, Postgres."""
