"""Clients of Google's services: credentials, time limits and retries.

What is requested stands in `storage.lake.gcs` and `storage.warehouse.bigquery`; what the errors mean, in `errors`.
"""

from __future__ import annotations

import functools
import io
import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google.auth
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud import bigquery, storage
from google.oauth2 import service_account
from requests.adapters import HTTPAdapter

from taxi_assets.errors import PermanentError
from taxi_assets.storage.google.errors import is_busy, mapped_errors

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LABELS = {"source": "tlc", "made_by": "taxi_assets"}
"""Labels of whatever the project creates, to find it in lists and bills."""

MAX_PATH = 256
"""Length from which text is no path that a person has typed."""

MAX_WAIT_SECONDS = 60.0
"""Longest wait between two attempts."""


@dataclass(frozen=True)
class GoogleAccess:
    """The account that uses Google's services, and how long and how often it tries.

    Attributes:
        project: Project that jobs and buckets belong to.
        credentials: JSON of a service account's key, or the path of its file; empty: Application Default Credentials.
        location: Where BigQuery's jobs run, as `EU`.
        connect_timeout: Seconds before a connection attempt times out.
        read_timeout: Seconds without data before a request times out; a slow link that delivers never does.
        attempts: How often a request is sent while the service is busy or the link broken.
        first_wait: Seconds before the second attempt; doubled each time, with jitter.
        storage_emulator: URL of a server that stands for Cloud Storage; needs no credentials.
        bigquery_emulator: The same for BigQuery.
    """

    project: str
    credentials: str = field(default="", repr=False)
    location: str = "US"
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    attempts: int = 5
    first_wait: float = 1.0
    storage_emulator: str = ""
    bigquery_emulator: str = ""

    @property
    def request_options(self) -> dict[str, Any]:
        """Time limit and retry of a request, as keyword arguments of Google's libraries."""
        return {"timeout": self.read_timeout, "retry": self.retry}

    @property
    def retry(self) -> Any:
        """A retry that sends each request up to `attempts` times while the service is busy or the link broken.

        Google's own `Retry` counts seconds; this one counts attempts, so that each chunk of a long upload has all of
        them.
        """
        access = self

        class Attempts(Retry):
            def __call__(self, func: Any, on_error: Any = None) -> Callable[..., Any]:
                count = itertools.count(1)
                return Retry(
                    predicate=lambda error: is_busy(error) and next(count) < access.attempts,
                    initial=max(access.first_wait, 0.01),
                    maximum=MAX_WAIT_SECONDS,
                    timeout=None,
                )(func, on_error)

        return Attempts(predicate=is_busy)

    def waits(self) -> Iterator[float]:
        """Yield the seconds to wait before each attempt after the first, with jitter."""
        for attempt in range(self.attempts - 1):
            longest = min(MAX_WAIT_SECONDS, self.first_wait * 2**attempt)
            yield random.uniform(longest / 2, longest)  # noqa: S311 - no secret

    def storage(self) -> storage.Client:
        """Return a client of Cloud Storage.

        Raises:
            PermanentError: The credentials cannot be used.
        """
        return storage.Client(**self._client_arguments(self.storage_emulator))

    def bigquery(self) -> bigquery.Client:
        """Return a client of BigQuery.

        Raises:
            PermanentError: The credentials cannot be used.
        """
        return bigquery.Client(location=self.location, **self._client_arguments(self.bigquery_emulator))

    def load_credentials(self, *, anonymous: bool = False) -> Any:
        """Return credentials.

        Args:
            anonymous: Whether to go without if none are given.

        Raises:
            PermanentError: They cannot be used; says why, without quoting them.
        """
        if self.credentials:
            try:
                return service_account.Credentials.from_service_account_info(self._read_key(), scopes=[SCOPE])
            except ValueError as error:  # google-auth's MalformedError is one; neither quotes the key
                raise _unusable_key(f"they are not the key of a service account: {error}") from None
        if anonymous:
            return AnonymousCredentials()
        with mapped_errors("Application Default Credentials"):
            return google.auth.default(scopes=[SCOPE])[0]

    def account(self) -> str:
        """Get a token and return its account; empty if Google does not say, as for a person who signed in.

        Raises:
            PermanentError: Google does not accept the credentials.
            TransientError: It does not answer.
        """
        credentials = self.load_credentials()
        with mapped_errors("the credentials (TAXI_GCP_CREDENTIALS, or Application Default Credentials)"):
            credentials.refresh(functools.partial(Request(), timeout=self.connect_timeout))
        return str(getattr(credentials, "service_account_email", ""))

    def _read_key(self) -> dict[str, Any]:
        text = self.credentials
        if not text.lstrip().startswith("{"):
            try:
                text = Path(text).expanduser().read_text("utf-8")
            except (OSError, ValueError) as error:
                # text that is no path is not quoted: it may be a key that was pasted in another form
                if isinstance(error, OSError) and _looks_like_path(text):
                    reason = f"{text}: {error.strerror}; a container sees only files that are mounted into it"
                    raise _unusable_key(reason) from None
                raise _unusable_key(f"they are neither JSON nor a readable file ({type(error).__name__})") from None
        try:
            key: dict[str, Any] = json.loads(text)
        except ValueError:
            raise _unusable_key("they are not whole JSON") from None
        if not isinstance(key, dict) or key.get("type") != "service_account":
            found = key.get("type") if isinstance(key, dict) else None
            kind = f", but of type {found}" if found in _OTHER_TYPES else ""
            raise _unusable_key(f"they are not the key of a service account{kind}")
        return key

    def _client_arguments(self, emulator: str) -> dict[str, Any]:
        credentials = self.load_credentials(anonymous=bool(emulator))
        session = AuthorizedSession(credentials)
        for scheme in ("https://", "http://"):
            session.mount(scheme, _adapter(self.connect_timeout, self.read_timeout))
        options = {"api_endpoint": emulator} if emulator else None
        return {"project": self.project, "credentials": credentials, "_http": session, "client_options": options}


