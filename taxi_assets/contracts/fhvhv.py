"""High-volume for-hire services: Uber, Lyft, Via and Juno, a dataset of their own since February 2019."""

from __future__ import annotations

from collections.abc import Mapping

from taxi_assets.contracts.codes import FLAG_CODES, LICENSES, SHARED_CODES
from taxi_assets.contracts.metered import CBD_FEE
from taxi_assets.contracts.model import Column, Dataset, Kind, Role, Span
from taxi_assets.months import Month

DETAILS_SINCE = Month(2021, 8)
"""CSV files (until July 2021) carry seven columns; TLC's Parquet files carry all, from the first month on."""


def _detail(
    name: str,
    description: str,
    role: Role | None = None,
    kind: Kind = "float64",
    codes: Mapping[str, int | str] | None = None,
) -> Column:
    """Return a column that the seven-column CSV files, recognized by `SR_Flag`, do not have."""
    return Column(
        name,
        kind,
        description,
        role=role,
        since=DETAILS_SINCE,
        in_parquet=Span(),
        replaced_by="SR_Flag",
        codes=codes or {},
    )


def _time(name: str, description: str) -> Column:
    return _detail(name, description, kind="timestamp")


def _flag(name: str, description: str) -> Column:
    return _detail(name, f"{description} (Y/N)", kind="string", codes=FLAG_CODES)


FHVHV = Dataset(
    name="fhvhv",
    title="High-volume for-hire vehicle trips",
    description="A row for each trip dispatched by a service with more than 10,000 trips a day.",
    first_month=Month(2019, 2),
    dictionary="TLC, Data Dictionary - High Volume FHV Trip Records, March 18, 2025",
    dictionary_url="https://www.nyc.gov/assets/tlc/downloads/pdf/data_dictionary_trip_records_hvfhs.pdf",
    preferred_format="parquet",
    columns=(
        Column(
            "hvfhs_license_num",
            "string",
            f"TLC license number of the high-volume base or business: {LICENSES}. The public mirror lacks it.",
            role="vendor",
            replaced_by="Affiliated_base_number",
            aliases=("hvfhs_license_number",),
        ),
        Column(
            "dispatching_base_num",
            "string",
            "TLC base license number of the base that dispatched the trip.",
            required=True,
            aliases=("dispatching_base_number",),
        ),
        _detail(
            "originating_base_num", "Base number of the base that received the original trip request.", kind="string"
        ),
        _time("request_datetime", "Date and time when the passenger requested to be picked up."),
        _time("on_scene_datetime", "Date and time when the driver arrived (accessible vehicles only)."),
        Column(
            "pickup_datetime",
            "timestamp",
            "Date and time of the pickup.",
            role="pickup_time",
            required=True,
            nullable=False,
        ),
        Column(
            "dropoff_datetime",
            "timestamp",
            "Date and time of the dropoff.",
            role="dropoff_time",
            required=True,
        ),
        Column(
            "PULocationID",
            "int64",
            "TLC taxi zone in which the trip began.",
            role="pickup_zone",
            required=True,
            aliases=("pickup_location_id",),
        ),
        Column(
            "DOLocationID",
            "int64",
            "TLC taxi zone in which the trip ended.",
            role="dropoff_zone",
            required=True,
            aliases=("dropoff_location_id",),
        ),
        _detail("trip_miles", "Total miles of the passenger trip.", role="distance"),
        _detail("trip_time", "Total time of the passenger trip, in seconds.", kind="int64"),
        _detail(
            "base_passenger_fare", "Base passenger fare before tolls, tips, taxes and fees, in US dollars.", "total"
        ),
        _detail("tolls", "Total of all tolls paid in the trip, in US dollars.", "amount"),
        _detail("bcf", "Amount collected for the Black Car Fund, in US dollars.", "amount"),
        _detail("sales_tax", "Amount collected for New York State sales tax, in US dollars.", "amount"),
        _detail("congestion_surcharge", "Amount collected for the congestion surcharge, in US dollars.", "amount"),
        _detail(
            "airport_fee",
            "$2.50 for both dropoff and pickup at LaGuardia, Newark and John F. Kennedy airports.",
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
        CBD_FEE,
        Column(
            "SR_Flag",
            "int64",
            "1 if the trip was part of a shared ride chain, else empty (the public mirror: 0); in the CSV files until "
            "July 2021. `shared_request_flag` and `shared_match_flag` replaced it.",
            until=DETAILS_SINCE.plus(-1),
            in_parquet=None,
            replaced_by="shared_request_flag",
            codes=SHARED_CODES,
        ),
        Column(
            "Affiliated_base_number",
            "string",
            "TLC base license number of the base with which the vehicle is affiliated; only in the public mirror's CSV "
            "files.",
            until=Month(2019, 1),  # never expected: TLC's own files do not have it
            in_parquet=None,
            aliases=("affiliated_base_num",),
        ),
    ),
)
