"""`taxi-assets dev`: Dagster's UI and daemon, on 127.0.0.1 only, because the UI has no login."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import click

from taxi_assets.cli.common import err, examples, load_settings, migrate
from taxi_assets.instance.environment import keep_environment
from taxi_assets.settings import SettingError

DATABASE_OPTIONS = ["--db-pool-max-overflow", "3", "--db-pool-recycle", "1"]
"""Connections of the webserver to Postgres: few, and none older than a second, because the first request after a
restart of the server would fail on it."""


@click.command(
    "dev",
    epilog=examples(
        "dev                on http://127.0.0.1:3000",
        "dev --port 3001    beside something else",
    ),
)
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port on 127.0.0.1.")
def command(port: int) -> int:
    """Start Dagster's UI on this machine, with its daemon."""
    _check_port(port)
    settings = load_settings()
    keep_environment()
    home = migrate(settings)
    _end_dead_runs()
    err.print(f"Dagster's UI: http://127.0.0.1:{port} (history in {home}; Ctrl-C stops it)")
    target = ["-w", "workspace.yaml"] if Path("workspace.yaml").is_file() else ["-m", "taxi_assets.definitions"]
    options = ["-h", "127.0.0.1", "-p", str(port), *DATABASE_OPTIONS]
    # A script's background job starts with SIGINT ignored; Dagster would inherit that, and treat SIGTERM alike.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable, "-m", "dagster", "dev", *target, *options])  # noqa: S606 - fixed words


def _check_port(port: int) -> None:
    """Refuse to start beside another `dev`: both daemons would launch runs.

    Raises:
        SettingError: The port is in use, or may not be used.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SettingError(
                f"port {port} cannot be used: {error.strerror}",
                location="--port",
                remedy="if `taxi-assets dev` runs already, open it; else choose another port, as in `--port 3001`",
            ) from error


def _end_dead_runs() -> None:
    import dagster as dg

    from taxi_assets.instance.recovery import end_dead_runs

    with dg.DagsterInstance.get() as instance:
        for run in end_dead_runs(instance):
            then = "the daemon runs it again" if run.again else "run it again: `taxi-assets run`, or from the UI"
            err.print(f"run {run.run_id} ({run.describe_run}) was dead and has been ended; {then}")
