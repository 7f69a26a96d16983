"""Writes what the documents take from the code: the data dictionary, and the settings table of the README.

    make docs

The dictionary comes from `taxi_assets/contracts` and `taxi_assets/reports/labels.py`, the table from
`taxi_assets/settings.py`. A test fails when a file is out of date.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from taxi_assets.contracts import DATASETS, SOURCE_MONTH, SOURCE_ROW, Column, Dataset, Span
from taxi_assets.contracts.schemas import TYPES
from taxi_assets.contracts.zones import ZONE_COLUMNS, ZONES_TABLE
from taxi_assets.reports.labels import ANOMALIES
from taxi_assets.settings import Settings, description, variable
from taxi_assets.transform.values import MISSING_WORDS

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- settings: made by `make docs` -->", "<!-- end of settings -->"

_WORDS = ", ".join(f"`{word.upper()}`" for word in sorted(MISSING_WORDS))
_DICTIONARY = f"""\
# Data dictionary

<!-- made by `make docs` from taxi_assets/contracts; change it there -->

One table for each of TLC's datasets, the same in Parquet, DuckDB, BigQuery and Postgres (there in lower case), by
default in the schema `nyc_tlc`. Columns keep TLC's current names. A column that a month's file does not have is NULL
in that month's rows. A column that no contract knows stays in the raw file, and a check of the month warns of it.
Times are New York wall time without a zone, even where a source marks them as UTC. The hour that repeats when
daylight saving time ends is ambiguous in TLC's files, and stays so. Money is in US dollars. The descriptions follow
TLC's data dictionaries, named with each table; the texts that older files use for codes were found in the files.

Every table ends with `{SOURCE_ROW.name}` and `{SOURCE_MONTH.name}`, and is partitioned by the latter.
{SOURCE_MONTH.description} {SOURCE_ROW.description}

"months": those whose file is expected to have the column; the schema check warns where one lacks it. "none": some
files have it, none is expected to. Coordinates and zones replace each other, and so do SR_Flag and the details of
fhvhv.

Blanks and the words
{_WORDS} (in any case) stand for a missing value, except in the names of zones.

"required": every file has the column; one without it is refused. "never NULL": a row without a value is rejected.
"""

_ANOMALIES = """
## Anomalies

Rows that look wrong but are TLC's. They are kept, and counted for each month that has the columns: in the metadata of
`cleaned_parquet`, where `anomaly/` and the name plots over the months, and in the monthly report. Some vendors send
whole blocks of trips without rate code and flag.
"""


def main() -> None:
    """Write every file that is out of date."""
    for path, text in files().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"written: {path.relative_to(ROOT)}")


def files() -> dict[Path, str]:
    """Return the text that each file should have.

    Raises:
        ValueError: The README has lost the marks between which the settings stand.
    """
    readme = ROOT / "README.md"
    head, begin, rest = readme.read_text("utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{readme} lacks the marks {BEGIN} and {END}")
    return {
        readme: f"{head}{BEGIN}\n{settings_table()}\n{END}{tail}",
        ROOT / "docs" / "data-dictionary.md": dictionary(),
    }


def settings_table() -> str:
    """Return every setting, its default and what it is for."""
    rows = [
        (f"`{variable(name)}`", _default(description(name), field.default), description(name))
        for name, field in Settings.model_fields.items()
    ]
    return _table(("variable", "default", "what it is"), rows)


def dictionary() -> str:
    """Return the data dictionary."""
    types = [(f"`{kind}`", *(f"`{name}`" for name in dataclasses.astuple(names))) for kind, names in TYPES.items()]
    zones = _table(("column", "type", "meaning"), [(f"`{c.name}`", _type(c), c.description) for c in ZONE_COLUMNS])
    parts = [
        _DICTIONARY,
        "## Types\n",
        _table(("here", "Arrow, Parquet", "DuckDB", "BigQuery", "Postgres"), types),
        *(_dataset(dataset) for dataset in DATASETS.values()),
        f"\n## Taxi zones: `{ZONES_TABLE}`\n\nThe zones to which the location columns point.\n",
        zones,
        _ANOMALIES,
        _table(("anomaly", "name"), [(label, f"`{name}`") for name, label in ANOMALIES.items()]),
    ]
    return "\n".join(parts) + "\n"


def _dataset(dataset: Dataset) -> str:
    rows = [
        (f"`{column.name}`", _type(column), _months(dataset, column), _meaning(column), _earlier(column))
        for column in dataset.columns
    ]
    table = _table(("column", "type", "months", "meaning", "earlier names and texts"), rows)
    return (
        f"\n## {dataset.title}: `{dataset.table}`\n\n{dataset.description} From {dataset.first_month} on. "
        f"Source: [{dataset.dictionary}]({dataset.dictionary_url}).\n\n{table}"
    )


def _type(column: Column) -> str:
    return f"`{column.kind}`" + (", required" if column.required else "") + ("" if column.nullable else ", never NULL")


def _months(dataset: Dataset, column: Column) -> str:
    csv, parquet = (_span(dataset, column.span(kind)) for kind in ("csv", "parquet"))
    return csv if csv == parquet else f"CSV: {csv}; Parquet: {parquet}"


def _span(dataset: Dataset, span: Span | None) -> str:
    if span is None or (span.until and span.until < dataset.first_month):
        return "none"
    if span == Span():
        return "all"
    return f"{span.since or dataset.first_month} to {span.until or 'today'}"


def _meaning(column: Column) -> str:
    labels = "; ".join(f"{code} = {label}" for code, label in column.labels.items())
    return f"{column.description} {labels}".strip()


def _earlier(column: Column) -> str:
    names = ", ".join(f"`{alias}`" for alias in column.aliases)
    texts: dict[Any, list[str]] = {}
    for text, code in column.codes.items():
        texts.setdefault(code, []).append(f"`{text}`")
    codes = "; ".join(f"{', '.join(each)} → {code}" for code, each in texts.items())
    return "; ".join(part for part in (names, codes) if part)


def _default(text: str, value: Any) -> str:
    if value in ("", ()) or "empty:" in text:
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(header)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    main()
