"""What `taxi-assets doctor` tries: the settings, the folders, Google Cloud, Postgres and the source."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_assets.contracts import DATASETS
from taxi_assets.contracts.model import Dataset
from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.instance.sqlite import check_history
from taxi_assets.months import Month
from taxi_assets.settings import (
    Settings,
    dagster_home,
    dagster_postgres_url,
    google_emulators,
    setting_variables,
    shown,
)
from taxi_assets.source.factory import build_source
from taxi_assets.storage.factory import (
    build_bigquery,
    build_gcs_lake,
    build_gcs_staging,
    build_warehouse,
    google_access,
)

if TYPE_CHECKING:
    from taxi_assets.storage.google.buckets import BucketInfo
    from taxi_assets.storage.warehouse.bigquery import BigQueryWarehouse

_OLD_MONTH = Month(2021, 1)
"""A month that a source has unless it is a mirror of few months, or its address is wrong."""

MIN_FREE_GB = 3.5
"""Gigabytes that TLC's largest months take in progress: 0.8 published, 0.8 cleaned, and copies of both."""


@dataclass(frozen=True)
class Check:
    """One thing to try.

    Attributes:
        name: What a person calls it.
        run: Returns in some words what it found, or raises what is wrong.
        after: Checks that must have passed.
    """

    name: str
    run: Callable[[], str]
    after: tuple[str, ...] = ()


def checks(settings: Settings) -> Iterator[Check]:
    """Return what to try in the profile, in order."""
    yield Check("settings", lambda: _check_settings(settings))
    if secrets := _secret_files(settings):
        yield Check("secrets", lambda: _check_secrets(secrets))
    yield Check("data folder", lambda: _check_folder(settings))
    yield Check("dagster", _check_dagster)
    yield from (_google_checks if settings.profile == "gcp" else _local_checks)(settings)
    if url := settings.postgres_url:
        yield Check("postgres", lambda: _check_postgres(url, "TAXI_POSTGRES_URL"))
    yield Check("source", lambda: _check_source(settings))


def _check_settings(settings: Settings) -> str:
    """Return what is set, without secrets."""
    variables = setting_variables()
    given = {name: os.environ[name].strip() for name in variables if os.environ.get(name, "").strip()}
    texts = [f"{name}={text}" if (text := shown(variables[name], given[name])) else name for name in given]
    found = f"profile {settings.profile}; {', '.join(texts) or 'every setting has its default'}"
    note = "\nnote:"
    unused = [name for name in given if name.startswith(("TAXI_GCP_", "TAXI_GCS_", "TAXI_BQ_"))]
    if settings.profile != "gcp" and unused:
        found += f"{note} the local profile does not use {' and '.join(unused)}; TAXI_PROFILE=gcp does"
    if settings.profile == "gcp" and settings.automated:
        found += (
            f"{note} automation is on: under `dev` and in a deployment it fetches every month since "
            f"{settings.automation_since}; TAXI_AUTOMATION=stopped leaves that to you"
        )
    if settings.profile == "gcp" and settings.duckdb_path.exists():
        found += (
            f"{note} the data folder has months of the local profile, which Dagster's history shows as landed; take "
            "another TAXI_DATA_DIR"
        )
    if odd := [name for name in settings.accepted_drift if "." in name and name.partition(".")[0] not in DATASETS]:
        found += f"{note} TAXI_ACCEPTED_DRIFT has {', '.join(odd)}; before the dot stands a dataset's name"
    if settings.alert_email and not settings.smtp_url:
        found += f"{note} no alert is mailed to TAXI_ALERT_EMAIL without TAXI_SMTP_URL"
    return found


def _secret_files(settings: Settings) -> list[Path]:
    """Return the files that hold passwords or keys: `.env` if it sets any, and a service account's key."""
    from dotenv import dotenv_values

    others, variables = ("DAGSTER_POSTGRES_URL", "POSTGRES_PASSWORD"), setting_variables()
    env, key = Path.cwd() / ".env", settings.gcp_credentials
    given = {name: text for name, text in dotenv_values(env).items() if text}  # nothing if there is no file
    holds = any(
        name in others or (name in variables and shown(variables[name], given[name]) != given[name]) for name in given
    )
    files = [env] if holds else []
    with contextlib.suppress(OSError, RuntimeError):  # text that can be no path
        if key and not key.lstrip().startswith("{") and Path(key).expanduser().is_file():
            files.append(Path(key).expanduser())  # a missing key is told where it is needed
    return files


def _check_secrets(files: list[Path]) -> str:
    for path in files:
        if path.stat().st_mode & 0o077:
            raise PermanentError(
                "a file with passwords or keys can be read by other users of this machine",
                location=str(path),
                remedy=f"chmod 600 {path}",
            )
    return f"only this user can read {', '.join(path.name for path in files)}"


