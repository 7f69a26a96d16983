"""What a month looks like: the chart in Dagster's UI, and the report as a page and as images. Knows no Dagster.

`metrics` counts (in the warehouse, by the SQL in `queries`), `charts` and `sparkline` draw, `html` renders the page,
and `report` puts it into the lake.
"""
