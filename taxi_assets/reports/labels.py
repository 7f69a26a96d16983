"""What a report calls things: anomalies by name, and where the numbers come from."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from taxi_assets.contracts.model import Dataset
from taxi_assets.reports.metrics import Metrics

ANOMALIES = {
    "pickup_before_month": "Pickup before the month",
    "pickup_after_month": "Pickup after the month",
    "dropoff_before_pickup": "Dropoff earlier than pickup",
    "negative_amount": "Amount below zero",
    "zero_passengers": "No passengers",
    "absurd_distance": "Distance below 0 or above 1,000 miles",
    "unknown_zone": "Zone that does not exist",
    "unknown_vendor": "Vendor not on TLC's list",
    "null_block": "Rate code and flag missing",
}


def label_of(anomaly: str) -> str:
    """Return an anomaly's name for people; `taxi_assets.transform.anomalies` says exactly what it counts."""
    return ANOMALIES.get(anomaly, anomaly.replace("_", " ").capitalize())


def is_local(metrics: Metrics) -> bool:
    """Whether the month came from this machine: the demo's made-up trips, or a local copy."""
    if metrics.cleaned is None:
        return False
    url = urlsplit(metrics.cleaned.source_url)
    try:
        return url.scheme == "file" or ipaddress.ip_address(url.hostname or "").is_loopback
    except ValueError:
        return url.hostname == "localhost"


def origin(metrics: Metrics) -> str:
    """Return where the numbers come from."""
    if metrics.cleaned and metrics.cleaned.source_url.startswith("file:"):
        return "From a local file, not downloaded from TLC"
    if is_local(metrics):
        return "Made-up or local data, not downloaded from TLC"
    return "Source: NYC TLC Trip Record Data"


def source_line(dataset: Dataset, metrics: Metrics) -> str:
    """Return a chart's source in one line."""
    return f"{origin(metrics)}, {dataset.file_stem(metrics.month)}, {metrics.rows:,} rows"


def trips(count: int) -> str:
    """Return a number of trips: `1 trip`, `1,234 trips`."""
    return f"{count:,} trip{'' if count == 1 else 's'}"