def _check_folder(settings: Settings) -> str:
    folder = settings.data_dir
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise PermanentError(
            "the data folder cannot be written",
            location=f"{folder} (TAXI_DATA_DIR)",
            remedy=f"give this user the folder {there}, or set TAXI_DATA_DIR to another one",
        )
    free = shutil.disk_usage(there).free / 1e9
    if free < MIN_FREE_GB:
        raise PermanentError(
            f"only {free:.1f} GB are free; TLC's largest months take {MIN_FREE_GB:g} GB in progress",
            location=f"{folder} (TAXI_DATA_DIR)",
            remedy="free some space, or set TAXI_DATA_DIR to another disk",
        )
    return f"{folder}{'' if folder.exists() else ', made by the first run'}, {free:,.0f} GB free"


def _check_dagster() -> str:
    if url := dagster_postgres_url():
        return _check_postgres(url.replace("+psycopg2", ""), "DAGSTER_POSTGRES_URL")
    home = dagster_home()
    check_history(home)
    return f"history in files, in {home}"


def _check_postgres(url: str, setting: str) -> str:
    import psycopg

    from taxi_assets.storage.warehouse.postgres_errors import map_connect_error, parse_url, server_address

    parts = parse_url(url, setting)
    location = f"Postgres at {server_address(parts)} ({setting})"
    try:
        with psycopg.connect(**{"connect_timeout": "10", **parts}) as connection:  # type: ignore[arg-type]
            version = connection.info.server_version // 10_000
    except psycopg.Error as error:
        raise map_connect_error(error, location, setting) from None
    return f"{location}, version {version}"


def _check_source(settings: Settings) -> str:
    from taxi_assets.partitions import last_month
    from taxi_assets.source.addresses import without_secrets
    from taxi_assets.source.availability import probe

    dataset = DATASETS["yellow"]
    month = last_month(dataset)
    source = build_source(settings)
    if missing := source.missing_folders():
        location = ", ".join(f"{folder} ({name})" for name, folder in missing.items())
        raise PermanentError(
            "there is no such folder", location=location, remedy=f"make it, or correct {' and '.join(missing)}"
        )
    today = date.today()  # noqa: DTZ011 - days, by this machine's calendar
    availability = probe(source, dataset.name, month, None, today)
    location = ", ".join(map(without_secrets, source.urls(dataset.name, month)))
    if availability.status in ("refused", "down"):
        kind = TransientError if availability.status == "down" else PermanentError
        raise kind(
            f"the source does not give {dataset.name} {month}: {availability.reason}",
            location=location,
            remedy="check the source, TAXI_CSV_URL and TAXI_PARQUET_URL",
        )
    if availability.status != "not_published":
        return f"{location}: answers, and has {dataset.name} {month}"
    has_old = probe(source, dataset.name, _OLD_MONTH, None, today).worth_fetching
    found = f"{location}: answers, and does not have {dataset.name} {month}, "
    if has_old:
        return f"{found}but {_OLD_MONTH}"
    return f"{found}nor {_OLD_MONTH}\nnote: if it should have them, correct TAXI_CSV_URL and TAXI_PARQUET_URL"


def _local_checks(settings: Settings) -> Iterator[Check]:
    def warehouse() -> str:
        if not Path(settings.duckdb_path).exists():
            return f"{settings.duckdb_path}, made by the first load"
        warehouse = build_warehouse(settings)
        months = sum(len(warehouse.count_months(dataset.table)) for dataset in DATASETS.values())
        return f"{settings.duckdb_path}, {months} {'month' if months == 1 else 'months'}"

    yield Check("warehouse", warehouse, after=("data folder",))


def _google_checks(settings: Settings) -> Iterator[Check]:
    access, stores = google_access(settings), _GoogleStores(settings)
    if settings.gcp_credentials or not all(google_emulators().values()):
        yield Check("credentials", lambda: access.account() or "accepted: a person's, or the machine's own")
    yield Check("bucket", stores.bucket, after=("credentials",))
    if settings.work_in_bucket:
        yield Check("work bucket", stores.work_bucket, after=("credentials",))
    yield Check("dataset", stores.dataset, after=("credentials",))
    yield Check("locations", stores.locations, after=("bucket", "dataset"))
    for dataset in DATASETS.values():
        yield Check(dataset.table, lambda dataset=dataset: stores.table(dataset), after=("dataset",))  # type: ignore[misc]


class _GoogleStores:
    """Bucket and dataset; what one check finds, a later one needs."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.lake = settings, build_gcs_lake(settings)
        self.warehouse: BigQueryWarehouse = build_bigquery(settings)
        self.found: BucketInfo | Any = None

    def bucket(self) -> str:
        self.found = self.lake.check_permissions()
        return self.found.report()

    def work_bucket(self) -> str:
        return build_gcs_staging(self.settings).check_permissions().report()

    def dataset(self) -> str:
        self.warehouse.check_access()
        return f"{self.settings.gcp_project}.{self.warehouse.schema} in {self.warehouse.location}, jobs may be started"

    def locations(self) -> str:
        self.warehouse.check_bucket(self.settings.gcs_bucket, self.found.location, is_region=self.found.is_region)
        return f"BigQuery in {self.warehouse.location} loads from this bucket"

    def table(self, dataset: Dataset) -> str:
        if not self.warehouse.check_table(dataset):
            return "not there yet; `taxi-assets provision` or the first load makes it"
        return "as the contract says, all permissions"
