"""`taxi-assets doctor` in the local profile: what it tries, what it tells, what it never shows."""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path

import pytest

from taxi_assets.cli.doctor import command
from taxi_assets.cli.main import main
from taxi_assets.contracts import DATASETS
from taxi_assets.partitions import last_month
from taxi_assets_tests.servers.http_source import HttpSource, http_source
from taxi_assets_tests.servers.postgres import PostgresServer
from taxi_assets_tests.transform.landing import TRIP, csv

doctor = command.callback
pytest_plugins = ["taxi_assets_tests.servers.fixtures_postgres"]


@pytest.fixture(autouse=True)
def site(monkeypatch: pytest.MonkeyPatch):
    with http_source() as site:
        address = site.url.replace("http://", "http://reader:planted-password@")
        monkeypatch.setenv("TAXI_CSV_URL", f"{address}/{{dataset}}_{{year}}-{{month:02}}.csv.gz")
        monkeypatch.setenv("TAXI_SOURCE", "csv")
        yield site


def test_what_is_well_is_told_and_nothing_is_made_or_shown_that_is_secret(
    site: HttpSource, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor() == 0
    notified = capsys.readouterr().out
    for name in ("settings", "data folder", "dagster", "warehouse", "source"):
        assert f"ok    {name}" in notified
    assert f"answers, and does not have yellow {last_month(DATASETS['yellow'])}, nor 2021-01" in notified
    assert "everything that is needed is there; to land a month" in notified
    assert "planted-password" not in notified
    assert len(site.asked) == 2
    assert not (tmp_path / "data").exists()


def test_a_source_that_has_an_old_month_is_well_even_if_the_latest_is_not_published(
    site: HttpSource, capsys: pytest.CaptureFixture[str]
) -> None:
    site.files["/yellow_2021-01.csv.gz"] = gzip.compress(csv([TRIP]))
    assert doctor() == 0
    told = capsys.readouterr().out
    assert f"does not have yellow {last_month(DATASETS['yellow'])}, but 2021-01" in told
    assert "correct TAXI_CSV_URL" not in told


def test_a_source_folder_that_does_not_exist_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXI_PARQUET_URL", f"file://{tmp_path}/miror/{{dataset}}_{{year}}-{{month:02}}.parquet")
    assert doctor() == 0  # TAXI_SOURCE=csv never asks there
    capsys.readouterr()
    monkeypatch.setenv("TAXI_SOURCE", "auto")
    assert doctor() == 1
    told = " ".join(capsys.readouterr().out.split())
    assert f"there is no such folder where: {tmp_path}/miror (TAXI_PARQUET_URL)" in told


def test_every_wrong_setting_is_told_and_a_misspelt_one_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXI_ATTEMPTS", "many")
    monkeypatch.setenv("TAXI_THREADS", "-1")
    monkeypatch.setenv("TAXI_SMTP_URL", "planted-password")
    monkeypatch.setenv("TAXI_GCS_BUKET", "x")
    assert doctor() == 1
    notified, err = capsys.readouterr()
    assert notified.count("WRONG") == 3
    for name in ("TAXI_ATTEMPTS", "TAXI_THREADS", "TAXI_SMTP_URL"):
        assert notified.count(f"{name} cannot be used") == 1
    assert "note  settings      TAXI_GCS_BUKET is not a setting; did you mean TAXI_GCS_BUCKET?" in notified
    assert "left  all else      not tried: settings are wrong" in notified
    assert "ok" not in notified
    assert "planted-password" not in notified + err


def test_a_misspelt_setting_is_noted_and_refused_by_no_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXI_PROFIL", "gcp")
    assert doctor() == 0
    told = capsys.readouterr().out
    assert "TAXI_PROFIL is not a setting; did you mean TAXI_PROFILE? correct its name or remove it" in told
    assert "look at the note above; all else is there" in told
    assert main(["ledger"]) == 0
    assert "TAXI_PROFIL is not a setting" in capsys.readouterr().err


def test_a_refused_setting_is_told_once_and_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXI_WORK_URL", "gs://someone:planted-password@b ad/x")
    assert doctor() == 1
    told = capsys.readouterr().out
    assert told.count("WRONG") == 1
    assert "planted-password" not in told


@pytest.mark.parametrize("key", ["planted-" * 50, "~nobody-of-that-name/key.json"])
def test_a_key_that_can_be_no_path_is_no_accident(
    key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXI_GCP_CREDENTIALS", key)
    assert doctor() == 0  # the local profile does not use it
    assert "planted" not in capsys.readouterr().out


def test_a_damaged_file_in_a_source_folder_is_told_without_speaking_of_a_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXI_CSV_URL", f"{tmp_path.as_uri()}/{{dataset}}_{{year}}-{{month:02}}.csv")
    month = last_month(DATASETS["yellow"])
    (tmp_path / f"yellow_{month}.csv").write_bytes(b"<Error><Code>AccessDenied</Code></Error>")
    assert doctor() == 1
    assert "what to do: check the source, TAXI_CSV_URL and TAXI_PARQUET_URL" in capsys.readouterr().out


def test_a_key_file_that_does_not_exist_is_not_called_safe(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key.json"
    monkeypatch.setenv("TAXI_GCP_CREDENTIALS", str(key))
    assert doctor() == 0
    assert "key.json" not in capsys.readouterr().out
    key.touch(0o600)
    assert doctor() == 0
    assert "ok    secrets       only this user can read key.json" in capsys.readouterr().out


@pytest.fixture
def dotenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A `.env` in the working folder that others can read, without a secret."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ".env"
    file.write_text("TAXI_SOURCE=csv\n")
    file.chmod(0o644)
    return file


@pytest.mark.parametrize(
    "secret",
    [
        "POSTGRES_PASSWORD=planted-password",
        "TAXI_PARQUET_URL=https://reader:planted-password@host/{dataset}_{year}-{month:02}",
    ],
)
def test_a_file_of_secrets_that_others_can_read_is_told(
    dotenv: Path, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dotenv.write_text(f"TAXI_SOURCE=csv\n{secret}\n")
    assert doctor() == 1
    notified = capsys.readouterr().out
    assert "WRONG secrets" in notified
    assert f"chmod 600 {dotenv}" in notified
    assert "planted-password" not in notified
    dotenv.chmod(0o600)
    assert doctor() == 0
    notified = capsys.readouterr().out
    assert "ok    secrets       only this user can read .env" in notified
    assert "planted-password" not in notified


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# mine\n\nTAXI_PROFILE gcp\nTAXI_SOURCE=csv\n", 3),
        ("TAXI_SOURCE=csv\n\nTAXI_PROFILE\n", 3),
        ('TAXI_SOURCE=csv\nTAXI_GCP_CREDENTIALS=\'{"planted-password"\n', 2),
        ("TAXI_GCP_CREDENTIALS='{planted-password\nTAXI_SMTP_URL='smtp://planted-password'\n", 1),
    ],
)
@pytest.mark.parametrize("words", [["doctor"], ["ledger"], ["run", "yellow", "2021-01"], ["dev"]], ids=lambda w: w[0])
def test_a_line_that_cannot_be_read_is_refused_by_every_command_with_its_number(
    dotenv: Path,
    words: list[str],
    text: str,
    line: int,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    dotenv.write_text(text)
    assert main(words) == 2
    told = capsys.readouterr().err
    assert f"line {line} of .env cannot be read\nwhere: {dotenv}\nwhat to do: write it as" in told
    assert "planted-password" not in told
    assert "dotenv" not in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "note"),
    [
        ("GCP_PROJECT", "my-project-123", "the local profile does not use TAXI_GCP_PROJECT; TAXI_PROFILE=gcp does"),
        (
            "ACCEPTED_DRIFT",
            "airport_fee, yellow.robot_fee, yelow.other_fee",
            "TAXI_ACCEPTED_DRIFT has yelow.other_fee; before the dot stands a dataset's name",
        ),
        ("ALERT_EMAIL", "someone@example.org", "no alert is mailed to TAXI_ALERT_EMAIL without TAXI_SMTP_URL"),
    ],
)
def test_a_setting_that_does_nothing_as_it_is_is_noted(
    name: str, value: str, note: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"TAXI_{name}", value)
    assert doctor() == 0
    assert f"note: {note}" in capsys.readouterr().out


def test_a_required_setting_that_is_wrong_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("PROFILE", "gcp"), ("GCP_PROJECT", "123456"), ("GCS_BUCKET", "my-bucket")):
        monkeypatch.setenv(f"TAXI_{name}", value)
    assert doctor() == 1
    told = capsys.readouterr().out
    assert told.count("WRONG") == 1
    assert "TAXI_GCP_PROJECT cannot be used" in told


