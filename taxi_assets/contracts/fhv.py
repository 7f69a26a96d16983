"""For-hire vehicles: trips dispatched by bases (community livery, black car, luxury limousine)."""

from taxi_assets.contracts.codes import SHARED_CODES
from taxi_assets.contracts.model import Column, Dataset
from taxi_assets.months import Month

FHV = Dataset(
    name="fhv",
    title="For-hire vehicle trips",
    description="A row for each trip that a for-hire vehicle base dispatched; since February 2019 without the "
    "high-volume services.",
    first_month=Month(2015, 1),
    late_after_days=150,  # bases report to TLC by themselves, and TLC publishes fhv months after the others
    dictionary="TLC, Data Dictionary - FHV Trip Records, March 18, 2025",
    dictionary_url="https://www.nyc.gov/assets/tlc/downloads/pdf/data_dictionary_trip_records_fhv.pdf",
    columns=(
        Column(
            "dispatching_base_num",
            "string",
            "TLC base license number of the base that dispatched the trip. In 2018 the files name it "
            "Dispatching_base_number and carry an empty Dispatching_base_num beside it.",
            role="vendor",
            required=True,
            aliases=("dispatching_base_number",),
        ),
        Column(
            "pickup_datetime",
            "timestamp",
            "Date and time of the pickup.",
            role="pickup_time",
            required=True,
            nullable=False,
            aliases=("pickup_date",),
        ),
        Column(
            "dropOff_datetime",
            "timestamp",
            "Date and time of the dropoff; published since 2017.",
            role="dropoff_time",
            since=Month(2017, 1),
        ),
        Column(
            "PUlocationID",
            "int64",
            "TLC taxi zone in which the trip began.",
            role="pickup_zone",
            aliases=("pickup_location_id", "location_id"),
        ),
        Column(
            "DOlocationID",
            "int64",
            "TLC taxi zone in which the trip ended; published since 2017.",
            role="dropoff_zone",
            since=Month(2017, 1),
            aliases=("dropoff_location_id",),
        ),
        Column(
            "SR_Flag",
            "int64",
            "1 if the trip was part of a shared ride chain offered by a high-volume company, else empty.",
            since=Month(2017, 7),
            codes=SHARED_CODES,
        ),
        Column(
            "Affiliated_base_number",
            "string",
            "TLC base license number of the base with which the vehicle is affiliated; in TLC's Parquet files and "
            "the public mirror, not in the original CSV files.",
            since=Month(2021, 8),
            aliases=("affiliated_base_num",),
        ),
    ),
)
