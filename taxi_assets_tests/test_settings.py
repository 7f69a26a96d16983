"""The settings: where they come from, what they refuse, and what they never show."""

from __future__ import annotations

import dagster as dg
import pytest

from taxi_assets.settings import MIN_MEMORY_MIB, SettingError, Settings, setting_variables
from taxi_assets.storage.factory import resource_limits

URLS = [name for name in setting_variables() if name.endswith("_URL") or name == "TAXI_ALERT_WEBHOOK"]


def refusal(**environment: str) -> str:
    with pytest.raises(SettingError) as caught:
        Settings.from_environment(environment)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_settings_that_are_built_from_values_do_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_SOURCE", "parquet")
    monkeypatch.setenv("TAXI_THREADS", "many")
    assert Settings() == Settings.from_environment({})
    assert Settings(attempts=3).attempts == 3
    assert hash(Settings()) == hash(Settings())
    monkeypatch.delenv("TAXI_THREADS")
    assert Settings.from_environment().source == "parquet"
    with pytest.raises(ValueError, match="frozen"):
        Settings().source = "csv"


@pytest.mark.parametrize("address", ["mysql://u:planted@host/db", "postgresql://u:pla@nted@host:5432/db"])
def test_a_postgres_address_that_no_client_could_read_is_refused_at_the_start(address: str) -> None:
    text = refusal(TAXI_POSTGRES_URL=address)
    assert "it must be written as postgresql://user:password@host:5432/database; in the password %40 for @" in text
    assert "nted" not in text


def test_a_files_address_with_two_slashes_is_refused_with_how_to_write_it() -> None:
    text = refusal(TAXI_CSV_URL="file://srv/mirror/{dataset}_{year}-{month:02}.csv")
    assert "it must have three slashes, as in file:///path/to/file" in text


def test_an_empty_variable_takes_the_default() -> None:
    assert Settings.from_environment({"TAXI_SOURCE": " ", "TAXI_MEMORY_LIMIT": ""}) == Settings()


@pytest.mark.parametrize(
    "address", ["smtp://mail:pla[nted@host", "smtps://mail:planted\u2100@host", "smtp://mail:planted@host:port"]
)
def test_a_mail_server_that_could_not_be_asked_is_refused_without_its_password(address: str) -> None:
    text = refusal(TAXI_SMTP_URL=address)
    assert "TAXI_SMTP_URL cannot be used" in text
    assert "it must be a well-formed address" in text
    assert "nted" not in text


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "address",
    [
        "gopher://reader:planted@host/months",
        "gopher://host/months?sig=planted",
        "gopher://reader:1@planted@host/months",
        "gopher://reader:1/planted@host/months",
        "gopher://reader:1?planted@host/months",
        "gopher://reader:planted#x@host/months?sig=planted",
        "reader:planted@host",
        "https://reader:{planted}@host/{dataset}/{year}/{month:0x}",
        "gopher://[planted@host",
        "https://[planted@host/{dataset}/{year}-{month:02}",
        "https://reader:planted\u2100@host/{dataset}/{year}-{month:02}",
    ],
)
def test_an_address_that_cannot_be_used_is_told_without_what_may_be_secret_in_it(name: str, address: str) -> None:
    if name in ("TAXI_ZONES_URL", "TAXI_UI_URL", "TAXI_ALERT_WEBHOOK") and address.startswith("https://reader:{"):
        pytest.skip("it can be used")
    text = refusal(**{name: address})
    assert f"{name} cannot be used: " in text
    assert "planted" not in text


def test_settings_show_neither_secrets_nor_those_in_addresses() -> None:
    settings = Settings.from_environment(
        {
            "TAXI_CSV_URL": "https://reader:planted@host/{dataset}/{year}-{month:02}.csv?sig=planted",
            "TAXI_POSTGRES_URL": "postgresql://taxi:planted@db/trips",
            "TAXI_GCP_CREDENTIALS": "planted",
            "TAXI_SMTP_URL": "smtp://mail:planted@host",
        }
    )
    assert "planted" not in repr(settings)
    assert "host/{dataset}/{year}-{month:02}.csv" in repr(settings)


