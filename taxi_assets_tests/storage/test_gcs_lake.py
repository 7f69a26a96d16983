"""The lake in Cloud Storage: what lands, what is not sent again, what a bad link and a refusal come to."""

from __future__ import annotations

import dataclasses
import os
import socket
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from urllib3.util import connection

from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.months import Month
from taxi_assets.storage.google.upload import CHUNK
from taxi_assets.storage.lake.gcs import PARQUET, GcsLake
from taxi_assets_tests.servers.credentials import TokenEndpoint
from taxi_assets_tests.servers.gcs import GcsServer
from taxi_assets_tests.servers.proxy import FaultyProxy, faulty_proxy
from taxi_assets_tests.storage.months import JANUARY, access, cleaned_month

MIB = 1 << 20


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A file of two and a half chunks; the lake does not look into files that `put_file` gives it."""
    path = tmp_path / "big.bin"
    path.write_bytes(os.urandom(CHUNK * 5 // 2))
    return path


def through(lake: GcsLake, proxy: FaultyProxy, **more: object) -> GcsLake:
    return GcsLake(dataclasses.replace(lake.access, storage_emulator=proxy.url, **more), lake.bucket, lake.prefix)


def uploads(gcs: GcsServer) -> list[str]:
    return [line for line in gcs.front.asked if "/upload/" in line]


def asked(gcs: GcsServer) -> list[str]:
    """Returns the requests for objects; google-cloud-storage also asks for the bucket, in the background."""
    return [line for line in gcs.front.asked if "/o" in line.partition("?")[0]]


def test_an_object_has_the_files_bytes_under_the_tutorials_name_and_carries_its_ledger(
    gcs: GcsServer, lake: GcsLake, tmp_path: Path
) -> None:
    cleaned, path = cleaned_month(tmp_path)
    stored = lake.put(cleaned, path)
    assert stored.file == f"gs://{lake.bucket}/lake/data/yellow/yellow_tripdata_2021-01.parquet"
    blob = gcs.client().bucket(lake.bucket).get_blob("lake/data/yellow/yellow_tripdata_2021-01.parquet")
    assert blob.download_as_bytes() == path.read_bytes()
    assert blob.content_type == PARQUET
    assert blob.metadata == {
        "dataset": "yellow", "month": "2021-01", "rows": "100", "sha256": cleaned.sha256, "recipe": "version-1",
        "source_url": "https://example.org/trips.csv.gz", "source_sha256": "ab" * 32, "source_rows": "103",
        "dropped_rows": "1", "rejected_rows": "2", "crc32c": blob.crc32c,
    }  # fmt: skip
    assert (stored.rows, stored.bytes, stored.changed) == (100, path.stat().st_size, True)
    assert stored.generation == str(blob.generation)


def test_what_lies_in_the_bucket_is_found_by_its_metadata_and_read_back_as_a_table(
    lake: GcsLake, tmp_path: Path
) -> None:
    cleaned, path = cleaned_month(tmp_path)
    stored = lake.put(cleaned, path)
    assert lake.find("yellow", JANUARY) == dataclasses.replace(stored, changed=False)
    assert lake.find("yellow", Month(2021, 2)) is None
    assert lake.read(stored).equals(pq.read_table(path))


def test_the_same_file_is_not_sent_again(gcs: GcsServer, lake: GcsLake, tmp_path: Path) -> None:
    cleaned, path = cleaned_month(tmp_path)
    first = lake.put(cleaned, path)
    gcs.front.asked.clear()
    assert lake.put(cleaned, path) == dataclasses.replace(first, changed=False)
    assert uploads(gcs) == []
    assert len(asked(gcs)) == 1


def test_the_same_bytes_from_another_source_renew_the_ledger_without_being_sent(
    gcs: GcsServer, lake: GcsLake, tmp_path: Path
) -> None:
    cleaned, path = cleaned_month(tmp_path)
    lake.put(cleaned, path)
    gcs.front.asked.clear()
    again = lake.put(dataclasses.replace(cleaned, source_sha256="cd" * 32), path)
    assert uploads(gcs) == []  # the emulator makes a new generation of it all the same; Cloud Storage does not
    assert (again.source_sha256, again.changed) == ("cd" * 32, False)
    found = lake.find("yellow", JANUARY)
    assert found is not None
    assert found.source_sha256 == "cd" * 32


def test_other_bytes_replace_the_object(lake: GcsLake, tmp_path: Path) -> None:
    first = lake.put(*cleaned_month(tmp_path))
    cleaned, path = cleaned_month(tmp_path, seed=1)
    second = lake.put(cleaned, path)
    assert second.changed
    assert second.generation != first.generation
    assert lake.read(second).equals(pq.read_table(path))


def test_a_file_with_under_half_of_an_objects_rows_replaces_it_only_if_a_person_accepts_that(
    gcs: GcsServer, lake: GcsLake, tmp_path: Path
) -> None:
    before = lake.put(*cleaned_month(tmp_path))
    assert lake.landed_rows("yellow", JANUARY) == 100
    gcs.front.asked.clear()
    few = cleaned_month(tmp_path, rows=49, seed=1)
    with pytest.raises(PermanentError, match="49 rows, under half of the 100 that the month has had") as caught:
        lake.put(*few)
    assert before.file in caught.value.location
    assert uploads(gcs) == []
    assert lake.find("yellow", JANUARY) == dataclasses.replace(before, changed=False)
    assert lake.put(*few, accept_row_count=True).rows == 49


def test_an_object_from_elsewhere_gives_way_to_any_month(gcs: GcsServer, lake: GcsLake, tmp_path: Path) -> None:
    name = lake.put(*cleaned_month(tmp_path)).file.removeprefix(f"gs://{lake.bucket}/")
    gcs.client().bucket(lake.bucket).blob(name).upload_from_filename(cleaned_month(tmp_path, seed=2)[1])
    assert lake.landed_rows("yellow", JANUARY) == 0
    assert lake.put(*cleaned_month(tmp_path, rows=49, seed=1)).rows == 49


def test_a_file_that_does_not_match_its_record_is_not_sent(gcs: GcsServer, lake: GcsLake, tmp_path: Path) -> None:
    cleaned, path = cleaned_month(tmp_path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(PermanentError, match="does not match its record"):
        lake.put(cleaned, path)
    assert asked(gcs) == []


def test_an_object_that_something_else_put_is_found_by_its_footer_if_it_is_a_parquet_file(
    gcs: GcsServer, lake: GcsLake, tmp_path: Path
) -> None:
    cleaned, path = cleaned_month(tmp_path)
    blob = gcs.client().bucket(lake.bucket).blob("lake/data/yellow/yellow_tripdata_2021-01.parquet")
    blob.upload_from_filename(path)
    found = lake.find("yellow", JANUARY)
    assert found is not None
    assert (found.rows, found.bytes, found.generation) == (100, path.stat().st_size, str(blob.generation))
    assert found.sha256.startswith("crc32c-")
    assert lake.find("yellow", JANUARY) == found
    blob.upload_from_string(b"something")
    with pytest.raises(PermanentError, match="not a readable Parquet file"):
        lake.find("yellow", JANUARY)
    assert lake.put(cleaned, path).changed


def test_an_object_rewritten_with_other_bytes_is_not_taken_for_the_one_its_metadata_describe(
    gcs: GcsServer, lake: GcsLake, tmp_path: Path
) -> None:
    stored = lake.put(*cleaned_month(tmp_path))
    _, other = cleaned_month(tmp_path, seed=1)
    blob = gcs.client().bucket(lake.bucket).get_blob("lake/data/yellow/yellow_tripdata_2021-01.parquet")
    kept = dict(blob.metadata)
    blob.upload_from_filename(other)
    assert blob.metadata == kept
    found = lake.find("yellow", JANUARY)
    assert found is not None
    assert found.sha256.startswith("crc32c-")
    assert found.crc32c != stored.crc32c
    assert found.source_sha256 == ""


def test_metadata_that_someone_adds_to_an_object_stay_and_cost_no_further_request(
    gcs: GcsServer, lake: GcsLake, tmp_path: Path
) -> None:
    cleaned, path = cleaned_month(tmp_path)
    lake.put(cleaned, path)
    blob = gcs.client().bucket(lake.bucket).get_blob("lake/data/yellow/yellow_tripdata_2021-01.parquet")
    blob.metadata = blob.metadata | {"reviewed_by": "someone"}
    blob.patch()
    for source in (cleaned, dataclasses.replace(cleaned, source_sha256="cd" * 32)):
        lake.put(source, path)
        gcs.front.asked.clear()
        assert not lake.put(source, path).changed
        assert len(asked(gcs)) == 1
    again = gcs.client().bucket(lake.bucket).get_blob(blob.name)  # the emulator's patch makes a new generation
    assert again.metadata["reviewed_by"] == "someone"


def test_one_odd_object_concerns_itself_only(lake: GcsLake, tmp_path: Path) -> None:
    stored = lake.put(*cleaned_month(tmp_path))
    for name in ("2018-13", "2018-00", "0000-01", "2018-1", "latest"):
        (tmp_path / "x").write_bytes(b"x")
        lake.put_file(f"data/yellow/yellow_tripdata_{name}.parquet", tmp_path / "x")
    assert lake.versions("yellow") == {JANUARY: stored.generation}


def test_the_versions_of_a_datasets_months_are_known_without_reading_them(
    gcs: GcsServer, lake: GcsLake, tmp_path: Path
) -> None:
    stored = [lake.put(*cleaned_month(tmp_path, Month(2021, month))) for month in (1, 2)]
    (tmp_path / "x").write_bytes(b"x")
    lake.put_file("data/yellow/notes.txt", tmp_path / "x")
    lake.put_file("data/yellow_old/yellow_tripdata_2021-03.parquet", tmp_path / "x")
    gcs.front.asked.clear()
    assert lake.versions("yellow") == {record.month: record.generation for record in stored}
    assert lake.versions("green") == {}
    assert len(asked(gcs)) == 2


# Simultaneous runs


def test_of_two_runs_that_put_the_same_month_one_sends_it_and_both_have_it(lake: GcsLake, tmp_path: Path) -> None:
    cleaned, path = cleaned_month(tmp_path)
    lakes = [GcsLake(lake.access, lake.bucket, lake.prefix) for _ in range(2)]
    stored = _at_once([lambda one=one: one.put(cleaned, path) for one in lakes])
    assert len({record.generation for record in stored}) == 1
    assert sorted(record.changed for record in stored) == [False, True]


def test_a_run_that_finds_the_object_replaced_by_another_one_while_it_sends_says_so_and_changes_nothing(
    gcs: GcsServer, lake: GcsLake, tmp_path: Path
) -> None:
    ours, path = cleaned_month(tmp_path, rows=40_000)
    theirs = cleaned_month(tmp_path, seed=1)
    with faulty_proxy("127.0.0.1", gcs.front.port) as proxy:
        slow = through(lake, proxy)
        assert slow.find("yellow", JANUARY) is None  # connects
        proxy.slow(path.stat().st_size / 1.0)
        errors: list[Exception] = []

        def put() -> None:
            try:
                slow.put(ours, path)
            except TransientError as error:
                errors.append(error)

        thread = threading.Thread(target=put)
        thread.start()
        time.sleep(0.4)
        other = lake.put(*theirs)
        thread.join()
    assert "another run replaced the object meanwhile" in str(errors[0])
    found = lake.find("yellow", JANUARY)
    assert found is not None
    assert found.generation == other.generation


def _at_once(calls: list) -> list:
    results: list = []
    threads = [threading.Thread(target=lambda call=call: results.append(call())) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# The link


def test_a_slow_link_costs_time_and_not_a_timeout(
    gcs: GcsServer, lake: GcsLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = connection._set_socket_options

    def small_buffer(sock: socket.socket, *more: Any) -> None:
        """As on a long link: what is sent is not taken by this machine's own memory, of which loopback gives 2 MB."""
        options(sock, *more)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)

    monkeypatch.setattr(connection, "_set_socket_options", small_buffer)
    path = tmp_path / "one_chunk.bin"
    path.write_bytes(os.urandom(CHUNK))
    with faulty_proxy("127.0.0.1", gcs.front.port) as proxy:
        proxy.slow(
            3 * MIB
        )  # the chunk takes 2.7 s, and so does the one request for it; no silence is longer than 0.1 s
        began = time.monotonic()
        through(lake, proxy, connect_timeout=1.5, read_timeout=1.5, attempts=1).put_file("slow", path)
        assert time.monotonic() - began > 2
    assert (gcs.folder / lake.bucket / "lake" / "slow").read_bytes() == path.read_bytes()


