"""`taxi-assets dev`: Dagster's UI on this machine only, because it has no login."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import click

from taxi_assets.cli.common import err, examples, load_settings, migrate
from taxi_assets.settings import SettingError


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
    _see_that_it_is_free(port)
    home = migrate(load_settings())
    _recover()
    err.print(f"Dagster's UI: http://127.0.0.1:{port} (history in {home}; Ctrl-C stops it)")
    target = ["-w", "workspace.yaml"] if Path("workspace.yaml").is_file() else ["-m", "taxi_assets.definitions"]
    words = ["dagster", "dev", *target, "-h", "127.0.0.1", "-p", str(port), "--db-pool-max-overflow", "3"]
    os.execv(sys.executable, [sys.executable, "-m", *words])  # noqa: S606 - the words are ours


def _see_that_it_is_free(port: int) -> None:
    """Refuse to start beside another: two daemons would both work, and the runs of the other are not dead."""
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


def _recover() -> None:
    import dagster as dg

    from taxi_assets.instance.recovery import end_dead_runs

    with dg.DagsterInstance.get() as instance:
        for run in end_dead_runs(instance):
            then = "the daemon runs it again" if run.again else "run it again: `taxi-assets run`, or from the UI"
            err.print(f"run {run.run_id} ({run.describe_run}) was dead and has been ended; {then}")
