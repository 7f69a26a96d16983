"""What every lake has in common: the names of its objects and how their footers are read.

The folder is in `folder`, Google Cloud Storage in `gcs`.
"""

from __future__ import annotations

import re
from typing import Any

import pyarrow.parquet as pq

from taxi_assets.months import Month

_NAME = re.compile(r"data/(?P<dataset>\w+)/(?P=dataset)_tripdata_(?P<month>\d{4}-\d{2})\.parquet")


def object_name(dataset: str, month: Month) -> str:
    """Return the name of a month's object, as in the tutorial."""
    return f"data/{dataset}/{dataset}_tripdata_{month}.parquet"


def parse_object_name(name: str) -> tuple[str, Month] | None:
    """Return dataset and month of an object's name, or None if the name is not a month's."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        return match["dataset"], Month.parse(match["month"])
    except ValueError:  # as 2018-13
        return None


def footer(file: Any) -> tuple[int, dict[str, str]]:
    """Return a Parquet file's row count and key-value metadata, without reading its rows.

    Args:
        file: A path, or an open binary file.

    Raises:
        OSError, pyarrow.ArrowInvalid: It is not a Parquet file.
    """
    metadata = pq.read_metadata(file)
    written = metadata.metadata or {}
    return metadata.num_rows, {
        k.decode(): v.decode("utf-8", "replace") for k, v in written.items() if k != b"ARROW:schema"
    }
