"""`taxi-assets dev`: Dagster's UI and daemon; on 127.0.0.1 unless told otherwise, because the UI has no login."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import click

from taxi_assets.cli.common import err, examples, load_environment, note_missing_folder
from taxi_assets.demo.place import data_folder, demo_folder, enter, is_demo, source_folder
from taxi_assets.demo.server import start_source
from taxi_assets.errors import TaxiError
from taxi_assets.instance.environment import keep_environment
from taxi_assets.instance.home import migrate
from taxi_assets.names import BIGQUERY_TABLE, asset_key
from taxi_assets.settings import SettingError, Settings, google_emulators

DATABASE_OPTIONS = ["--db-pool-max-overflow", "3", "--db-pool-recycle", "1"]
"""Connections of the webserver to Postgres: few, and none older than a second, because the first request after a
restart of the server would fail on it."""

LOCALHOST = "127.0.0.1"

QUIET_WARNINGS = "ignore::FutureWarning,ignore::DeprecationWarning"
"""Dagster warns that `dagster dev` is superseded, and of what it calls itself; neither is the user's to mend."""


class _Port(click.IntRange):
    """A number of a port; click would say `'x' is not a valid integer range`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number."""
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            self.fail(f"{value} is no port; give a number from {self.min} to {self.max}", param, ctx)


@click.command(
    "dev",
    epilog=examples(
        "dev                on http://127.0.0.1:3000",
        "dev --port 3001    beside something else",
        "dev --demo         the months of `taxi-assets demo`, and others of their kind to launch, offline",
    ),
)
@click.option("--host", default=LOCALHOST, show_default=True, help="Address to listen on; the UI has no login.")
@click.option(
    "--port", type=_Port(1, 65535), metavar="PORT", default=3000, show_default=True, help="Port to listen on."
)
@click.option("--demo/--no-demo", default=None, help="Show the demo; by default only where nothing else has landed.")
def command(host: str, port: int, *, demo: bool | None) -> int:
    """Start Dagster's UI on this machine, with its daemon."""
    _check_port(host, port)
    load_environment()
    workspace = Path("workspace.yaml").absolute()
    note_missing_folder(data_folder())
    in_demo = is_demo(data_folder())
    shows_demo = in_demo or (_landed_only_in_demo() if demo is None else demo)
    settings = _enter_demo() if shows_demo else Settings.from_environment()
    settings.check_profile()
    url = f"http://{LOCALHOST if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104 - compared only
    os.environ.setdefault("TAXI_UI_URL", url)  # for links in alerts
    if not shows_demo:
        keep_environment()
    home = migrate(settings)
    latest, queued = _end_dead_runs()
    if host not in (LOCALHOST, "localhost", "::1"):
        err.print("warning:", style="bold", end=" ")
        err.print(f"the UI has no login: whoever reaches {host} can start runs and read the settings")
    err.print(f"Dagster's UI: {url}, in about ten seconds (history in {home}; Ctrl-C stops it)")
    err.print(f"  yellow trips: {url}/locations/taxi_assets/asset-groups/yellow")
    if latest:
        err.print(f"  latest month: {url}/assets/yellow/cleaned_parquet?view=partitions&partition={latest}")
    if queued:
        runs = "1 queued run starts" if queued == 1 else f"{queued} queued runs start"
        err.print(f"  {runs} now, whatever the settings; to cancel: {url}/runs?view=queued")
    if settings.automated and not shows_demo:
        err.print(
            f"  automation is on: it fetches every month since {settings.automation_since}; TAXI_AUTOMATION=stopped "
            "leaves that to you, TAXI_AUTOMATION_SINCE=2024-01 begins later"
        )
    if settings.profile == "gcp" and not all(google_emulators().values()):
        _warn_of_credentials(settings)
    if shows_demo:
        err.print(
            f"  made-up data of the demo{'' if in_demo else '; `taxi-assets dev --no-demo` shows your own months'}"
        )
        os.chdir(settings.data_dir)  # where no .env is, which Dagster would read
    target = ["-w", str(workspace)] if workspace.is_file() else ["-m", "taxi_assets.definitions"]
    options = ["-h", host, "-p", str(port), *DATABASE_OPTIONS]
    os.environ.setdefault("PYTHONWARNINGS", QUIET_WARNINGS)
    # A script's background job starts with SIGINT ignored; Dagster would inherit that, and treat SIGTERM alike.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable, "-m", "dagster", "dev", *target, *options])  # noqa: S606 - fixed words


def _warn_of_credentials(settings: Settings) -> None:
    """Say at the start that Google does not accept the credentials; sensors would say so in long tracebacks."""
    from taxi_assets.storage.factory import google_access

    try:
        google_access(settings).account()
    except TaxiError as error:
        err.print("warning:", style="bold", end=" ")
        err.print(error)


def _check_port(host: str, port: int) -> None:
    """Refuse to start beside another `dev`: both daemons would launch runs.

    Raises:
        SettingError: The port is in use, or may not be used.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingError(
                f"port {port} of {host} cannot be used: {error.strerror}",
                location="--port",
                remedy="if `taxi-assets dev` runs already, open it; else choose another port, as in `--port 3001`",
            ) from error


def _landed_only_in_demo() -> bool:
    settings = Settings.from_environment()
    empty = not (settings.duckdb_path.exists() or (settings.dagster_home / "history").exists())
    return settings.profile == "local" and empty and Settings(data_dir=demo_folder()).duckdb_path.exists()


def _enter_demo() -> Settings:
    """Take the demo's settings, and start its source, which makes further months when a run asks for them."""
    folder = demo_folder()
    return enter(folder, start_source(source_folder(folder)))


def _end_dead_runs() -> tuple[str | None, int]:
    """End runs that a crash left behind; return the latest month of yellow, as a partition key, and the queued runs."""
    import dagster as dg

    from taxi_assets.instance.recovery import end_dead_runs

    with dg.DagsterInstance.get() as instance:
        for run in end_dead_runs(instance):
            then = "the daemon runs it again" if run.again else "run it again: `taxi-assets run`, or from the UI"
            err.print(f"run {run.run_id} ({run.subject}) was dead and has been ended; {then}")
        latest = max(instance.get_materialized_partitions(asset_key("yellow", BIGQUERY_TABLE)), default=None)
        return latest, instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