_OTHER_TYPES = (
    "authorized_user",
    "external_account",
    "external_account_authorized_user",
    "gdch_service_account",
    "impersonated_service_account",
)
"""Types of credential files that are not keys; any other text may be a secret."""


def _looks_like_path(text: str) -> bool:
    return text.isprintable() and len(text) < MAX_PATH and (text.endswith(".json") or text.startswith(("/", "~/")))


def _unusable_key(reason: str) -> PermanentError:
    return PermanentError(
        f"TAXI_GCP_CREDENTIALS cannot be used: {reason}",
        location="TAXI_GCP_CREDENTIALS, in the environment or in .env",
        remedy="set it to a service account's JSON key, or to the path of its file; or remove it and sign in with "
        "`gcloud auth application-default login`. Other kinds of credential files go in GOOGLE_APPLICATION_CREDENTIALS",
    )


def _adapter(connect_timeout: float, read_timeout: float) -> Any:
    """Return a transport that sends a body in pieces and enforces the time limits of the settings.

    `requests` hands a body of bytes to the socket in one call, and the time limit then holds for all of it: 100 MiB in
    60 seconds (python-storage issue 74). From a file it sends 16 KiB a call, and the limit holds for each.

    The adapter sets the time limits of every request: Google's libraries give some none and some 128 seconds, and
    those of BigQuery take one number only, which they also send as `X-Server-Timeout`. BigQuery answers a query within
    10 seconds, if only to say that it is not done.
    """

    class StreamingAdapter(HTTPAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(request.body, bytes):
                request.body = io.BytesIO(request.body)
            kwargs["timeout"] = (connect_timeout, read_timeout)
            return super().send(request, *args, **kwargs)

    return StreamingAdapter()