def test_a_missing_setting_is_told_beside_one_that_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXI_PROFILE", "gcp")
    monkeypatch.setenv("TAXI_GCP_PROJECT", "123456")
    assert doctor() == 1
    told = capsys.readouterr().out
    assert told.count("WRONG") == 2
    assert "TAXI_GCP_PROJECT cannot be used" in told
    assert "settings      TAXI_GCS_BUCKET must be set for TAXI_PROFILE=gcp" in told


def test_a_file_without_secrets_may_be_read_by_others(dotenv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dotenv.exists()
    assert doctor() == 0
    assert "ok    secrets" not in capsys.readouterr().out


def test_a_data_folder_that_cannot_be_written_is_told_and_what_depends_on_it_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TAXI_DATA_DIR", str(tmp_path / "file" / "data"))
    assert doctor() == 1
    notified = capsys.readouterr().out
    assert "WRONG data folder" in notified
    assert "TAXI_DATA_DIR" in notified
    assert "left  warehouse" in notified


def test_a_source_that_does_not_answer_is_told(site: HttpSource, capsys: pytest.CaptureFixture[str]) -> None:
    site.standing = {path: lambda handler: handler.answer(503, b"") for path in _paths(site)}
    assert doctor() == 1
    assert "WRONG source" in capsys.readouterr().out


def _paths(site: HttpSource) -> list[str]:
    doctor()
    return list(site.asked)


def test_both_databases_are_tried_and_no_password_is_shown(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXI_POSTGRES_URL", postgres.url)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres.url)
    assert doctor() == 0
    notified = capsys.readouterr().out
    assert "ok    postgres" in notified
    assert "(DAGSTER_POSTGRES_URL), version" in notified
    wrong = "postgresql://someone:planted-password@127.0.0.1:9/trips"
    monkeypatch.setenv("TAXI_POSTGRES_URL", wrong)
    assert doctor() == 1
    notified = capsys.readouterr().out
    assert "WRONG postgres" in notified
    assert "127.0.0.1:9/trips (TAXI_POSTGRES_URL)" in notified
    assert "planted-password" not in notified


def test_a_broken_history_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "data" / "dagster" / "history" / "runs.db"
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES (1), (2)"
        )
    assert doctor() == 1
    notified = capsys.readouterr().out
    assert "WRONG dagster" in notified
    assert "2 schema versions" in notified
