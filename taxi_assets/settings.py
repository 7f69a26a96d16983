"""Every setting of the project: its variable, its default, what it is for. The only reader of the environment.

Here belongs the reading and checking of text. What is done with a setting stands where it is used.
"""

from __future__ import annotations

import dataclasses
import os
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from taxi_assets.trips.engine import Engine
from taxi_assets.trips.failures import TaxiError

CSV_MIRROR = (
    "https://github.com/DataTalksClub/nyc-tlc-data/releases/download/"
    "{dataset}/{dataset}_tripdata_{year}-{month:02}.csv.gz"
)
TLC = "https://d37ci6vzurychx.cloudfront.net"


class SettingError(TaxiError):
    """A setting is missing or cannot be used; names its variable."""


def _choice(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"it must be one of {', '.join(allowed)}")
        return text

    return read


def _between(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        number = float(text)
        if not low <= number <= high:
            raise ValueError(f"it must be between {low:g} and {high:g}")
        return number

    return read


def _count(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(f"it must be a whole number between {low} and {high}")
        return number

    return read


def _switch(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("it must be true or false")


def _url(text: str) -> str:
    if urlsplit(text).scheme not in ("https", "http", "file"):
        raise ValueError("it must begin with https://, http:// or file://")
    return text


def _month_url(text: str) -> str:
    _url(text)
    try:
        named = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
        text.format(dataset="yellow", year=2021, month=1)
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"its fields must be {{dataset}}, {{year}} and {{month:02}} ({error!r})") from error
    if named != {"dataset", "year", "month"}:
        raise ValueError("it must have the fields {dataset}, {year} and {month:02}")
    return text


def _name(text: str) -> str:
    if not (text.isascii() and text.isidentifier()):
        raise ValueError("it must consist of letters, digits and underscores, and not begin with a digit")
    return text


def _memory(text: str) -> str:
    number = text.upper().removesuffix("MB").removesuffix("GB").strip()
    if not number.isdigit() or number == text:
        raise ValueError("it must be a size as 400MB or 2GB")
    return text


def _setting(default: Any, text: str, read: Callable[[str], Any] = str, *, secret: bool = False) -> Any:
    """Declare a setting: its default, its line in the documents, how its text is read."""
    metadata = {"text": text, "read": read, "secret": secret}
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True)
class Settings:
    """The project's settings; each field is set by the variable `TAXI_` and its name in capitals.

    Build it with `from_environment`, or directly in a test. The texts are the settings table of the documents.
    """

    profile: str = _setting(
        "local",
        "`local`: a folder and a DuckDB file. `gcp`: Google Cloud Storage and BigQuery",
        _choice("local", "gcp"),
    )
    data_dir: Path = _setting("data", "Folder for everything that is kept on this machine", str)
    csv_url: str = _setting(CSV_MIRROR, "Address of a month's CSV", _month_url)
    parquet_url: str = _setting(
        f"{TLC}/trip-data/{{dataset}}_tripdata_{{year}}-{{month:02}}.parquet",
        "Address of a month's Parquet",
        _month_url,
    )
    source: str = _setting(
        "auto",
        "`csv`, `parquet`, or `auto`: CSV, and where the CSV source has no such month, Parquet",
        _choice("auto", "csv", "parquet"),
    )
    zones_url: str = _setting(f"{TLC}/misc/taxi_zone_lookup.csv", "Address of the taxi zone lookup", _url)
    connect_timeout: float = _setting(10.0, "Seconds to wait for a connection to the source", _between(0.1, 600))
    read_timeout: float = _setting(60.0, "Seconds to wait for the source's next bytes", _between(0.1, 3600))
    attempts: int = _setting(5, "How often a busy or broken link is tried", _count(1, 20))
    first_wait: float = _setting(
        1.0, "Seconds before the second attempt; doubled each time, with jitter", _between(0, 60)
    )
    warehouse_schema: str = _setting("nyc_tlc", "Schema (BigQuery: dataset) of the tables", _name)
    rejected_share_limit: float = _setting(
        0.01, "Share of rejected rows above which a month does not go on to the lake", _between(0, 1)
    )
    memory_limit: str = _setting("400MB", "Memory of one query of the engine (DuckDB)", _memory)
    threads: int = _setting(0, "Threads of one query of the engine; 0: one for each core", _count(0, 256))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read every setting.

        Args:
            environment: Variables to read instead of the process's own.

        Raises:
            SettingError: A value cannot be used; names the variable.
        """
        variables = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            text = variables.get(variable(field.name), "").strip()
            if not text:
                continue
            try:
                values[field.name] = field.metadata["read"](text)
            except ValueError as error:
                shown = "its value" if field.metadata["secret"] else repr(text)
                raise SettingError(
                    f"{variable(field.name)} cannot be used: {shown}: {error}",
                    where=f"{variable(field.name)}, in the environment or in .env",
                    fix=f"correct it or remove it; it is: {field.metadata['text']}",
                ) from error
        # absolute, because the webserver, the daemon and a shell may each work in a folder of their own
        values["data_dir"] = Path(values.get("data_dir", cls.data_dir)).expanduser().absolute()
        return cls(**values)

    @property
    def engine(self) -> Engine:
        """How much of the machine a query may use."""
        return Engine(self.memory_limit, self.threads or os.cpu_count() or 1)

    @property
    def work_dir(self) -> Path:
        """Folder of raw and cleaned months."""
        return self.data_dir / "work"

    @property
    def lake_dir(self) -> Path:
        """Folder that stands for the bucket in the local profile."""
        return self.data_dir / "lake"

    @property
    def duckdb_path(self) -> Path:
        """The warehouse file of the local profile."""
        return self.data_dir / "warehouse.duckdb"

    @property
    def dagster_home(self) -> Path:
        """Where Dagster keeps its history, unless DAGSTER_HOME says otherwise."""
        return self.data_dir / "dagster"


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"TAXI_{name.upper()}"
