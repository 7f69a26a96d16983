"""What Google answers, and what a person reads; the answers come from Google's documentation of errors."""

from __future__ import annotations

import http.client
import re

import pytest
import requests
from google.api_core import exceptions as api
from google.auth.exceptions import RefreshError
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from taxi_assets.errors import PermanentError, TransientError
from taxi_assets.storage.google.errors import mapped_errors

PROJECT = "projects/my-project-123"


def refusal(status: int, reason: str, message: str) -> Exception:
    return api.from_http_status(status, message, errors=[{"reason": reason, "message": message}])


@pytest.mark.parametrize(
    ("status", "reason", "message", "what", "remedy"),
    [
        (
            403,
            "quotaExceeded",
            "Quota exceeded: Your project exceeded quota for imports per table.",
            "a quota of the project is used up",
            "Quotas",
        ),
        (
            403,
            "accessNotConfigured",
            f"BigQuery API has not been used in {PROJECT} before or it is disabled. Enable it by visiting the console",
            "the service is not enabled in the project",
            "gcloud services enable bigquery.googleapis.com",
        ),
        (
            403,
            "accountDisabled",
            "The billing account for the owning project is disabled in state absent",
            "the project has no billing account",
            "turn on billing",
        ),
        (
            403,
            "accessDenied",
            "Access Denied: Project my-project-123: User does not have bigquery.jobs.create permission in project",
            "the permission bigquery.jobs.create is denied",
            "roles/bigquery.jobUser on the project",
        ),
        (404, "notFound", "The specified bucket does not exist.", "the bucket does not exist", "TAXI_GCS_BUCKET"),
        (
            412,
            "conditionNotMet",
            "'us' violates constraint 'constraints/gcp.resourceLocations'",
            "an organization policy does not allow this location",
            "TAXI_BQ_LOCATION",
        ),
        (
            404,
            "notFound",
            "Not found: Table my-project-123:nyc_tlc.yellow_trips was not found in location EU",
            "the table does not exist",
            "load a month into it",
        ),
        (
            404,
            "notFound",
            "Not found: Dataset my-project-123:nyc_tlc was not found in location US",
            "the BigQuery dataset is in another location",
            "TAXI_BQ_LOCATION",
        ),
        (
            403,
            "retentionPolicyNotMet",
            (
                "Object 'b/o' is subject to bucket's retention policy or object retention and cannot be deleted or "
                "overwritten until 2027-01-01T00:00:00Z"
            ),
            "the bucket's retention policy does not let an object be replaced yet",
            "--clear-retention-period",
        ),
        (
            403,
            "forbidden",
            (
                "Object 'b/o' is under active Temporary hold and cannot be deleted, overwritten or archived until hold "
                "is removed."
            ),
            "a hold on the object",
            "--no-temporary-hold",
        ),
        (
            403,
            "vpcServiceControls",
            "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: abc.",
            "a VPC Service Controls perimeter",
            "ingress rule",
        ),
        (
            403,
            "forbidden",
            (
                "Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account has been "
                "authorized to use this key."
            ),
            "the encryption key (CMEK) cannot be used",
            "roles/cloudkms.cryptoKeyEncrypterDecrypter",
        ),
        (
            400,
            "required",
            "Bucket is a requester pays bucket but no user project provided.",
            "the bucket is a requester-pays bucket",
            "--no-requester-pays",
        ),
        (400, "invalid", "Unknown project id: my-projet", "the project does not exist", "TAXI_GCP_PROJECT"),
        (404, "notFound", "Not found: Project my-projet", "the project does not exist", "TAXI_GCP_PROJECT"),
        (
            409,
            "conflict",
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system.",
            "the bucket's name is taken by someone else",
            "choose another one",
        ),
        (
            400,
            "bytesBilledLimitExceeded",
            "Query exceeded limit for bytes billed: 10. 10485760 or higher required.",
            "the query would scan more than its limit",
            "raise the limit",
        ),
        (
            400,
            "invalid",
            "Cannot read and write in different locations: source: europe-west2, destination: EU",
            "the bucket is in europe-west2, the BigQuery dataset in EU",
            "TAXI_GCS_BUCKET",
        ),
    ],
)
def test_a_refusal_comes_with_what_to_do(status: int, reason: str, message: str, what: str, remedy: str) -> None:
    with pytest.raises(PermanentError) as caught, mapped_errors("yellow 2021-01"):
        raise refusal(status, reason, message)
    assert what in caught.value.message
    assert remedy in caught.value.remedy
    assert caught.value.location == "yellow 2021-01"


@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, "rateLimitExceeded"), (503, "backendError"), (500, "internalError"), (429, "rateLimitExceeded")],
)
def test_a_busy_service_may_be_asked_again(status: int, reason: str) -> None:
    with pytest.raises(TransientError), mapped_errors("yellow 2021-01"):
        raise refusal(status, reason, "Exceeded rate limits: too many api requests per user per method")


def test_a_wrong_clock_is_named() -> None:
    said = (
        "invalid_grant: Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
        "Check your iat and exp values in the JWT claim."
    )
    with pytest.raises(PermanentError, match="clock is wrong") as caught, mapped_errors("the credentials"):
        raise RefreshError(said, {"error": "invalid_grant"})
    assert "set the clock" in caught.value.remedy


def test_a_missing_token_file_of_workload_identity_is_named() -> None:
    with pytest.raises(PermanentError, match="is not there: File '/var/a b/token'") as caught, mapped_errors("x"):
        raise RefreshError("File '/var/a b/token' was not found.")
    assert "the path that the file of that name contains" in caught.value.remedy


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(104, "Connection reset by peer"),
        ConnectionError(),
        TimeoutError(),
        requests.ConnectionError(ConnectionRefusedError(111, "Connection refused")),
        requests.ReadTimeout("HTTPSConnectionPool(host='storage.googleapis.com', port=443): Read timed out."),
        http.client.RemoteDisconnected("Remote end closed connection without response"),
        http.client.IncompleteRead(b"abc"),
        requests.exceptions.JSONDecodeError("Expecting value", "<html>", 0),
        InvalidResponse(requests.Response(), "Request failed with status code", 503, "Expected one of", 200),
        DataCorruption(requests.Response(), "Checksum mismatch while downloading:\n\n  https://x/y?upload_id=secret"),
    ],
    ids=repr,
)
def test_a_broken_link_is_transient_and_told_without_pythons_names(error: Exception) -> None:
    if isinstance(error, InvalidResponse):
        error.response.status_code = 503
    with pytest.raises(TransientError) as caught, mapped_errors("yellow 2021-01"):
        raise error
    assert not re.search(r"Error|Pool|http|\b1\d\d\b|<|upload_id", caught.value.message)
    assert caught.value.message.rstrip(": ") == caught.value.message


def test_no_sentence_is_said_twice() -> None:
    message = "Not found: Table p:d.t was not found in location US"
    with pytest.raises(PermanentError) as caught, mapped_errors("the query"):
        raise api.NotFound(f"{message}; reason: notFound, message: {message}")
    assert str(caught.value).count("was not found in location") == 1
