"""Taxi zones: the reference data to which `PULocationID` and `DOLocationID` point.

Source: TLC, `misc/taxi_zone_lookup.csv`, and the Taxi Zones map of NYC Open Data.
"""

from __future__ import annotations

from taxi_assets.contracts.model import Column

ZONES = 265
"""Taxi zones in TLC's lookup; 264 and 265 mean unknown and outside of the city."""

ZONES_TABLE = "taxi_zones"

ZONE_COLUMNS: tuple[Column, ...] = (
    Column(
        "LocationID",
        "int64",
        "Number of the taxi zone, 1 to 265. 264 stands for unknown, 265 for outside of the city.",
        required=True,
        nullable=False,
    ),
    Column(
        "Borough",
        "string",
        "Borough of the zone; EWR is Newark Airport. N/A and Unknown are texts of TLC's, not missing values.",
        required=True,
        missing_words=False,
    ),
    Column(
        "Zone", "string", "Name of the zone; some names stand for several zones.", required=True, missing_words=False
    ),
    Column(
        "service_zone",
        "string",
        "Where which taxis may be hailed: EWR, Airports, Yellow Zone, Boro Zone; N/A is a text. Some editions of the "
        "lookup lack it.",
        missing_words=False,
    ),
)
"""The columns of the zones' table, as TLC names them."""
