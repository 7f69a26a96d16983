"""What an answer of Google's means to a person: which setting, bucket, table or permission, and what to do about it.

One place for Cloud Storage and BigQuery: `is_busy` decides what may be tried again, `map_error` explains the rest.
"""

from __future__ import annotations

import contextlib
import http.client
import re
from collections.abc import Iterator, Sequence

import requests
import urllib3
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.exceptions import GoogleCloudError
from google.cloud.storage import exceptions as storage_errors

from taxi_assets.errors import PermanentError, TaxiError, TransientError
from taxi_assets.storage.google.answers import find_answer

_BUSY_STATUS = {408, 429, 500, 502, 503, 504}
_BUSY_REASONS = {"rateLimitExceeded", "backendError", "internalError", "jobBackendError", "jobInternalError"}
_PERMISSION = re.compile(r"\b(?:storage|bigquery)\.[a-zA-Z]+\.[a-zA-Z]+\b")
_LOCATIONS = re.compile(r"different locations: source: (?P<source>\S+), destination: (?P<destination>\S+)")


def is_busy(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, (api.RetryError, auth.TransportError)):
        cause = error.cause if isinstance(error, api.RetryError) else next(iter(error.args), None)
        return is_busy(cause) if isinstance(cause, BaseException) else True
    if isinstance(error, auth.GoogleAuthError):
        return bool(error.retryable)
    if isinstance(error, requests.exceptions.SSLError):
        return False  # an untrusted certificate stays untrusted
    if isinstance(error, (ConnectionError, TimeoutError, http.client.HTTPException, urllib3.exceptions.HTTPError)):
        return True
    if isinstance(error, requests.exceptions.JSONDecodeError):
        return True  # an answer cut short, or a proxy's own page
    if isinstance(error, requests.RequestException):
        return not isinstance(error, ValueError)  # a malformed URL
    response = getattr(error, "response", None)
    code = getattr(error, "code", None) or getattr(response, "status_code", None)
    return code in _BUSY_STATUS or reason_of(error) in _BUSY_REASONS


def reason_of(error: BaseException) -> str:
    """Return Google's word for the kind of error, as `quotaExceeded`; empty if it gives none."""
    details = getattr(error, "errors", None)
    return str(details[0].get("reason", "")) if details and isinstance(details[0], dict) else ""


@contextlib.contextmanager
def mapped_errors(location: str, remedy: str = "") -> Iterator[None]:
    """Turn Google's errors into the project's.

    Args:
        location: What the request concerns: dataset, month, bucket, object, table.
        remedy: What to do if Google's answer is none of those known here.

    Raises:
        PermanentError: Asking again gives the same answer.
        TransientError: The service was busy or the link broke, `attempts` times.
    """
    try:
        yield
    except TaxiError:
        raise
    except (
        api.GoogleAPIError,
        GoogleCloudError,
        auth.GoogleAuthError,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        storage_errors.InvalidResponse,
        storage_errors.DataCorruption,
        ConnectionError,
        TimeoutError,
    ) as error:
        # not `from error`: the library's message may quote an upload's URL, with which anyone can write for a week
        raise map_error(error, location, remedy) from None


def map_error(error: Exception, location: str, remedy: str = "") -> PermanentError | TransientError:
    """Return the project's error for one of Google's."""
    message = message_of(error)
    if isinstance(error, storage_errors.DataCorruption):
        return TransientError(
            "the bytes changed on their way from the bucket: they do not have the object's checksum",
            location=location,
            remedy="run the month again; if it fails again, look for a proxy or a disk that damages data",
        )
    if is_busy(error):
        return TransientError(
            f"Google cannot be reached, or does not answer as it should: {message}",
            location=location,
            remedy="check the network and try again; what has landed stays",
        )
    if (places := _LOCATIONS.search(message)) is not None:
        return different_locations(places["source"], places["destination"], location)
    if (answer := find_answer(message, reason_of(error))) is not None:
        return PermanentError(f"{answer.meaning}: {message}", location=location, remedy=answer.remedy)
    if isinstance(error, api.PreconditionFailed):
        return TransientError(
            f"another run changed it meanwhile: {message}", location=location, remedy="run the month again"
        )
    if isinstance(error, (auth.GoogleAuthError, api.Unauthorized)):
        return PermanentError(f"Google does not accept the credentials: {message}", location=location, remedy=_SIGN_IN)
    if isinstance(error, api.Forbidden):
        return _forbidden(message, location)
    if isinstance(error, api.NotFound):
        return PermanentError(f"not found: {message}", location=location, remedy=remedy or _DOCTOR)
    return PermanentError(f"Google refused the request: {message}", location=location, remedy=remedy or _DOCTOR)


