"""`taxi-assets dev`: Dagster's UI on this machine only, because it has no login."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from taxi_assets.commands.common import err, load_settings, use_dagster_home


def command(port: int) -> int:
    """Become `dagster dev`; does not return."""
    home = use_dagster_home(load_settings())
    err.print(f"Dagster's UI: http://127.0.0.1:{port} (history in {home}; Ctrl-C stops it)")
    target = ["-w", "workspace.yaml"] if Path("workspace.yaml").is_file() else ["-m", "taxi_assets.definitions"]
    words = ["dagster", "dev", *target, "-h", "127.0.0.1", "-p", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", *words])  # noqa: S606 - the words are ours
