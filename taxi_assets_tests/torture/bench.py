"""One `taxi-assets` command after the other in data folders of their own, and what they left there, to be compared."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

ROOT = Path(__file__).parents[2]
LIMIT_S = 120.0
"""Seconds after which a command hangs; on a busy machine one takes a few."""

STEPS = ("raw_file", "cleaned_parquet", "gcs_object", "bigquery_table")


@dataclass(frozen=True)
class Finished:
    """How a command went.

    Attributes:
        status: Its exit status, or minus the signal that ended it; None if it hung.
        changes: The changes that it made or, the last one, was about to make when it was killed: call and file.
        said: What it printed.
    """

    status: int | None
    changes: list[tuple[str, str]]
    said: str

    def rows(self) -> list[dict[str, Any]]:
        """Return the ledger that `run --json` printed."""
        return json.loads(self.said[self.said.index("[\n") :])


class Bench:
    """Runs commands in forks of a process that is warm.

    Args:
        folder: For the data folders.
        environment: Settings of every command.
        more: Modules that these settings need.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], more: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "TAXI_FIRST_WAIT": "0",
            # a fork would lack the threads of these
            "OPENBLAS_NUM_THREADS": "1",
            "JE_ARROW_MALLOC_CONF": "background_thread:false",
            **environment,
        }
        self._log = (folder / "zygote.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "taxi_assets_tests.torture.zygote", *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=self.environment,
            cwd=ROOT,
            text=True,
        )
        self._take()

    def close(self) -> None:
        """End the warm process."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def data(self, name: str, copy_of: Path | None = None) -> Path:
        """Make a data folder, empty or as another is; below it Dagster finds the project's own `dagster.yaml`."""
        data = self.folder / name
        shutil.rmtree(data, ignore_errors=True)
        if copy_of:
            shutil.copytree(copy_of, data)
        data.mkdir(parents=True, exist_ok=True)
        return data

    def run(
        self,
        data: Path,
        *words: str,
        at: int = 0,
        error: int = 0,
        watched: Path | None = None,
        limit: float = LIMIT_S,
        **settings: str,
    ) -> Finished:
        """Run a command.

        Args:
            data: Its data folder.
            words: Its words.
            at: Number of the change at which it is killed; 0 for none.
            error: Instead of a kill, the `errno` with which this change and each later write fail.
            watched: Whose changes are seen, if not the data folder's.
            limit: Seconds after which it is killed as hanging.
            settings: Further settings.
        """
        working_folder = self.folder / "working"
        working_folder.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / "dagster.yaml", working_folder / "dagster.yaml")
        output = self.folder / "output"
        order = {
            "arguments": words,
            "environment": self.environment | {"TAXI_DATA_DIR": str(data)} | settings,
            "folder": str(watched or data),
            "working_folder": str(working_folder),
            "output": str(output),
            "at": at,
            "error": error,
            "limit": limit,
        }
        assert self._process.stdin
        print(json.dumps(order), file=self._process.stdin, flush=True)
        answer = json.loads(self._take())
        said = output.read_text("utf-8", "replace") + answer.get("error", "")
        return Finished(answer["status"], [(call, what) for call, what in answer["changes"]], said)

    def _take(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError((self.folder / "zygote.log").read_text(errors="replace")[-3000:])
        return line


def drawn(changes: list[tuple[str, str]], number: int, seed: int) -> list[int]:
    """Draw moments of a run, in order: half of them among the changes to what lands, which Dagster's own outnumber.

    Args:
        changes: The run's changes.
        number: How many moments; the first change is 1.
        seed: Of the draw.
    """
    chance = random.Random(seed)
    landing = [at for at, (_, what) in enumerate(changes, 1) if not what.startswith("dagster/")]
    half = chance.sample(landing, min(number // 2, len(landing)))
    others = sorted(set(range(1, len(changes) + 1)) - set(half))
    return sorted(half + chance.sample(others, number - len(half)))


@contextlib.contextmanager
def bench(folder: Path, environment: Mapping[str, str], more: tuple[str, ...] = ()) -> Iterator[Bench]:
    """Run a bench while the block lasts."""
    running = Bench(folder, environment, more)
    try:
        yield running
    finally:
        running.close()


@dataclass(frozen=True)
class State:
    """What lies in a data folder, as far as it must be the same however often a run was disturbed.

    Attributes:
        files: SHA-256 of each file of a month or its records, by path.
        stray: Other files: drafts, spilled pages.
        tables: Rows of each table of the warehouse.
        landed: Data version of each month that Dagster believes to be materialized, by asset and partition.
    """

    files: dict[str, str]
    stray: list[str]
    tables: dict[str, list[tuple[Any, ...]]]
    landed: dict[tuple[str, str], str]

    @property
    def rows(self) -> int:
        """How many rows the tables have."""
        return sum(len(rows) for rows in self.tables.values())


def state_of(data: Path, tables: dict[str, list[tuple[Any, ...]]] | None = None) -> State:
    """Look at a data folder, and see that Dagster's databases are whole.

    Args:
        data: The folder.
        tables: The warehouse's rows; by default those of the DuckDB file.
    """
    home = data / "dagster"
    for database in home.rglob("*.db"):
        with contextlib.closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], database
    return State(*files_of(data), tables_of(data) if tables is None else tables, landed_in(home))


def files_of(data: Path) -> tuple[dict[str, str], list[str]]:
    """Return the files of months, with their checksums, and the other files that are neither locks nor databases."""
    files, stray = {}, []
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        name = path.relative_to(data).as_posix()
        if name.startswith(("work/raw/", "work/cleaned/", "lake/data/")):
            if path.suffix != ".lock":
                files[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif not name.startswith(("dagster/", "warehouse.duckdb")) or name.startswith("warehouse.duckdb.tmp"):
            stray.append(name)
    return files, stray


def tables_of(data: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of the local warehouse, without what names a folder or a time."""
    if not (data / "warehouse.duckdb").exists():
        return {}
    with duckdb.connect(str(data / "warehouse.duckdb")) as connection:
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'nyc_tlc'"
        ).fetchall()
        leave_out = {"month_loads": "EXCLUDE (object, loaded_at)"}
        return {
            name: connection.execute(f"SELECT * {leave_out.get(name, '')} FROM nyc_tlc.{name} ORDER BY ALL").fetchall()
            for (name,) in sorted(names)
        }


def landed_in(home: Path) -> dict[tuple[str, str], str]:
    """Return the data version of each asset's months, as Dagster has them."""
    if not (home / "dagster.yaml").exists():
        return {}
    found: dict[tuple[str, str], str] = {}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for key in instance.all_asset_keys():
            for record in instance.fetch_materializations(key, limit=1000, ascending=True).records:
                event = record.asset_materialization
                assert event
                found[key.to_user_string(), str(event.partition)] = (event.tags or {}).get("dagster/data_version", "")
    return found
