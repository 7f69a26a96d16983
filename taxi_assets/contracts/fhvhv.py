"""High-volume for-hire services: Uber, Lyft, Via and Juno, a dataset of their own since February 2019."""

from __future__ import annotations

from taxi_assets.contracts.codes import LICENSES
from taxi_assets.contracts.model import Column, Dataset, Role
from taxi_assets.months import Month

DETAILS_SINCE = Month(2021, 8)
"""CSV files (until July 2021) carry seven columns; TLC's Parquet files carry all."""


def _detail(name: str, description: str, role: Role | None = None, since: Month = DETAILS_SINCE) -> Column:
    return Column(name, "float64", description, role=role, since=since)


def _time(name: str, description: str) -> Column:
    return Column(name, "timestamp", description, since=DETAILS_SINCE)


def _flag(name: str, description: str) -> Column:
    return Column(name, "string", f"{description} (Y/N)", since=DETAILS_SINCE)


FHVHV = Dataset(
    name="fhvhv",
    title="High-volume for-hire vehicle trips",
    description="A row for each trip dispatched by a service with more than 10,000 trips a day.",
    first_month=Month(2019, 2),
    dictionary="TLC, Data Dictionary - High Volume FHV Trip Records, 18 March 2025",
    preferred_format="parquet",
    columns=(
        Column(
            "hvfhs_license_num",
            "string",
            f"TLC license number of the high-volume base or business: {LICENSES}.",
            role="vendor",
            required=True,
        ),
        Column(
            "dispatching_base_num",
            "string",
            "TLC base license number of the base that dispatched the trip.",
            required=True,
        ),
        Column(
            "originating_base_num",
            "string",
            "Base number of the base that received the original trip request.",
            since=DETAILS_SINCE,
        ),
        _time("request_datetime", "Date and time when the passenger requested to be picked up."),
        _time("on_scene_datetime", "Date and time when the driver arrived (accessible vehicles only)."),
        Column(
            "pickup_datetime",
            "timestamp",
            "Date and time of the pick-up.",
            role="pickup_time",
            required=True,
            nullable=False,
        ),
        Column(
            "dropoff_datetime",
            "timestamp",
            "Date and time of the drop-off.",
            role="dropoff_time",
            required=True,
        ),
        Column("PULocationID", "int64", "TLC taxi zone in which the trip began.", role="pickup_zone", required=True),
        Column("DOLocationID", "int64", "TLC taxi zone in which the trip ended.", role="dropoff_zone", required=True),
        _detail("trip_miles", "Total miles of the passenger trip.", role="distance"),
        Column("trip_time", "int64", "Total time of the passenger trip, in seconds.", since=DETAILS_SINCE),
        _detail(
            "base_passenger_fare", "Base passenger fare before tolls, tips, taxes and fees, in US dollars.", "total"
        ),
        _detail("tolls", "Total of all tolls paid in the trip, in US dollars.", "amount"),
        _detail("bcf", "Amount collected for the Black Car Fund, in US dollars.", "amount"),
        _detail("sales_tax", "Amount collected for New York State sales tax, in US dollars.", "amount"),
        _detail("congestion_surcharge", "Amount collected for the congestion surcharge, in US dollars.", "amount"),
        _detail(
            "airport_fee",
            "$2.50 for both drop-off and pick-up at LaGuardia, Newark and John F. Kennedy airports.",
            "amount",
        ),
        _detail("tips", "Total tips received from the passenger, in US dollars.", "amount"),
        _detail(
            "driver_pay",
            "Total driver pay without tolls or tips, net of commission, surcharges and taxes, in US dollars.",
            "amount",
        ),
        _flag("shared_request_flag", "Did the passenger agree to a shared ride, whether or not they were matched?"),
        _flag("shared_match_flag", "Did the passenger share the vehicle with one who booked separately?"),
        _flag("access_a_ride_flag", "Was the trip administered on behalf of the MTA?"),
        _flag("wav_request_flag", "Did the passenger request a wheelchair-accessible vehicle?"),
        _flag("wav_match_flag", "Did the trip occur in a wheelchair-accessible vehicle?"),
        _detail(
            "cbd_congestion_fee",
            "Per-trip charge for the MTA's Congestion Relief Zone, in US dollars; starting 5 January 2025.",
            "amount",
            Month(2025, 1),
        ),
        Column(
            "SR_Flag",
            "int64",
            "1 if the trip was part of a shared ride chain, else empty; in the CSV files until July 2021. "
            "`shared_request_flag` and `shared_match_flag` replaced it.",
            until=DETAILS_SINCE.plus(-1),
        ),
    ),
)
