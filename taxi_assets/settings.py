"""Every setting of the project: its variable, its default, what it is for. The only reader of the environment.

Here belongs the reading and checking of text. What is done with a setting stands where it is used.
"""

from __future__ import annotations

import dataclasses
import os
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from taxi_assets.errors import TaxiError
from taxi_assets.months import Month
from taxi_assets.storage.limits import MIN_MEMORY_MIB, ResourceLimits, machine_memory

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


def _work_url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme == "gs" and re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", url.netloc):
        return f"gs://{url.netloc}/{url.path.strip('/')}".rstrip("/")
    folder = unquote(url.path) if url.scheme == "file" and not url.netloc else text
    if not Path(folder).is_absolute():
        raise ValueError("it must be a folder's whole path, as /mnt/work or file:///mnt/work, or gs://bucket/folder")
    return folder


def _smtp(text: str) -> str:
    if urlsplit(text).scheme not in ("smtp", "smtps") or not urlsplit(text).hostname:
        raise ValueError("it must begin with smtp:// or smtps:// and name a host")
    return text


def _postgres(text: str) -> str:
    if urlsplit(text).scheme not in ("postgresql", "postgres"):
        raise ValueError("it must be written as postgresql://user:password@host:5432/database")
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


def _month(text: str) -> Month:
    return Month.parse(text)


def _cron(text: str) -> str:
    if len(text.split()) != 5 or not set(text) <= set("0123456789*/-, "):
        raise ValueError("it must be five fields of numbers, as in `0 5 3 * *`")
    return text


def _memory(text: str) -> int:
    found = re.fullmatch(r"(\d+) ?(M|G)i?B", text, re.IGNORECASE)
    if found is None:
        raise ValueError("it must be a size as 512MB or 2GB")
    size = int(found[1]) * (1024 if found[2].upper() == "G" else 1)
    if size < MIN_MEMORY_MIB:
        raise ValueError(f"a month needs {MIN_MEMORY_MIB}MB")
    return size