@pytest.mark.parametrize(
    ("name", "text", "must"),
    [
        ("TAXI_SOURCE", "fax", "'fax': it must be one of auto, csv, parquet"),
        ("TAXI_ATTEMPTS", "many", "'many': it must be a whole number"),
        ("TAXI_ATTEMPTS", "0", "it must be between 1 and 20"),
        ("TAXI_READ_TIMEOUT", "nan", "it must be between 0.1 and 3600"),
        ("TAXI_DROP_ZERO_PASSENGERS", "perhaps", "it must be true or false"),
        ("TAXI_MEMORY_LIMIT", "1MB", f"a month needs {MIN_MEMORY_MIB}MB"),
        ("TAXI_AUTOMATION_SINCE", "2021-13", "2021-13 is not a month"),
        ("TAXI_WORK_URL", "work", "it must be an absolute folder"),
        ("TAXI_WORK_URL", "gs://b/work", "after gs:// it must have a bucket's name: three or more lower-case letters"),
        ("TAXI_GCS_BUCKET", "gs://lake", "it must be a bucket's name without gs://: three or more"),
        ("TAXI_UI_URL", "file:///etc/hosts", "it must begin with https:// or http://"),
        ("TAXI_ALERT_WEBHOOK", "file:///tmp/hook", "it must begin with https:// or http://"),
        ("TAXI_MONTHLY_CRON", "61 * * * *", "out of range"),
        ("TAXI_MONTHLY_CRON", "0 5 30-31 2 *", "it never comes due"),
        ("TAXI_MONTHLY_CRON", "0 5 3 *", "it must be five fields of numbers"),
        ("TAXI_MONTHLY_CRON", "@monthly", "it must be five fields of numbers"),
        ("TAXI_BQ_LOCATION", "EUROPE", "it must be a location of BigQuery, as EU or europe-west1"),
        ("TAXI_GCP_PROJECT", "123456", "it must be a project's ID"),
    ],
)
def test_a_refused_value_is_told_with_what_it_must_be(name: str, text: str, must: str) -> None:
    assert must in refusal(**{name: text})


@pytest.mark.parametrize(
    "cron",
    """0 5 3 * *|61 * * * *|0 24 1 * *|0 0 31 2 *|0 0 29 2 *|0 5 3 * 7|0 5 22-2 * *|*/0 * * * *|0/5 * * * *
    |5,7-9/2 0 1 1 0|0 0 0 * *|0 0 1 13 *|0 0 1 1 8|1-2-3 0 1 1 1|1,,2 0 1 1 1|59-1 0 1 1 1|**/5 0 1 1 1|1, 1 1 1 1
    |0 5 30-31 2,4 *|*/5 0 */2 1-12/3 *""".replace("\n    ", "").split("|"),
)
def test_a_cron_expression_is_refused_where_dagster_would_refuse_it(cron: str) -> None:
    try:
        dg.ScheduleDefinition(name="x", job_name="x", cron_schedule=cron)
    except dg.DagsterInvalidDefinitionError:
        assert "TAXI_MONTHLY_CRON cannot be used" in refusal(TAXI_MONTHLY_CRON=cron)
    else:
        assert Settings.from_environment({"TAXI_MONTHLY_CRON": cron}).monthly_cron == cron


@pytest.mark.parametrize("project", ["my-project-123", "example.com:proj", "example.com:my-project"])
def test_a_projects_id_may_belong_to_a_domain(project: str) -> None:
    assert Settings.from_environment({"TAXI_GCP_PROJECT": project}).gcp_project == project


def test_columns_whose_drift_is_accepted_are_named_for_every_dataset_or_for_one() -> None:
    settings = Settings.from_environment({"TAXI_ACCEPTED_DRIFT": "airport_fee, yellow.robot_fee"})
    assert settings.accepted_drift == ("airport_fee", "yellow.robot_fee")
    assert Settings().accepted_drift == ()


def test_values_are_those_of_the_source_by_default() -> None:
    settings = Settings()
    assert settings.missing_passengers == "keep"
    assert not settings.drop_zero_passengers
    assert not settings.postgres_drop_zero_passengers


def test_a_process_may_use_a_quarter_of_the_memory_and_all_cores_unless_settings_say_otherwise() -> None:
    limits = resource_limits(Settings.from_environment({"TAXI_MEMORY_LIMIT": "2GB", "TAXI_THREADS": "3"}))
    assert (limits.memory, limits.threads) == (2048, 3)
    assert resource_limits(Settings()).memory >= MIN_MEMORY_MIB
