"""The asset graph: for each dataset raw_file, cleaned_parquet, gcs_object, bigquery_table."""