def _matching(pattern: str, must: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(must)
        return text

    return read


def _prefix(text: str) -> str:
    return text.strip("/")


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
    work_url: str = _setting(
        "",
        "Where raw and cleaned files lie for every machine: a shared folder, or `gs://bucket/folder` (`gcp` profile); "
        "empty: in the data folder",
        _work_url,
    )
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
    connect_timeout: float = _setting(
        10.0, "Seconds to wait for a connection to the source or to Google", _between(0.1, 600)
    )
    read_timeout: float = _setting(
        60.0, "Seconds of silence to bear; a slow link that delivers is never cut", _between(0.1, 3600)
    )
    attempts: int = _setting(5, "How often a busy or broken link is tried", _count(1, 20))
    first_wait: float = _setting(
        1.0, "Seconds before the second attempt; doubled each time, with jitter", _between(0, 60)
    )
    warehouse_schema: str = _setting("nyc_tlc", "Schema (BigQuery: dataset) of the tables", _name)
    gcp_project: str = _setting(
        "",
        "Google Cloud project (`gcp` profile; needed)",
        _matching(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]", "it must be a project's ID, as my-project-123"),
    )
    gcs_bucket: str = _setting(
        "",
        "Bucket of the lake (`gcp` profile; needed)",
        _matching(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", "it must be a bucket's name, without gs://"),
    )
    gcs_prefix: str = _setting("", "Folder in the bucket; empty: none", _prefix)
    bq_location: str = _setting(
        "US",
        "Location of the BigQuery dataset, and of a bucket that `taxi-assets provision` makes",
        _matching(r"[A-Za-z]+(?:-[a-z]+\d+)?", "it must be a location of BigQuery, as EU or europe-west1"),
    )
    gcp_credentials: str = _setting(
        "",
        "JSON key of a service account, or the path of its file; empty: Application Default Credentials",
        secret=True,
    )
    postgres_url: str = _setting(
        "",
        "Address of a Postgres database, `postgresql://user:password@host:5432/database`, that gets every month too; "
        "empty: none",
        _postgres,
        secret=True,
    )
    postgres_drop_zero_passengers: bool = _setting(
        True, "Whether trips with zero passengers are left out of Postgres, as in the tutorial", _switch
    )
    rejected_share_limit: float = _setting(
        0.01, "Share of rejected rows above which a month does not go on to the lake", _between(0, 1)
    )
    memory_limit: int = _setting(
        0, f"Memory of one process, as `512MB`, at least {MIN_MEMORY_MIB}MB; empty: a quarter of the machine's", _memory
    )
    threads: int = _setting(0, "Processor cores of one process; 0: all that the machine has", _count(0, 256))

    automation: str = _setting(
        "auto",
        "Whether schedules and sensors run from the start: `running`, `stopped`, or `auto`: stopped in the local "
        "profile, running in the deployed one. The UI's switches go before",
        _choice("auto", "running", "stopped"),
    )
    one_run: bool = _setting(
        False,
        "Put all months of a backfill into one run, however many; `dg launch --partition-range` asks for that",
        _switch,
    )
    automation_since: Month = _setting(
        Month(2009, 1), "First month that schedules and sensors ask for; a backfill may ask for any", _month
    )
    monthly_cron: str = _setting(
        "0 5 3 * *", "When each dataset's monthly schedule asks for the month that is due (UTC)", _cron
    )
    alert_webhook: str = _setting("", 'Address that takes alerts as Slack does, `{"text": ...}`', _url, secret=True)
    alert_email: str = _setting("", "Address that alerts are mailed to, and come from; needs TAXI_SMTP_URL")
    smtp_url: str = _setting("", "Mail server, `smtp://user:password@host:port` or `smtps://`", _smtp, secret=True)
    stuck_after_hours: float = _setting(
        6.0, "Hours after which a run that has not ended, or not begun, is told of", _between(0.01, 1000)
    )
    ui_url: str = _setting("http://127.0.0.1:3000", "Address of Dagster's UI, for links in alerts", _url)

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
                    location=f"{variable(field.name)}, in the environment or in .env",
                    remedy=f"correct it or remove it; it is: {field.metadata['text']}",
                ) from error
        # absolute, because the webserver, the daemon and a shell may each work in a folder of their own
        values["data_dir"] = Path(values.get("data_dir", cls.data_dir)).expanduser().absolute()
        return cls(**values)

    @property
    def automated(self) -> bool:
        """Whether schedules and sensors run from the start."""
        return self.automation == "running" or (self.automation == "auto" and self.profile != "local")

    def check_profile(self) -> None:
        """See that the profile has every setting that it cannot do without, and none that it cannot use.

        Raises:
            SettingError: Names those that are missing, or cannot be used.
        """
        if self.work_in_bucket and self.profile != "gcp":
            raise SettingError(
                f"TAXI_WORK_URL={self.work_url} needs TAXI_PROFILE=gcp",
                location="TAXI_WORK_URL, in the environment or in .env",
                remedy="name a folder that every machine reaches, as /mnt/work, or set TAXI_PROFILE=gcp",
            )
        needed = ("gcp_project", "gcs_bucket") if self.profile == "gcp" else ()
        missing = [variable(name) for name in needed if not getattr(self, name)]
        if missing:
            raise SettingError(
                f"{' and '.join(missing)} must be set for TAXI_PROFILE=gcp",
                location="the environment or .env",
                remedy="set it, then run `taxi-assets provision`; or TAXI_PROFILE=local, which needs nothing",
            )

    @property
    def limits(self) -> ResourceLimits:
        """How much of the machine a process may use."""
        memory = self.memory_limit or max(MIN_MEMORY_MIB, machine_memory() // 4)
        return ResourceLimits(memory, self.threads or os.cpu_count() or 1)

    @property
    def work_in_bucket(self) -> bool:
        """Whether raw and cleaned months lie in a bucket."""
        return self.work_url.startswith("gs://")

    @property
    def work_dir(self) -> Path:
        """Folder of raw and cleaned months; where they lie in a bucket, of this machine's copies."""
        return Path(self.work_url) if self.work_url and not self.work_in_bucket else self.data_dir / "work"

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


_EMULATORS = ("STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST")
"""Google's own variables for servers that stand for its."""


def google_emulators(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the addresses of servers that stand for Google's, from Google's own variables; empty for Google itself."""
    variables = os.environ if environment is None else environment
    storage, bigquery = (variables.get(name, "") for name in _EMULATORS)
    return {"storage_emulator": storage, "bigquery_emulator": bigquery}


def forwarded_variables(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the names of those variables that are set and that a run elsewhere needs too."""
    variables = os.environ if environment is None else environment
    ours = ("TAXI_", "DAGSTER_HOME", "DAGSTER_POSTGRES_URL", "GOOGLE_", *_EMULATORS)
    return sorted(name for name in variables if name.startswith(ours))


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"TAXI_{name.upper()}"


def dagster_home(settings: Settings | None = None) -> Path:
    """Return where Dagster keeps its history: DAGSTER_HOME, or a folder of the data folder.

    Args:
        settings: Name the data folder; by default those of the environment do.
    """
    given = os.environ.get("DAGSTER_HOME", "").strip()
    return Path(given).expanduser().absolute() if given else (settings or Settings.from_environment()).dagster_home


def dagster_postgres_url(environment: Mapping[str, str] | None = None) -> str:
    """Return the database in which Dagster keeps its history, empty if it keeps it in files."""
    variables = os.environ if environment is None else environment
    return variables.get("DAGSTER_POSTGRES_URL", "").strip()
