"""TLC's CSV schema versions, typed by hand from their headers, with today's column for each field.

Nothing here is taken from the contracts, so that a test which compares the two compares two readings.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from taxi_assets.months import Month

CRLF, BLANK_LINE_2 = "CRLF", "LF after the header, a blank line, CRLF after the rows"


@dataclass(frozen=True)
class SchemaVersion:
    """A schema version that TLC used, with made-up rows in its style.

    Attributes:
        columns: Today's column for each name of the header, in order; blank if the contract has none.
    """

    dataset: str
    month: Month
    ends: str
    header: str
    rows: tuple[str, ...]
    columns: str

    @property
    def content(self) -> bytes:
        """The file's bytes."""
        start = self.header + ("\r\n" if self.ends == CRLF else "\n\r\n")
        return (start + "".join(row + "\r\n" for row in self.rows)).encode()

    def __str__(self) -> str:
        """Return a name for the test's output."""
        return f"{self.dataset} {self.month}"


def read_by_hand(content: bytes, version: SchemaVersion) -> list[dict[str, Any]]:
    """Read a file with the csv module, and name and convert its values as the schema version has them."""
    lines = io.StringIO(content.decode(), newline=None).read().splitlines()
    rows = list(csv.reader(line for line in lines if line))[1:]
    names = version.columns.split()
    found = []
    for row in rows:
        values: dict[str, Any] = {}
        for name, text in zip(names, row, strict=False):
            if text or name not in values:
                values[name] = _convert(name, text)
        found.append(values)
    return found


TEXTS = {
    "Affiliated_base_number",
    "store_and_fwd_flag",
    "dispatching_base_num",
    "hvfhs_license_num",
}
WHOLE = {
    "VendorID",
    "passenger_count",
    "RatecodeID",
    "PULocationID",
    "DOLocationID",
    "PUlocationID",
    "DOlocationID",
    "payment_type",
    "trip_type",
    "SR_Flag",
}
CODES = {
    "VendorID": {"CMT": 1, "VTS": 2, "DDS": 3},
    "payment_type": {
        "CASH": 2, "Cas": 2, "Cash": 2, "CSH": 2, "CAS": 2, "Credit": 1, "CREDIT": 1, "CRD": 1, "Cre": 1, "CRE": 1,
        "No Charge": 3, "NOC": 3, "No ": 3, "Dispute": 4, "DIS": 4, "Dis": 4, "UNK": 5, "NA ": 5,
    },
    "store_and_fwd_flag": {"0": "N", "1": "Y", "0.0": "N", "1.0": "Y"},
}  # fmt: skip


def _convert(name: str, text: str) -> Any:
    if not text:
        return None
    if (code := CODES.get(name, {}).get(text)) is not None:
        return code
    if name in TEXTS:
        return text
    if name in WHOLE:
        return int(text)
    if "datetime" in name:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - New York wall time
    return float(text)


_YELLOW_PLACES = (
    "VendorID tpep_pickup_datetime tpep_dropoff_datetime passenger_count trip_distance pickup_longitude "
    "pickup_latitude RatecodeID store_and_fwd_flag dropoff_longitude dropoff_latitude payment_type fare_amount extra "
    "mta_tax tip_amount tolls_amount "
)
_YELLOW_ZONES = (
    "VendorID tpep_pickup_datetime tpep_dropoff_datetime passenger_count trip_distance RatecodeID store_and_fwd_flag "
    "PULocationID DOLocationID payment_type fare_amount extra mta_tax tip_amount tolls_amount improvement_surcharge "
    "total_amount "
)
_GREEN_PLACES = (
    "VendorID lpep_pickup_datetime lpep_dropoff_datetime store_and_fwd_flag RatecodeID pickup_longitude "
    "pickup_latitude dropoff_longitude dropoff_latitude passenger_count trip_distance fare_amount extra mta_tax "
    "tip_amount tolls_amount ehail_fee "
)
_GREEN_ZONES = (
    "VendorID lpep_pickup_datetime lpep_dropoff_datetime store_and_fwd_flag RatecodeID PULocationID DOLocationID "
    "passenger_count trip_distance fare_amount extra mta_tax tip_amount tolls_amount ehail_fee improvement_surcharge "
    "total_amount payment_type trip_type "
)
_YELLOW_2015 = (
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,pickup_longitude,"
    "pickup_latitude,RateCodeID,store_and_fwd_flag,dropoff_longitude,dropoff_latitude,payment_type,fare_amount,extra,"
    "mta_tax,tip_amount,tolls_amount,improvement_surcharge,total_amount"
)
_YELLOW_2017 = (
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,RatecodeID,store_and_fwd_flag,"
    "PULocationID,DOLocationID,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,improvement_surcharge,"
    "total_amount"
)
_GREEN_2013 = (
    "VendorID,lpep_pickup_datetime,Lpep_dropoff_datetime,Store_and_fwd_flag,RateCodeID,Pickup_longitude,"
    "Pickup_latitude,Dropoff_longitude,Dropoff_latitude,Passenger_count,Trip_distance,Fare_amount,Extra,MTA_tax,"
    "Tip_amount,Tolls_amount,Ehail_fee,Total_amount,Payment_type,Trip_type "
)
_GREEN_2015 = _GREEN_2013.replace("Ehail_fee,", "Ehail_fee,improvement_surcharge,")
_GREEN_2017 = (
    "VendorID,lpep_pickup_datetime,lpep_dropoff_datetime,store_and_fwd_flag,RatecodeID,PULocationID,DOLocationID,"
    "passenger_count,trip_distance,fare_amount,extra,mta_tax,tip_amount,tolls_amount,ehail_fee,improvement_surcharge,"
    "total_amount,payment_type,trip_type"
)
_FHV_COLUMNS = "dispatching_base_num pickup_datetime dropOff_datetime PUlocationID DOlocationID SR_Flag"

