"""What Google answers, and what a person reads; the answers come from Google's documentation of errors."""

from __future__ import annotations

import pytest
from google.api_core import exceptions as api

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
