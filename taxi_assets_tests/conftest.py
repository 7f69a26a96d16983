"""What every test starts from: no settings of the machine's, a folder of its own, real files where they are."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

pytest_plugins = [
    "taxi_assets_tests.servers.fixtures",
    "taxi_assets_tests.servers.cloud",
    "taxi_assets_tests.torture.tally",
]

# set once for the whole session: modules read it where the fixture below has emptied the environment
REAL_DATA = os.environ.get("TAXI_REAL_DATA", "")


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take every setting out of the environment, and work below a folder of the test's own."""
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that what a command sets is taken out again after the test
    for name in list(os.environ):
        if name.startswith(("TAXI_", "DAGSTER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TAXI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TAXI_FIRST_WAIT", "0")
    monkeypatch.setenv("TAXI_ZONES_URL", (tmp_path / "zones-that-are-not-there.csv").as_uri())
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    warnings.filterwarnings("ignore", message="Parameter .* is currently in beta")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of TLC's own files; the test is skipped where there is none."""
    if not REAL_DATA:
        pytest.skip("TAXI_REAL_DATA is not set; it names a folder of real TLC files")
    return Path(REAL_DATA).absolute()