def test_bytes_that_change_on_their_way_are_refused_and_the_old_object_stays(
    gcs: GcsServer, lake: GcsLake, tmp_path: Path
) -> None:
    first = lake.put(*cleaned_month(tmp_path))
    cleaned, path = cleaned_month(tmp_path, rows=2000, seed=1)
    with faulty_proxy("127.0.0.1", gcs.front.port) as proxy:
        behind = through(lake, proxy)
        behind.find("yellow", JANUARY)
        proxy.damage(path.stat().st_size // 2 + 4000)  # past the heads of the requests
        with pytest.raises(TransientError, match=r"the bytes changed on their way to the bucket.*CRC32C"):
            behind.put(cleaned, path)
        assert lake.find("yellow", JANUARY) == dataclasses.replace(first, changed=False)
        assert behind.put(cleaned, path).changed


def test_a_reset_in_the_middle_loses_nothing_and_repeats_one_chunk_at_most(
    gcs: GcsServer, lake: GcsLake, big: Path
) -> None:
    with faulty_proxy("127.0.0.1", gcs.front.port) as proxy:
        proxy.reset_after(CHUNK * 3 // 2)
        through(lake, proxy).put_file("big", big)
        assert proxy.resets == 1
        assert proxy.passed["up"] < big.stat().st_size + CHUNK
    assert (gcs.folder / lake.bucket / "lake" / "big").read_bytes() == big.read_bytes()


def test_a_busy_bucket_is_asked_again_as_often_as_the_settings_say(
    gcs: GcsServer, lake: GcsLake, tmp_path: Path
) -> None:
    cleaned, path = cleaned_month(tmp_path)
    with faulty_proxy("127.0.0.1", gcs.front.port) as proxy:
        retrying = through(lake, proxy, attempts=3)
        proxy.answer(429, times=2, when="/o")
        assert retrying.put(cleaned, path).changed
        proxy.answer(503, times=5, when="/o")
        with pytest.raises(TransientError, match="does not answer as it should"):
            retrying.find("yellow", JANUARY)
        assert proxy.answered == 2 + 3


def test_a_stalled_link_ends_in_the_time_that_the_settings_give(gcs: GcsServer, lake: GcsLake, big: Path) -> None:
    with faulty_proxy("127.0.0.1", gcs.front.port) as proxy:
        hasty = through(lake, proxy, connect_timeout=0.3, read_timeout=0.3, attempts=2)
        proxy.stall()
        began = time.monotonic()
        with pytest.raises(TransientError, match="yellow 2021-01"):
            hasty.find("yellow", JANUARY)
        assert time.monotonic() - began < 3


# Refusals


def test_a_missing_bucket_is_named_with_its_setting(lake: GcsLake, tmp_path: Path) -> None:
    nowhere = GcsLake(lake.access, "nowhere")
    for poll in (nowhere.describe_bucket, lambda: nowhere.put(*cleaned_month(tmp_path))):
        with pytest.raises(PermanentError) as caught:
            poll()
        assert "the bucket does not exist" in caught.value.message
        assert "nowhere" in caught.value.location
        assert "TAXI_GCS_BUCKET" in caught.value.remedy


def test_a_denied_permission_is_named_with_the_role_that_has_it(gcs: GcsServer, lake: GcsLake, tmp_path: Path) -> None:
    gcs.front.deny("storage.objects.create", "storage.buckets.get")
    assert lake.describe_bucket().missing_permissions == ("storage.objects.create",)
    assert lake.describe_bucket().location == ""
    with pytest.raises(PermanentError) as caught:
        lake.put(*cleaned_month(tmp_path))
    assert "permission storage.objects.create is denied" in caught.value.message
    assert "roles/storage.objectUser on the bucket" in caught.value.remedy
    assert "yellow 2021-01" in caught.value.location


def test_the_address_of_an_upload_with_which_anyone_may_write_is_in_no_error(
    gcs: GcsServer, lake: GcsLake, tmp_path: Path
) -> None:
    lake.put(*cleaned_month(tmp_path))
    gcs.front.deny("storage.objects.delete")  # asked for at the end of the upload, because an object is replaced
    gcs.front.asked.clear()
    with pytest.raises(PermanentError, match=r"permission storage\.objects\.delete is denied") as caught:
        lake.put(*cleaned_month(tmp_path, seed=1))
    assert any("upload_id" in line for line in gcs.front.asked)
    assert "upload_id" not in "".join(traceback.format_exception(caught.value))


def test_credentials_that_google_does_not_accept_are_said_to_be_it(
    gcs: GcsServer, lake: GcsLake, token_endpoint: TokenEndpoint, tmp_path: Path
) -> None:
    import json

    gcs.front.require_credentials = True
    right, wrong = (json.dumps(token_endpoint.service_account_info(wrong_key=wrong)) for wrong in (False, True))
    file = tmp_path / "key.json"
    file.write_text(right)
    for good in (right, str(file)):
        one = GcsLake(access(storage_emulator=gcs.url, credentials=good), lake.bucket)
        assert one.describe_bucket().location == "EU"
    with pytest.raises(PermanentError, match=r"does not accept the credentials.*Invalid JWT Signature"):
        GcsLake(access(storage_emulator=gcs.url, credentials=wrong), lake.bucket).describe_bucket()
    with pytest.raises(PermanentError, match="does not accept the credentials"):
        lake.find("yellow", JANUARY)  # without any


@pytest.mark.parametrize(
    ("pasted", "why"),
    [
        ("SECRET, pasted in part", "neither JSON nor a readable file"),
        ("/no/such.json", "/no/such.json: No such file or directory; a container sees only files"),
        ('{"private_key": "SECRET', "not whole JSON"),
        ('{"type": "authorized_user", "refresh_token": "SECRET"}', "service account, but of type authorized_user"),
        ('{"type": "SECRET"}', "not the key of a service account"),
        ('{"type": "service_account", "private_key": "SECRET"}', "not the key of a service account"),
        (
            '{"type": "service_account", "private_key": "SECRET", "client_email": "a@b", "token_uri": "http://x"}',
            "not the key of a service account",
        ),
    ],
)
def test_a_key_that_cannot_be_read_is_named_by_its_setting_and_not_quoted(pasted: str, why: str) -> None:
    with pytest.raises(PermanentError) as caught:
        access(credentials=pasted).storage()
    assert "TAXI_GCP_CREDENTIALS cannot be used" in str(caught.value)
    assert why in str(caught.value)
    assert "SECRET" not in str(caught.value) + repr(access(credentials=pasted))


def test_without_any_credentials_it_says_how_to_sign_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(PermanentError, match="no credentials are given") as caught:
        access().storage()
    assert caught.value.remedy.startswith("sign in with `gcloud auth application-default login`")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/no/such.json")
    with pytest.raises(PermanentError, match=r"credentials is not there: File /no/such\.json") as caught:
        access().storage()
    assert caught.value.remedy.startswith("correct GOOGLE_APPLICATION_CREDENTIALS")