SCHEMA_VERSIONS = (
    SchemaVersion(
        "yellow",
        Month(2009, 1),
        BLANK_LINE_2,
        "vendor_name,Trip_Pickup_DateTime,Trip_Dropoff_DateTime,Passenger_Count,Trip_Distance,Start_Lon,Start_Lat,"
        "Rate_Code,store_and_forward,End_Lon,End_Lat,Payment_Type,Fare_Amt,surcharge,mta_tax,Tip_Amt,Tolls_Amt,"
        "Total_Amt",
        (
            (
                "VTS,2009-01-04 02:52:00,2009-01-04 03:02:00,1,2.6299999999999999,-73.99,40.72,,,-73.98,40.69,CASH,"
                "8.9000000000000004,0.5,,0,0,9.4000000000000004"
            ),
            "DDS,2009-01-31 23:59:59,2009-02-01 00:10:00,5,10.3,-73.7,40.6,2,1,-73.9,40.7,Credit,45,0,0.5,9,4.15,58.65",
            "CMT,2009-01-03 07:00:00,2009-01-03 07:04:00,1,.8,-73.98,40.75,1,0,-73.97,40.76,No Charge,4.5,0,,0,0,4.5",
        ),
        _YELLOW_PLACES + "total_amount",
    ),
    SchemaVersion(
        "yellow",
        Month(2012, 4),
        BLANK_LINE_2,
        "vendor_id,pickup_datetime,dropoff_datetime,passenger_count,trip_distance,pickup_longitude,pickup_latitude,"
        "rate_code,store_and_fwd_flag,dropoff_longitude,dropoff_latitude,payment_type,fare_amount,surcharge,mta_tax,"
        "tip_amount,tolls_amount,total_amount",
        (
            (
                "CMT,2012-04-09 20:45:25,2012-04-09 20:52:31,1,0.69999999999999996,-73.9,40.7,1,N,-73.9,40.7,CRD,6.5,"
                "0.5,0.5,1.3999999999999999,0,8.9000000000000004"
            ),
            "VTS,2012-04-09 20:46:00,2012-04-09 20:55:00,6,1.4,-73.99,40.77,1,,-73.96,40.76,CSH,8.5,0.5,0.5,0,0,9.5",
            "VTS,2012-04-09 20:46:00,2012-04-09 20:55:00,6,1.4,0,0,1,Y,0,0,UNK,8.5,0.5,0.5,0,0,9.5",
        ),
        _YELLOW_PLACES + "total_amount",
    ),
    SchemaVersion(
        "yellow",
        Month(2014, 1),
        BLANK_LINE_2,
        "vendor_id, pickup_datetime, dropoff_datetime, passenger_count, trip_distance, pickup_longitude, "
        "pickup_latitude, rate_code, store_and_fwd_flag, dropoff_longitude, dropoff_latitude, payment_type, "
        "fare_amount, surcharge, mta_tax, tip_amount, tolls_amount, total_amount",
        (
            "CMT,2014-01-09 20:45:25,2014-01-09 20:52:31,1,0.7,-73.99,40.73,1,N,-73.98,40.73,DIS,6.5,0.5,0.5,0,0,7.5",
            "VTS,2014-01-09 20:46:12,2014-01-09 20:55:12,1,1.4,-73.99,40.77,1,N,-73.96,40.76,NOC,8.5,0.5,0.5,0,0,9.5",
        ),
        _YELLOW_PLACES + "total_amount",
    ),
    SchemaVersion(
        "yellow",
        Month(2015, 1),
        CRLF,
        _YELLOW_2015,
        (
            (
                "2,2015-01-15 19:05:39,2015-01-15 19:23:42,1,1.59,-73.993896484375,40.750110626220703,1,N,"
                "-73.974784851074219,40.750617980957031,1,12,1,0.5,3.25,0,0.3,17.05"
            ),
            "1,2015-01-10 20:33:38,2015-01-10 20:53:28,1,3.30,-74.0,40.7,1,Y,-73.9,40.7,2,14.5,0.5,0.5,0,0,0.3,15.8",
        ),
        _YELLOW_PLACES + "improvement_surcharge total_amount",
    ),
    SchemaVersion(
        "yellow",
        Month(2016, 6),
        CRLF,
        _YELLOW_2015.replace("RateCodeID", "RatecodeID"),
        ("1,2016-06-01 00:00:00,2016-06-01 00:15:26,1,3.50,-73.9,40.7,1,N,-73.9,40.7,2,14,0.5,0.5,0,0,0.3,15.3",),
        _YELLOW_PLACES + "improvement_surcharge total_amount",
    ),
    SchemaVersion(
        "yellow",
        Month(2016, 7),
        CRLF,
        _YELLOW_2017,
        (
            "1,2016-07-10 06:56:05,2016-07-10 06:59:53,1,.50,1,N,263,236,1,4.5,1,0.5,2.7,0,0.3,9,,",
            "2,2016-07-10 10:50:18,2016-07-10 10:55:21,5,1.34,1,N,142,163,1,6,0,0.5,1.36,0,0.3,8.16,,",
        ),
        _YELLOW_ZONES,
    ),
    SchemaVersion(
        "yellow",
        Month(2017, 3),
        BLANK_LINE_2,
        _YELLOW_2017,
        ("2,2017-03-09 21:30:11,2017-03-09 21:44:20,1,4.06,1,N,148,48,2,14,0.5,0.5,0,0,0.3,15.3",),
        _YELLOW_ZONES,
    ),
    SchemaVersion(
        "yellow",
        Month(2019, 1),
        CRLF,
        _YELLOW_2017 + ",congestion_surcharge",
        (
            "1,2019-01-01 00:46:40,2019-01-01 00:53:20,1,1.50,1,N,151,239,1,7,0.5,0.5,1.65,0,0.3,9.95,",
            ",2018-12-21 13:48:30,2018-12-21 13:52:40,,.00,,,236,236,,-4.5,0.5,0.5,0,0,0.3,5.8,2.5",
        ),
        _YELLOW_ZONES + "congestion_surcharge",
    ),
    SchemaVersion(
        "green",
        Month(2013, 8),
        BLANK_LINE_2,
        _GREEN_2013,
        (
            "2,2013-08-01 08:14:37,2013-08-01 09:09:06,N,1,0,0,0,0,1,.00,21.25,0,0,0,0,,21.25,2,,,",
            "2,2013-08-01 09:13:00,2013-08-01 11:38:00,N,1,0,0,0,0,2,.00,74.5,0,0.5,0,0,,75,2,,,",
        ),
        _GREEN_PLACES + "total_amount payment_type trip_type",
    ),
    SchemaVersion(
        "green",
        Month(2015, 1),
        CRLF,
        _GREEN_2015,
        ("2,2015-01-01 00:34:42,2015-01-01 00:38:34,N,1,-73.9,40.7,-73.9,40.7,1,.88,5,0.5,0.5,0,0,,0.3,6.3,2,1,,",),
        _GREEN_PLACES + "improvement_surcharge total_amount payment_type trip_type",
    ),
    SchemaVersion(
        "green",
        Month(2015, 7),
        CRLF,
        _GREEN_2015,
        ("2,2015-07-01 00:01:10,2015-07-01 00:19:04,N,1,-73.9,40.7,-73.9,40.7,1,4.33,15.5,0.5,0.5,0,0,,0.3,16.8,2,2",),
        _GREEN_PLACES + "improvement_surcharge total_amount payment_type trip_type",
    ),
    SchemaVersion(
        "green",
        Month(2016, 7),
        BLANK_LINE_2,
        _GREEN_2017,
        ("2,2016-07-01 00:01:22,2016-07-01 00:38:57,N,1,7,41,1,7.14,28,0,0.5,5.76,0,,0.3,34.56,1,1,,",),
        _GREEN_ZONES,
    ),
    SchemaVersion(
        "green",
        Month(2017, 1),
        BLANK_LINE_2,
        _GREEN_2017,
        ("2,2017-01-01 00:01:15,2017-01-01 00:11:05,Y,5,42,166,1,1.71,9,0,0.5,0,0,1.95,0.3,9.8,2,2",),
        _GREEN_ZONES,
    ),
    SchemaVersion(
        "green",
        Month(2019, 1),
        CRLF,
        _GREEN_2017 + ",congestion_surcharge",
        (
            "2,2018-12-21 15:17:29,2018-12-21 15:18:57,N,1,264,264,5,.00,3,0.5,0.5,0,0,,0.3,4.3,2,1,2.75",
            "2,2019-01-01 00:10:16,2019-01-01 00:16:32,N,1,97,49,2,.86,6,0.5,0.5,0,0,,0.3,7.3,2,1,",
        ),
        _GREEN_ZONES + "congestion_surcharge",
    ),
    SchemaVersion(
        "fhv",
        Month(2015, 1),
        CRLF,
        "Dispatching_base_num,Pickup_date,locationID",
        ("B00013,2015-01-01 00:30:00,", "B02512,2015-01-01 01:22:00,265"),
        "dispatching_base_num pickup_datetime PUlocationID",
    ),
    SchemaVersion(
        "fhv",
        Month(2017, 1),
        CRLF,
        "Dispatching_base_num,Pickup_DateTime,DropOff_datetime,PUlocationID,DOlocationID",
        ("B00001,2017-01-01 00:30:00,,,", "B00008,2017-01-01 00:50:00,2017-01-01 01:10:00,161,4"),
        "dispatching_base_num pickup_datetime dropOff_datetime PUlocationID DOlocationID",
    ),
    SchemaVersion(
        "fhv",
        Month(2017, 7),
        CRLF,
        '"Dispatching_base_num","Pickup_DateTime","DropOff_datetime","PUlocationID","DOlocationID","SR_Flag"',
        (
            '"B02817","2017-07-18 21:29:00","2017-07-18 21:30:38","144","132",""',
            '"B02817","2017-07-18 21:53:43","","",,"1"',
        ),
        _FHV_COLUMNS,
    ),
    SchemaVersion(
        "fhv",
        Month(2018, 1),
        CRLF,
        '"Pickup_DateTime","DropOff_datetime","PUlocationID","DOlocationID","SR_Flag","Dispatching_base_number",'
        '"Dispatching_base_num"',
        ('"2018-01-30 21:06:50","2018-01-30 21:15:34","56","129","","B02884",""',),
        "pickup_datetime dropOff_datetime PUlocationID DOlocationID SR_Flag dispatching_base_num dispatching_base_num",
    ),
    SchemaVersion(
        "fhv",
        Month(2019, 1),
        CRLF,
        "dispatching_base_num,pickup_datetime,dropoff_datetime,PULocationID,DOLocationID,SR_Flag",
        ("B00001,2019-01-01 00:30:00,2019-01-01 02:51:55,,,", "B00001,2019-01-01 00:45:00,2019-01-01 00:54:49,7,8,1"),
        _FHV_COLUMNS,
    ),
    SchemaVersion(
        "fhv",
        Month(2020, 2),
        CRLF,
        "dispatching_base_num,pickup_datetime,dropOff_datetime,PUlocationID,DOlocationID,SR_Flag,Affiliated_base_number",
        ("B00001,2020-02-01 00:30:00,2020-02-01 02:51:55,1,2,,B00001",),
        _FHV_COLUMNS + " Affiliated_base_number",
    ),
    SchemaVersion(
        "fhvhv",
        Month(2019, 2),
        CRLF,
        "hvfhs_license_num,dispatching_base_num,pickup_datetime,dropoff_datetime,PULocationID,DOLocationID,SR_Flag",
        (
            "HV0003,B02867,2019-02-01 00:05:18,2019-02-01 00:14:57,245,251,",
            "HV0005,B02510,2019-02-01 00:51:34,2019-02-01 01:28:29,261,234,1",
        ),
        "hvfhs_license_num dispatching_base_num pickup_datetime dropoff_datetime PULocationID DOLocationID SR_Flag",
    ),
)
