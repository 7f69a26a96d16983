"""Pictures of months: the chart in the UI, and the report."""
