"""Columns that yellow and green taxis share, because both have a meter.

A column belongs here if both dictionaries describe it alike; each dataset orders them and adds its own.
"""

from __future__ import annotations

from taxi_assets.contracts.codes import (
    FLAG_CODES,
    LICENSES,
    PAYMENT_CODES,
    PAYMENTS,
    RATE_CODES,
    RATES,
    VENDOR_CODES,
    VENDORS,
)
from taxi_assets.contracts.model import Column, Role, Span
from taxi_assets.months import Month

ZONES_SINCE = Month(2016, 7)
"""TLC replaced coordinates by taxi zones with the CSV file of July 2016. Its Parquet files have coordinates only in
yellow's months of 2009 and 2010, and zones in all others."""

_ENDS: tuple[tuple[str, str, str, Role], ...] = (
    ("PU", "pickup", "engaged", "pickup_zone"),
    ("DO", "dropoff", "disengaged", "dropoff_zone"),
)

VENDOR = Column(
    "VendorID",
    "int64",
    "The technology provider that sent the record.",
    role="vendor",
    required=True,
    aliases=("vendor_name", "vendor_id"),
    codes=VENDOR_CODES,
    labels=VENDORS,
)
PASSENGERS = Column(
    "passenger_count",
    "int64",
    "Number of passengers in the vehicle, entered by the driver.",
    role="passengers",
    required=True,
)
DISTANCE = Column(
    "trip_distance", "float64", "Trip distance in miles, by the taximeter.", role="distance", required=True
)
RATE = Column(
    "RatecodeID",
    "int64",
    "The final rate code in effect at the end of the trip.",
    aliases=("rate_code",),
    codes=RATE_CODES,
    labels=RATES,
)
FLAG = Column(
    "store_and_fwd_flag",
    "string",
    "Y if the record was held in the vehicle's memory before it was sent, because there was no connection; N if not.",
    aliases=("store_and_forward",),
    codes=FLAG_CODES,
)
PAYMENT = Column(
    "payment_type",
    "int64",
    "How the passenger paid.",
    role="payment",
    required=True,
    codes=PAYMENT_CODES,
    labels=PAYMENTS,
)
FARE = Column(
    "fare_amount",
    "float64",
    "The time-and-distance fare by the meter, in US dollars.",
    role="amount",
    required=True,
    aliases=("fare_amt",),
)
EXTRA = Column(
    "extra",
    "float64",
    "Miscellaneous extras and surcharges, in US dollars. Until 2014 it was named `surcharge`: the $0.50 overnight and "
    "$1 rush hour charges, which `extra` has held since then.",
    role="amount",
    aliases=("surcharge",),
)
MTA_TAX = Column("mta_tax", "float64", "Tax triggered by the metered rate in use, in US dollars.", role="amount")
TIP = Column(
    "tip_amount",
    "float64",
    "Tip in US dollars: filled in for credit card tips, cash tips are not included.",
    role="amount",
    aliases=("tip_amt",),
)
TOLLS = Column(
    "tolls_amount",
    "float64",
    "All tolls paid during the trip, in US dollars.",
    role="amount",
    aliases=("tolls_amt",),
)
IMPROVEMENT = Column(
    "improvement_surcharge",
    "float64",
    "Improvement surcharge assessed at the flag drop, in US dollars; levied since 2015.",
    role="amount",
    since=Month(2015, 1),
    aliases=("imp_surcharge",),
)
TOTAL = Column(
    "total_amount",
    "float64",
    "Total charged to the passenger in US dollars; does not include cash tips.",
    role="total",
    required=True,
    aliases=("total_amt",),
)
CONGESTION = Column(
    "congestion_surcharge",
    "float64",
    "Amount collected for New York State's congestion surcharge, in US dollars.",
    role="amount",
    since=Month(2019, 1),
)
CBD_FEE = Column(
    "cbd_congestion_fee",
    "float64",
    "Per-trip charge for the MTA's Congestion Relief Zone, in US dollars; starting January 5, 2025.",
    role="amount",
    since=Month(2025, 1),
)


REQUEST_SOURCE = Column(
    "request_source",
    "string",
    "Where the trip was requested. TLC has published it since June 2026, filled in a quarter of yellow's rows; no "
    "dictionary of TLC's describes it yet. Values such as HV0003 and HV0005 are license numbers of high-volume "
    f"services ({LICENSES}); others (A, CC, EH0901) are unexplained.",
    since=Month(2026, 6),
)


def zones(in_parquet: Span) -> tuple[Column, ...]:
    """Return the taxi zones of a trip's ends.

    Args:
        in_parquet: Months whose Parquet files have them.
    """
    return tuple(
        Column(
            f"{short}LocationID",
            "int64",
            f"TLC taxi zone where the meter was {engaged}.",
            role=role,
            since=ZONES_SINCE,
            in_parquet=in_parquet,
            replaced_by=f"{end}_longitude",
            aliases=(f"{end}_location_id",),
        )
        for short, end, engaged, role in _ENDS
    )


def coordinates(in_parquet: Span | None) -> tuple[Column, ...]:
    """Return the coordinates that CSV files carried until June 2016, in degrees (WGS 84).

    Args:
        in_parquet: Months whose Parquet files have them.
    """
    return tuple(
        Column(
            f"{end}_{axis}",
            "float64",
            f"{axis.capitalize()} where the meter was {engaged}, in degrees; until June 2016.",
            until=ZONES_SINCE.plus(-1),
            in_parquet=in_parquet,
            replaced_by=f"{short}LocationID",
            aliases=(f"{'start' if end == 'pickup' else 'end'}_{axis[:3]}",),
        )
        for short, end, engaged, _ in _ENDS
        for axis in ("longitude", "latitude")
    )
