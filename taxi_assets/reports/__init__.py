"""Pictures of a month: the small chart in the UI, and the report as a page and as images. Knows no Dagster.

Here belongs what turns counted numbers into something to look at. How trips are counted while they are cleaned stands
in `taxi_assets.trips`; what Dagster shows where, in `taxi_assets.assets.reports` and `taxi_assets.io_managers`.
"""
