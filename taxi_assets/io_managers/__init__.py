"""The IO managers: raw and cleaned files, the lake, the warehouse, Postgres."""
