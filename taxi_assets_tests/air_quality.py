"""A dataset that is not TLC's, as docs/your-own-data.md shows it: readings of air sensors, one CSV file a month."""

from __future__ import annotations

from taxi_assets.contracts.model import Column, Dataset
from taxi_assets.months import Month

AIR = Dataset(
    name="air",
    title="Air quality",
    description="A row for each reading of a sensor.",
    first_month=Month(2024, 1),
    dictionary="Air quality, the data dictionary",
    dictionary_url="https://example.org/air-quality",
    columns=(
        Column("sensor", "int64", "Number of the sensor.", required=True, aliases=("sensor_id",)),
        Column("measured_at", "timestamp", "When.", role="pickup_time", required=True, nullable=False),
        Column("pm25", "float64", "Fine particles in micrograms per cubic meter."),
        Column("quality", "int64", "How good the reading is.", codes={"ok": 1, "bad": 2}, labels={1: "Good", 2: "Bad"}),
        Column("humidity", "float64", "Percent.", since=Month(2024, 2)),
    ),
)
