"""What TLC publishes: datasets, columns, the names they had over the years, codes. No Dagster, no I/O.

Everything that depends on a column is generated from here: header mapping and value parsing, the Arrow, DuckDB,
BigQuery and Postgres schemas, the column metadata in the UI and the data dictionary.
"""

from taxi_assets.contracts.fhv import FHV
from taxi_assets.contracts.fhvhv import FHVHV
from taxi_assets.contracts.green import GREEN
from taxi_assets.contracts.model import SOURCE_MONTH, SOURCE_ROW, Column, Dataset, Kind, Span, fold
from taxi_assets.contracts.yellow import YELLOW

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in (YELLOW, GREEN, FHV, FHVHV)}
"""Every dataset of the project by name, in the order the UI and the documents show them."""

__all__ = ["DATASETS", "SOURCE_MONTH", "SOURCE_ROW", "Column", "Dataset", "Kind", "Span", "fold"]
