"""Resumable uploads to Cloud Storage that continue after every answer Google documents.

google-cloud-storage (3.17.1, `_media/_upload.py`) does not: a 308 that confirms part of a chunk ends in `ValueError`,
a 308 without `Range` in `InvalidResponse`, and a lost session (404, 410) in `NotFound` without a new one. This module
can go once `Blob.upload_from_file` survives `taxi_assets_tests/storage/test_gcs_upload.py`.

See https://cloud.google.com/storage/docs/performing-resumable-uploads.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from google.api_core import exceptions as api

from taxi_assets.errors import TransientError
from taxi_assets.storage.files import crc32c_of
from taxi_assets.storage.google.access import GoogleAccess
from taxi_assets.storage.google.errors import is_busy, message_of

CHUNK = 8 << 20
"""Bytes after which the bucket confirms what it has: what a broken link costs, and what an upload holds in memory.
Google advises at least 8 MiB: each chunk costs a round trip."""

_SESSION_LOST = (404, 410)


def upload(blob: Any, path: Path, access: GoogleAccess, *, content_type: str, if_generation_match: int | None) -> None:
    """Upload a file as an object; the bucket refuses the object if its CRC32C is not the file's.

    Args:
        blob: The object; it takes over the properties that Cloud Storage answers.
        path: The file.
        access: How often to try without progress, and how long to wait between.
        content_type: The object's media type.
        if_generation_match: Generation that the upload replaces, 0 for none; None replaces whatever is there.

    Raises:
        google.api_core.exceptions.GoogleAPICallError: Cloud Storage refuses.
        TransientError: The bytes changed on their way.
    """
    blob.crc32c = blob.crc32c or crc32c_of(path)
    expected = blob.crc32c
    try:
        answer = _Upload(blob, path, access, content_type, if_generation_match).run()
    except api.BadRequest as error:
        if "crc32c" not in message_of(error).lower():
            raise
        raise _damaged(blob, message_of(error)) from None
    blob._set_properties(answer)  # noqa: SLF001 - `reload` would give the same for a further request
    if blob.crc32c != expected:
        raise _damaged(blob, f"crc32c {blob.crc32c}, not {expected}")


class _Upload:
    """One upload: a session, and how much of the file it has confirmed."""

    def __init__(self, blob: Any, path: Path, access: GoogleAccess, content_type: str, replaces: int | None) -> None:
        self.blob, self.path, self.access = blob, path, access
        self.content_type, self.replaces = content_type, replaces
        self.size = path.stat().st_size
        self.http = blob.client._http  # noqa: SLF001 - the client's own session, with its credentials and time limits
        self.url = ""
        self.confirmed = self.furthest = 0
        self.answer: dict[str, Any] | None = None

    def run(self) -> dict[str, Any]:
        """Send the file; return the object's properties. The attempts count anew whenever the upload gets further."""
        waits, reached = self.access.waits(), 0
        while True:
            try:
                self._step()
            except Exception as error:
                if self.furthest > reached:
                    waits, reached = self.access.waits(), self.furthest
                if not is_busy(error) or (wait := next(waits, None)) is None:
                    raise
                time.sleep(wait)
            if self.answer is not None:
                return self.answer

    def _step(self) -> None:
        """Send what is not confirmed yet, chunk by chunk, until the end or an error."""
        if not self.url:
            self.url = self._start_session()
            self.confirmed = 0
        elif self.confirmed < self.size:  # after an error
            self._request(f"bytes */{self.size}")
        with self.path.open("rb") as file:
            while self.answer is None:
                start = self.confirmed
                file.seek(start)
                chunk = file.read(CHUNK)
                end = start + len(chunk)
                self._request(f"bytes {start}-{end - 1}/{self.size}" if chunk else f"bytes */{self.size}", chunk)
                if self.answer is None and self.confirmed <= start:
                    raise api.ServiceUnavailable("Cloud Storage has not confirmed any byte of a chunk")

    def _start_session(self) -> str:
        try:
            url = self.blob.create_resumable_upload_session(
                content_type=self.content_type,
                size=self.size,
                if_generation_match=self.replaces,
                checksum=None,
                **self.access.request_options,
            )
        except api.GoogleAPICallError as error:
            if error.code == 410:  # a 404 here is the bucket's
                raise _session_lost(410) from None
            raise
        return str(url)

    def _request(self, content_range: str, chunk: bytes = b"") -> None:
        """Send a chunk, or ask for the upload's status, and note what is confirmed."""
        headers = {"Content-Range": content_range, "Content-Type": self.content_type}
        response = self.http.put(self.url, data=chunk, headers=headers, allow_redirects=False)
        if response.status_code in (200, 201):
            self.answer = response.json()
        elif response.status_code == 308:
            kept = re.fullmatch(r"bytes=0-(\d+)", response.headers.get("Range", ""))
            self.confirmed = int(kept[1]) + 1 if kept else 0  # without Range, nothing is confirmed
            self.furthest = max(self.furthest, self.confirmed)
        elif response.status_code in _SESSION_LOST:
            self.url = ""
            raise _session_lost(response.status_code)
        else:
            raise api.from_http_response(response)


def _session_lost(status: int) -> Any:
    return api.ServiceUnavailable(f"the upload session is lost (HTTP {status})")


def _damaged(blob: Any, message: str) -> TransientError:
    return TransientError(
        f"the bytes changed on their way to the bucket: {message}",
        location=f"gs://{blob.bucket.name}/{blob.name}",
        remedy="run the month again; if it fails again, look for a proxy or a disk that damages data",
    )
