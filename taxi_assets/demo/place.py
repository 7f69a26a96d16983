"""Where the demo lives: a folder of its own, with nothing of the settings but that folder's place."""

from __future__ import annotations

import os
from pathlib import Path

from taxi_assets.settings import Settings, forwarded_variables, variable

MONTH_PATH = "{dataset}/{dataset}_tripdata_{year}-{month:02}.csv.gz"
ZONES_PATH = "taxi_zone_lookup.csv"
"""Paths of a month and of the zones at the demo's source."""

_NAME = "demo"


def demo_folder() -> Path:
    """Return the demo's folder: the data folder if it is the demo's, or else in it."""
    data = data_folder()
    return data if is_demo(data) else data / _NAME


def data_folder() -> Path:
    """Return the data folder; no other setting is read."""
    name = variable("data_dir")
    return Settings.from_environment({name: os.environ.get(name, "")}).data_dir


def is_demo(folder: Path) -> bool:
    """Whether a data folder is one that the demo has made."""
    return _marker(folder).is_file()


def source_folder(folder: Path) -> Path:
    """Return the folder of the months that the demo's source has made."""
    return folder / "source"


def _marker(folder: Path) -> Path:
    return source_folder(folder) / ".made_up"


def enter(folder: Path, address: str) -> Settings:
    """Mark the folder as the demo's, and leave no other setting in this process's environment; return the demo's.

    Args:
        folder: The demo's folder.
        address: Where the demo's source is served.
    """
    if not is_demo(folder):
        source_folder(folder).mkdir(parents=True, exist_ok=True)
        _marker(folder).touch()
    for name in forwarded_variables():
        del os.environ[name]
    own = {
        "TAXI_DATA_DIR": str(folder),
        "TAXI_CSV_URL": f"{address}/{MONTH_PATH}",
        "TAXI_ZONES_URL": f"{address}/{ZONES_PATH}",
        "TAXI_SOURCE": "csv",
    }
    os.environ.update(own)
    os.environ.setdefault("MPLCONFIGDIR", str(folder / "matplotlib"))  # else its fonts are listed in the home
    return Settings.from_environment(own)
