"""Every setting of the project: its variable, its default, what it is for. The only reader of the environment.

See https://docs.pydantic.dev/latest/concepts/pydantic_settings/. What a setting does stands where it is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from taxi_assets import setting_types as types
from taxi_assets.errors import TaxiError
from taxi_assets.months import Month
from taxi_assets.setting_types import MIN_MEMORY_MIB as MIN_MEMORY_MIB

MIRROR = "https://github.com/DataTalksClub/nyc-tlc-data/releases/download"
TLC = "https://d37ci6vzurychx.cloudfront.net"


class SettingError(TaxiError):
    """A setting is missing or cannot be used; names its variable."""


class Settings(BaseSettings):
    """The project's settings; each field is set by the variable `TAXI_` and its name in capitals.

    `Settings(**values)` reads no environment; `Settings.from_environment()` does. The text below a field is its line in
    the settings table of the documents. A field that is left out of `repr` is a secret.
    """

    model_config = SettingsConfigDict(
        env_prefix="TAXI_", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )

    profile: Literal["local", "gcp"] = "local"
    """`local`: a folder and a DuckDB file. `gcp`: Google Cloud Storage and BigQuery"""
    data_dir: Annotated[Path, AfterValidator(types.folder), Field(validate_default=True)] = Path("data")
    """Folder for everything that is kept on this machine"""
    work_url: Annotated[str, AfterValidator(types.work_url)] = ""
    """Where every machine finds raw and cleaned files: a shared folder, or `gs://bucket/folder` (`gcp` profile);
    empty: in the data folder"""
    csv_url: Annotated[str, types.URL, AfterValidator(types.month_url)] = (
        f"{MIRROR}/{{dataset}}/{{dataset}}_tripdata_{{year}}-{{month:02}}.csv.gz"
    )
    """Address of a month's CSV"""
    parquet_url: Annotated[str, types.URL, AfterValidator(types.month_url)] = (
        f"{TLC}/trip-data/{{dataset}}_tripdata_{{year}}-{{month:02}}.parquet"
    )
    """Address of a month's Parquet"""
    source: Literal["auto", "csv", "parquet"] = "auto"
    """`csv`, `parquet`, or `auto`: the format that is complete, which is Parquet for fhvhv and CSV for the
    others; where there is no such file, the other format"""
    zones_url: Annotated[str, types.URL] = f"{TLC}/misc/taxi_zone_lookup.csv"
    """Address of the taxi zone lookup"""
    connect_timeout: Annotated[float, types.between(0.1, 600)] = 10.0
    """Seconds to wait for a connection to the source or to Google"""
    read_timeout: Annotated[float, types.between(0.1, 3600)] = 60.0
    """Seconds without data before a read times out; a slow link that delivers is never cut"""
    attempts: Annotated[int, types.between(1, 20)] = 5
    """How often a step is tried when a server is busy or a link breaks"""
    first_wait: Annotated[float, types.between(0, 60)] = 1.0
    """Seconds before the second attempt; doubled each time, with jitter"""
    accepted_drift: Annotated[tuple[str, ...], NoDecode, types.parsed(types.names)] = ()
    """Columns that may be missing, or be unknown and have values, as `airport_fee, yellow.robot_fee`; a month that
    lacks a column while an unknown one has values fails otherwise"""
    missing_passengers: Literal["keep", "zero"] = "keep"
    """`keep` leaves missing passenger counts empty; `zero` fills in 0, as the tutorial does"""
    drop_zero_passengers: bool = False
    """Leave out trips with zero passengers everywhere; they are counted"""
    rejected_share_limit: Annotated[float, types.between(0, 1)] = 0.01
    """Share of rejected rows above which a month does not go on to the lake"""
    warehouse_schema: Annotated[str, types.NAME, Field(min_length=1)] = "nyc_tlc"
    """Schema (BigQuery: dataset) of the tables"""
    gcp_project: Annotated[str, types.PROJECT] = ""
    """Google Cloud project (`gcp` profile; required)"""
    gcs_bucket: Annotated[str, types.BUCKET_NAME] = ""
    """Bucket of the lake (`gcp` profile; required)"""
    gcs_prefix: Annotated[str, AfterValidator(types.object_prefix)] = ""
    """Folder in the bucket; empty: none"""
    bq_location: Annotated[str, types.LOCATION] = "US"
    """Location of the BigQuery dataset, and of a bucket that `taxi-assets provision` creates"""
    gcp_credentials: Annotated[str, Field(repr=False)] = ""
    """JSON key of a service account, or the path of its file; empty: Application Default Credentials"""
    postgres_url: Annotated[str, types.POSTGRES, Field(repr=False)] = ""
    """Address of a Postgres database, `postgresql://user:password@host:5432/database`, that gets every month
    too; empty: none"""
    postgres_drop_zero_passengers: bool = False
    """Leave out trips with zero passengers in Postgres only, as the tutorial does"""
    memory_limit: Annotated[int, types.parsed(types.memory)] = 0
    """Memory of one process, as `512MB`, at least 350MB; empty: a quarter of the machine's"""
    threads: Annotated[int, types.between(0, 256)] = 0
    """Processor cores of one process; 0: all that the machine has"""
    automation: Literal["auto", "running", "stopped"] = "auto"
    """Whether schedules and sensors start switched on: `running`, `stopped`, or `auto`: stopped in the `local`
    profile, running in `gcp`. Switches in the UI take precedence"""
    automation_since: Annotated[Month, NoDecode, types.parsed(Month.parse)] = Month(2009, 1)
    """First month that schedules and sensors request; a backfill may request any"""
    monthly_cron: Annotated[str, types.CRON] = "0 5 3 * *"
    """When each dataset's monthly schedule requests the month that is due (UTC)"""
    alert_webhook: Annotated[str, types.SERVER, Field(repr=False)] = ""
    """Address that takes alerts as Slack does, `{"text": ...}`"""
    alert_email: str = ""
    """Address that alerts are mailed to, and come from; needs TAXI_SMTP_URL"""
    smtp_url: Annotated[str, types.SMTP, Field(repr=False)] = ""
    """Mail server, `smtp://user:password@host:port` or `smtps://`"""
    stuck_after_hours: Annotated[float, types.between(0.01, 1000)] = 6.0
    """Hours after which an alert tells of a run that has not started, or not ended"""
    ui_url: Annotated[str, types.SERVER] = "http://127.0.0.1:3000"
    """Address of Dagster's UI, for links in alerts"""

    @classmethod
    def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the arguments only; `from_environment` adds the environment."""
        return (sources["init_settings"],)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Give what is shown of the settings: neither a secret nor one in an address."""
        for name, value in super().__repr_args__():
            yield name, shown(name, value) if name and isinstance(value, str) else value

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read every setting.

        Args:
            environment: Variables to read instead of the process's own.

        Raises:
            SettingError: A value cannot be used; names the variable.
        """
        variables = os.environ if environment is None else environment
        texts = {name: variables[name].strip() for name in setting_variables() if name in variables}
        source = EnvSettingsSource(cls)
        source.env_vars = {name.lower(): text for name, text in texts.items() if text}
        try:
            return cls(**source())
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            found = shown(name, texts[variable(name)])
            raise SettingError(
                f"{variable(name)} cannot be used: {repr(found) if found else 'its value'}: {types.reason(error)}",
                location=f"{variable(name)}, in the environment or in .env",
                remedy=f"correct it or remove it; it means: {description(name)}",
            ) from None  # the first error holds the value, which may be secret

    @property
    def automated(self) -> bool:
        """Whether schedules and sensors run from the start."""
        return self.automation == "running" or (self.automation == "auto" and self.profile != "local")

    def check_profile(self) -> None:
        """Check that the profile has every setting it requires, and none that it cannot use.

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
        if missing := [variable(name) for name in needed if not getattr(self, name)]:
            raise SettingError(
                f"{' and '.join(missing)} must be set for TAXI_PROFILE=gcp",
                location="the environment or .env",
                remedy=f"set {'it' if len(missing) == 1 else 'them'}, then run `taxi-assets provision`; or set "
                "TAXI_PROFILE=local, which needs nothing",
            )

    @property
    def work_in_bucket(self) -> bool:
        """Whether raw and cleaned months are staged in a bucket."""
        return self.work_url.startswith("gs://")

    @property
    def work_dir(self) -> Path:
        """Folder of raw and cleaned months; where they are staged in a bucket, of this machine's copies."""
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


