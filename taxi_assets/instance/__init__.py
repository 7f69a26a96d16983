"""What the project adds to Dagster's instance; each module names the defect it mends."""
