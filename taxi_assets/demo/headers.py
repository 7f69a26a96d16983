"""The headers of TLC's CSV files over the years, for made-up months, and the form of the lines below them."""

from __future__ import annotations

from dataclasses import dataclass

from taxi_assets.months import Month

_YELLOW_2009 = (
    "vendor_name,Trip_Pickup_DateTime,Trip_Dropoff_DateTime,Passenger_Count,Trip_Distance,Start_Lon,Start_Lat,"
    "Rate_Code,store_and_forward,End_Lon,End_Lat,Payment_Type,Fare_Amt,surcharge,mta_tax,Tip_Amt,Tolls_Amt,Total_Amt"
)
_YELLOW_2010 = (
    "vendor_id,pickup_datetime,dropoff_datetime,passenger_count,trip_distance,pickup_longitude,pickup_latitude,"
    "rate_code,store_and_fwd_flag,dropoff_longitude,dropoff_latitude,payment_type,fare_amount,surcharge,mta_tax,"
    "tip_amount,tolls_amount,total_amount"
)
_YELLOW_2015 = (
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,pickup_longitude,"
    "pickup_latitude,RateCodeID,store_and_fwd_flag,dropoff_longitude,dropoff_latitude,payment_type,fare_amount,extra,"
    "mta_tax,tip_amount,tolls_amount,improvement_surcharge,total_amount"
)
_YELLOW_2016 = (
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,RatecodeID,store_and_fwd_flag,"
    "PULocationID,DOLocationID,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,improvement_surcharge,"
    "total_amount"
)
_YELLOW_2019 = f"{_YELLOW_2016},congestion_surcharge"
_GREEN_2013 = (
    "VendorID,lpep_pickup_datetime,Lpep_dropoff_datetime,Store_and_fwd_flag,RateCodeID,Pickup_longitude,"
    "Pickup_latitude,Dropoff_longitude,Dropoff_latitude,Passenger_count,Trip_distance,Fare_amount,Extra,MTA_tax,"
    "Tip_amount,Tolls_amount,Ehail_fee,Total_amount,Payment_type,Trip_type "
)
_GREEN_2015 = _GREEN_2013.replace("Ehail_fee,", "Ehail_fee,improvement_surcharge,")
_GREEN_2016 = (
    "VendorID,lpep_pickup_datetime,lpep_dropoff_datetime,store_and_fwd_flag,RatecodeID,PULocationID,DOLocationID,"
    "passenger_count,trip_distance,fare_amount,extra,mta_tax,tip_amount,tolls_amount,ehail_fee,improvement_surcharge,"
    "total_amount,payment_type,trip_type"
)
_GREEN_2019 = f"{_GREEN_2016},congestion_surcharge"
_FHV_2015 = "Dispatching_base_num,Pickup_date,locationID"
_FHV_2017 = "Dispatching_base_num,Pickup_DateTime,DropOff_datetime,PUlocationID,DOlocationID"
_FHV_2017_JULY = '"Dispatching_base_num","Pickup_DateTime","DropOff_datetime","PUlocationID","DOlocationID","SR_Flag"'
_FHV_2018 = (
    '"Pickup_DateTime","DropOff_datetime","PUlocationID","DOlocationID","SR_Flag","Dispatching_base_number",'
    '"Dispatching_base_num"'
)
_FHV_2019 = "dispatching_base_num,pickup_datetime,dropoff_datetime,PULocationID,DOLocationID,SR_Flag"


@dataclass(frozen=True)
class Header:
    """A header of TLC's files.

    Attributes:
        since: The first month whose file has it.
        text: The names as the file has them.
        blank: The header ends with LF, and a blank line follows it; otherwise all lines end with CRLF.
        wide: Each row has two fields more than the header has names.
    """

    since: Month
    text: str
    blank: bool = False
    wide: bool = False

    @property
    def quoted(self) -> bool:
        """Whether names and values are in quotation marks."""
        return self.text.startswith('"')


_HEADERS = {
    "yellow": (
        Header(Month(2009, 1), _YELLOW_2009, blank=True),
        Header(Month(2010, 1), _YELLOW_2010, blank=True),
        Header(Month(2014, 1), _YELLOW_2010.replace(",", ", "), blank=True),
        Header(Month(2015, 1), _YELLOW_2015),
        Header(Month(2015, 7), _YELLOW_2015.replace("RateCodeID", "RatecodeID")),
        Header(Month(2016, 7), _YELLOW_2016, wide=True),
        Header(Month(2017, 1), _YELLOW_2016, blank=True),
        Header(Month(2019, 1), _YELLOW_2019),
        Header(Month(2021, 8), f"{_YELLOW_2019},Airport_fee"),
        Header(Month(2025, 1), f"{_YELLOW_2019},Airport_fee,cbd_congestion_fee"),
        Header(Month(2026, 6), f"{_YELLOW_2019},Airport_fee,cbd_congestion_fee,request_source"),
    ),
    "green": (
        Header(Month(2013, 8), _GREEN_2013, blank=True, wide=True),
        Header(Month(2015, 1), _GREEN_2015, wide=True),
        Header(Month(2015, 7), _GREEN_2015),
        Header(Month(2016, 1), _GREEN_2015, blank=True),
        Header(Month(2016, 7), _GREEN_2016, blank=True, wide=True),
        Header(Month(2017, 1), _GREEN_2016, blank=True),
        Header(Month(2019, 1), _GREEN_2019),
        Header(Month(2025, 1), f"{_GREEN_2019},cbd_congestion_fee"),
        Header(Month(2026, 6), f"{_GREEN_2019},cbd_congestion_fee,request_source"),
    ),
    "fhv": (
        Header(Month(2015, 1), _FHV_2015),
        Header(Month(2017, 1), _FHV_2017),
        Header(Month(2017, 7), _FHV_2017_JULY),
        Header(Month(2018, 1), _FHV_2018),
        Header(Month(2019, 1), _FHV_2019),
        Header(Month(2021, 8), f"{_FHV_2019},Affiliated_base_number"),
    ),
    "fhvhv": (
        Header(Month(2019, 2), f"hvfhs_license_num,{_FHV_2019}"),
        Header(Month(2025, 1), f"hvfhs_license_num,{_FHV_2019},cbd_congestion_fee"),
    ),
}


def header_of(dataset: str, month: Month) -> Header:
    """Return the header that a month's CSV file has or, from August 2021 on, would have: the columns of its Parquet."""
    return [header for header in _HEADERS[dataset] if header.since <= month][-1]