_EMULATORS = {"storage_emulator": "STORAGE_EMULATOR_HOST", "bigquery_emulator": "BIGQUERY_EMULATOR_HOST"}


def google_emulators() -> dict[str, str]:
    """Return the addresses of servers that stand for Google's, from Google's own variables; empty for Google itself."""
    return {service: os.environ.get(name, "") for service, name in _EMULATORS.items()}


def forwarded_variables() -> list[str]:
    """Return the names of those variables that are set and that a run elsewhere needs too."""
    ours = ("TAXI_", "DAGSTER_HOME", "DAGSTER_POSTGRES_URL", "GOOGLE_", *_EMULATORS.values())
    return sorted(name for name in os.environ if name.startswith(ours))


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"TAXI_{name.upper()}"


def setting_variables() -> dict[str, str]:
    """Return the settings' variables, each with the name of its setting."""
    return {variable(name): name for name in Settings.model_fields}


def description(name: str) -> str:
    """Return what a setting is for, in one line."""
    return " ".join((Settings.model_fields[name].description or "").split())


def shown(name: str, text: str) -> str:
    """Return a setting's text without the secrets that any address may hold; nothing if the whole is one."""
    if not Settings.model_fields[name].repr:
        return ""
    return types.without_secrets(text) if "://" in text or name.endswith("_url") else text


def dagster_home(settings: Settings | None = None) -> Path:
    """Return where Dagster keeps its history: DAGSTER_HOME, or a folder of the data folder."""
    given = os.environ.get("DAGSTER_HOME", "").strip()
    return Path(given).expanduser().absolute() if given else (settings or Settings.from_environment()).dagster_home


def dagster_postgres_url() -> str:
    """Return the database in which Dagster keeps its history, empty if it keeps it in files."""
    return os.environ.get("DAGSTER_POSTGRES_URL", "").strip()