def _forbidden(message: str, location: str) -> PermanentError:
    named = _PERMISSION.search(message)
    denied = f"the permission {named[0]} is denied" if named else "permission is denied"
    return PermanentError(
        f"{denied}: {message}",
        location=location,
        remedy=f"grant the account {role_of(named[0]) if named else 'the missing roles'}; "
        "`taxi-assets provision` prints every role needed, `taxi-assets doctor` what is missing",
    )


def permission_error(permissions: Sequence[str], location: str) -> PermanentError:
    """Return the error of permissions that an account does not have."""
    roles = dict.fromkeys(role_of(permission) for permission in permissions)
    return PermanentError(
        f"{'permissions are' if len(permissions) > 1 else 'the permission is'} denied: {', '.join(permissions)}",
        location=location,
        remedy=f"grant the account {' and '.join(roles)}; `taxi-assets provision` prints every role needed",
    )


def different_locations(bucket: str, dataset: str, location: str) -> PermanentError:
    """Return the error of a bucket and a dataset in different locations."""
    return PermanentError(
        f"the bucket is in {bucket}, the BigQuery dataset in {dataset}, which cannot load from there",
        location=location,
        remedy=f"set TAXI_GCS_BUCKET to a bucket in {dataset}, or TAXI_WAREHOUSE_SCHEMA and TAXI_BQ_LOCATION to a "
        f"dataset in {bucket}; `taxi-assets provision` creates both in TAXI_BQ_LOCATION",
    )


def message_of(error: BaseException) -> str:
    """Return Google's message, or what broke, as a sentence without URLs and Python's names."""
    response = getattr(error, "response", None)
    with contextlib.suppress(Exception):  # not JSON, or not Google's
        return _tidy(str(response.json()["error"]["message"]))  # type: ignore[union-attr]
    while (inner := _cause_of(error)) is not None and not getattr(error, "errors", None):
        error = inner  # the innermost is the plainest
    if isinstance(error, requests.exceptions.JSONDecodeError):
        return "the answer is not JSON"
    if isinstance(error, (TimeoutError, requests.Timeout)):
        return "the connection timed out"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(getattr(error, "message", "") or (error.args[0] if error.args else ""))
    if text.startswith("Request failed with status code") and response is not None:
        text = f"HTTP {response.status_code}"
    return _tidy(text) or "the connection broke"


def _cause_of(error: BaseException) -> Exception | None:
    candidates = (error.__cause__, error.__context__, *error.args[:1])
    return next((each for each in candidates if isinstance(each, Exception)), None)


def _tidy(text: str) -> str:
    """Return a message without the request's URL, and without the repetition that BigQuery's library appends."""
    text = re.sub(r"^(?:\d{3} )?(?:GET|POST|PUT|PATCH|DELETE) https?://\S+ *", "", text)
    return re.sub(r"; reason: \w+,.*", "", text, flags=re.DOTALL).strip().rstrip(".")


def role_of(permission: str) -> str:
    """Return the smallest predefined role that has a permission, and where to grant it."""
    for start, role in _ROLES.items():
        if permission.startswith(start):
            return role
    return "the missing roles"


_ROLES = {
    "storage.buckets.create": "roles/storage.admin on the project",
    "storage.buckets.": "roles/storage.legacyBucketReader on the bucket",
    "storage.": "roles/storage.objectUser on the bucket",
    "bigquery.jobs.": "roles/bigquery.jobUser on the project",
    "bigquery.datasets.create": "roles/bigquery.user on the project",
    "bigquery.": "roles/bigquery.dataEditor on the dataset",
}
_DOCTOR = "run `taxi-assets doctor`"
_SIGN_IN = (
    "check TAXI_GCP_CREDENTIALS: the key may be deleted, or the account disabled. Without it, sign in with "
    "`gcloud auth application-default login`, or run where a service account is attached"
)
