"""What a report says in words: names of oddities, where the numbers come from."""

from __future__ import annotations

from taxi_assets.contracts.model import Dataset
from taxi_assets.reports.metrics import Metrics

_WORDS = {
    "pickup_before_month": "Picked up before the month",
    "pickup_after_month": "Picked up after the month",
    "dropoff_before_pickup": "Dropped off before picked up",
    "negative_amount": "A negative amount",
    "zero_passengers": "No passengers",
    "absurd_distance": "Below 0 or above 1,000 miles",
    "unknown_zone": "A zone that does not exist",
    "unknown_vendor": "A vendor without a name",
    "null_block": "Rate and flag missing",
}


def label_of(anomaly: str) -> str:
    """Return an oddity's name for people; `taxi_assets.transform.anomalies` says exactly what is counted."""
    return _WORDS.get(anomaly, anomaly.replace("_", " ").capitalize())


def source_line(dataset: Dataset, numbers: Metrics) -> str:
    """Return the source of a chart in one line."""
    return f"Source: NYC TLC Trip Record Data, {dataset.file_stem(numbers.month)}, {numbers.rows:,} rows"
