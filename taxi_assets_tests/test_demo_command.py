"""`taxi-assets demo`: the tour for a newcomer."""

from __future__ import annotations

from pathlib import Path

from taxi_assets_tests.test_run_command import taxi_assets


def test_the_demo_lands_its_months_and_their_history_lies_where_the_ui_is_told_to_look(tmp_path: Path) -> None:
    done = taxi_assets("demo")

    assert done.returncode == 0, done.stderr + done.stdout
    folder = tmp_path / "data" / "demo"
    assert f"TAXI_DATA_DIR={folder} make dev" in done.stdout
    assert (folder / "dagster" / "history" / "runs.db").exists()
    assert not (tmp_path / "data" / "dagster").exists()
    verified = taxi_assets("ledger", "--verify", TAXI_DATA_DIR=str(folder))
    assert "verified: 6 months" in verified.stdout
