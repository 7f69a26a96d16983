"""How Google's services are reached: credentials, time limits, repeated attempts, and a link that may be slow.

What is asked of them stands in `gcs` and `bigquery`; what their refusals mean, in `google_errors`.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_assets.errors import PermanentError
from taxi_assets.storage.google.errors import explained, is_busy

if TYPE_CHECKING:
    from google.cloud import bigquery, storage

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LABELS = {"source": "tlc", "made_by": "taxi_assets"}
"""On whatever is made, so that it is found in lists and bills."""

MAX_WAIT_SECONDS = 60.0
"""Seconds between two attempts at most."""


@dataclass(frozen=True)
class GoogleAccess:
    """Who asks Google, on which project's account, and how patiently.

    Attributes:
        project: Project that jobs and buckets belong to.
        credentials: JSON of a service account's key, or the path of its file; empty: Application Default Credentials.
        location: Where BigQuery's jobs run, as `EU`.
        connect_timeout: Seconds to wait for a connection.
        read_timeout: Seconds to wait for the next bytes; a slow link that delivers is never cut.
        attempts: How often a busy or broken link is tried.
        first_wait: Seconds before the second attempt; doubled each time, with jitter.
        storage_emulator: Address of a server that stands for Cloud Storage; needs no credentials.
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
        """Time limit and attempts of a request, as Google's libraries take them."""
        return {"timeout": self.read_timeout, "retry": self.retry}

    @property
    def retry(self) -> Any:
        """What repeats a request over a busy or broken link, up to `attempts`.

        Google's own `Retry` counts seconds; this one counts the attempts of each request, so that a long upload has
        them anew for every chunk.
        """
        from google.api_core.retry import Retry

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

    def storage(self) -> storage.Client:
        """Return a client of Cloud Storage.

        Raises:
            PermanentError: The credentials cannot be used.
        """
        from google.cloud import storage

        return storage.Client(
            project=self.project,
            client_options={"api_endpoint": self.storage_emulator} if self.storage_emulator else None,
            **self._signed_in(anonymous=bool(self.storage_emulator)),
        )

    def bigquery(self) -> bigquery.Client:
        """Return a client of BigQuery.

        Raises:
            PermanentError: The credentials cannot be used.
        """
        from google.cloud import bigquery

        return bigquery.Client(
            project=self.project,
            location=self.location,
            client_options={"api_endpoint": self.bigquery_emulator} if self.bigquery_emulator else None,
            **self._signed_in(anonymous=bool(self.bigquery_emulator)),
        )

    def signed_in(self, *, anonymous: bool = False) -> Any:
        """Return credentials.

        Args:
            anonymous: Whether none will do, if none are given.

        Raises:
            PermanentError: They cannot be used; says why, without quoting them.
        """
        import google.auth
        from google.auth.credentials import AnonymousCredentials
        from google.oauth2 import service_account

        if self.credentials:
            try:
                return service_account.Credentials.from_service_account_info(self._key(), scopes=[SCOPE])
            except ValueError as error:  # google-auth's MalformedError is one; neither quotes the key
                raise _unusable(f"they are not the key of a service account: {error}") from None
        if anonymous:
            return AnonymousCredentials()
        with explained("Application Default Credentials"):
            return google.auth.default(scopes=[SCOPE])[0]

    def account(self) -> str:
        """Get a token, and return whose it is; empty if Google does not say, as of a person who signed in.

        Raises:
            PermanentError: Google does not accept the credentials.
            TransientError: It does not answer.
        """
        from google.auth.transport.requests import Request

        credentials = self.signed_in()
        with explained("the credentials (TAXI_GCP_CREDENTIALS, or Application Default Credentials)"):
            credentials.refresh(Request())
        return str(getattr(credentials, "service_account_email", ""))

    def _key(self) -> dict[str, Any]:
        text = self.credentials
        if not text.lstrip().startswith("{"):
            try:
                text = Path(text).expanduser().read_text("utf-8")
            except (OSError, ValueError) as error:
                # not the text itself: it may be a key that was pasted in another form
                raise _unusable(f"they are neither JSON nor a file that can be read ({type(error).__name__})") from None
        try:
            key: dict[str, Any] = json.loads(text)
        except ValueError:
            raise _unusable("they are not whole JSON") from None
        if not isinstance(key, dict) or key.get("type") != "service_account":
            raise _unusable("they are not the key of a service account")
        return key

    def _signed_in(self, *, anonymous: bool) -> dict[str, Any]:
        from google.auth.transport.requests import AuthorizedSession

        credentials = self.signed_in(anonymous=anonymous)
        session = AuthorizedSession(credentials)
        for scheme in ("https://", "http://"):
            session.mount(scheme, _adapter(self.connect_timeout, self.read_timeout))
        return {"credentials": credentials, "_http": session}


def _unusable(why: str) -> PermanentError:
    return PermanentError(
        f"TAXI_GCP_CREDENTIALS cannot be used: {why}",
        location="TAXI_GCP_CREDENTIALS, in the environment or in .env",
        remedy="put a service account's JSON key, or the path of its file, in it; or remove it and sign in with "
        "`gcloud auth application-default login`. Other kinds of credential files go in GOOGLE_APPLICATION_CREDENTIALS",
    )


def _adapter(connect_timeout: float, read_timeout: float) -> Any:
    """Return a transport that sends a body in pieces, and that waits no longer than it is told.

    `requests` hands a body to the socket in one call, and the time limit then holds for the whole of it: 100 MiB in 60
    seconds, or python-storage issue 74. From a file it sends 16 KiB a call, and the limit holds for each.

    It sets the time limits of every request: Google's libraries give some none, some 128 seconds, and those of BigQuery
    take one number only, which they also send as `X-Server-Timeout`. A query's answer comes within 10 seconds, be it
    that there is none yet.
    """
    from requests.adapters import HTTPAdapter

    class InPieces(HTTPAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(request.body, bytes):
                request.body = io.BytesIO(request.body)
            kwargs["timeout"] = (connect_timeout, read_timeout)
            return super().send(request, *args, **kwargs)

    return InPieces()
