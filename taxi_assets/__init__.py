"""taxi_assets: New York's taxi trips, from TLC's files to a warehouse, as a Dagster asset graph."""
