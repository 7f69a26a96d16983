"""Yellow taxis: medallion cabs, the only ones that may be hailed everywhere in the city."""

from taxi_assets.contracts import metered
from taxi_assets.contracts.model import Column, Dataset, Span
from taxi_assets.months import Month

YELLOW = Dataset(
    name="yellow",
    title="Yellow taxi trips",
    description="A row for each trip of a medallion (yellow) taxi, by its taximeter's records.",
    first_month=Month(2009, 1),
    dictionary="TLC, Data Dictionary - Yellow Taxi Trip Records, March 18, 2025",
    dictionary_url="https://www.nyc.gov/assets/tlc/downloads/pdf/data_dictionary_trip_records_yellow.pdf",
    columns=(
        metered.VENDOR,
        Column(
            "tpep_pickup_datetime",
            "timestamp",
            "Date and time when the meter was engaged.",
            role="pickup_time",
            required=True,
            nullable=False,
            aliases=("trip_pickup_datetime", "pickup_datetime"),
        ),
        Column(
            "tpep_dropoff_datetime",
            "timestamp",
            "Date and time when the meter was disengaged.",
            role="dropoff_time",
            required=True,
            aliases=("trip_dropoff_datetime", "dropoff_datetime"),
        ),
        metered.PASSENGERS,
        metered.DISTANCE,
        metered.RATE,
        metered.FLAG,
        *metered.zones(in_parquet=Span(since=Month(2011, 1))),
        metered.PAYMENT,
        metered.FARE,
        metered.EXTRA,
        metered.MTA_TAX,
        metered.TIP,
        metered.TOLLS,
        metered.IMPROVEMENT,
        metered.TOTAL,
        metered.CONGESTION,
        Column(
            "Airport_fee",
            "float64",
            "Fee for pickups at LaGuardia and John F. Kennedy airports, in US dollars. CSV files up to July 2021 do "
            "not have it.",
            role="amount",
            since=Month(2021, 8),
            in_parquet=Span(since=Month(2021, 4)),
        ),
        metered.CBD_FEE,
        metered.REQUEST_SOURCE,
        *metered.coordinates(in_parquet=Span(until=Month(2010, 12))),
    ),
)
