"""Green taxis: boro taxis, hailed outside Manhattan's core since August 2013, or dispatched."""

from taxi_assets.contracts import metered
from taxi_assets.contracts.codes import TRIP_TYPE_CODES, TRIP_TYPES
from taxi_assets.contracts.model import Column, Dataset, Span
from taxi_assets.months import Month

GREEN = Dataset(
    name="green",
    title="Green taxi trips",
    description="A row for each trip of a street-hail livery (green, boro) taxi, by its taximeter's records.",
    first_month=Month(2013, 8),
    dictionary="TLC, Data Dictionary - LPEP Trip Records, March 18, 2025",
    dictionary_url="https://www.nyc.gov/assets/tlc/downloads/pdf/data_dictionary_trip_records_green.pdf",
    columns=(
        metered.VENDOR,
        Column(
            "lpep_pickup_datetime",
            "timestamp",
            "Date and time when the meter was engaged.",
            role="pickup_time",
            required=True,
            nullable=False,
            aliases=("pickup_datetime",),
        ),
        Column(
            "lpep_dropoff_datetime",
            "timestamp",
            "Date and time when the meter was disengaged.",
            role="dropoff_time",
            required=True,
            aliases=("dropoff_datetime",),
        ),
        metered.FLAG,
        metered.RATE,
        *metered.zones(in_parquet=Span()),
        metered.PASSENGERS,
        metered.DISTANCE,
        metered.FARE,
        metered.EXTRA,
        metered.MTA_TAX,
        metered.TIP,
        metered.TOLLS,
        Column(
            "ehail_fee",
            "float64",
            "E-hail fee in US dollars; published empty in nearly every file.",
            role="amount",
        ),
        metered.IMPROVEMENT,
        metered.TOTAL,
        metered.PAYMENT,
        Column(
            "trip_type",
            "int64",
            "Whether the trip was a street-hail or a dispatch, by the metered rate in use; the driver can alter it.",
            codes=TRIP_TYPE_CODES,
            labels=TRIP_TYPES,
        ),
        metered.CONGESTION,
        metered.CBD_FEE,
        metered.REQUEST_SOURCE,
        *metered.coordinates(in_parquet=None),
    ),
)
