"""The documented layer in front of fake-gcs-server: what Cloud Storage does and the emulator does not.

Each line names, in brackets, the page of Google's documentation that says so.

- Generation preconditions hold on every request, else 412; of a resumable upload, when it is finalised
  [Request preconditions].
- Resumable sessions persist multiples of 256 KiB, ignore bytes that are sent again, answer 308 with ``Range``, take
  status queries, and repeat their final answer [Resumable uploads; Perform resumable uploads].
- A chunk may be confirmed in part, or not at all (308 without ``Range``), and a session may be lost: 404 or 410; see
  ``upload_faults`` [Perform resumable uploads: check the status, handle errors].
- A CRC32C that does not match, in ``x-goog-hash`` or in the metadata, answers 400 and stores nothing
  [Data validation and change detection; HTTP headers].
- A bucket keeps its location, labels, lifecycle and the like [JSON API: Buckets].
- ``testIamPermissions``; 403 names the lacking permission; overwriting needs ``storage.objects.delete`` too
  [IAM permissions for JSON methods].
- 404 for a generation that is not the live one [JSON API: Objects: get].

Everything else (listing, downloads, copies, metadata) is the emulator's own.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import tempfile
import threading
import urllib.parse
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import google_crc32c

from taxi_assets_tests.servers.front import PIECE, ApiError, CutOffError, Front, Json, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from taxi_assets_tests.servers.credentials import TokenEndpoint

PERSISTED_UNIT = 256 * 1024  # "Resumable uploads": chunks are multiples of 256 KiB
_MULTI_REGIONS = {"US", "EU", "ASIA"}

_BUCKETS = re.compile(r"/storage/v1/b")
_BUCKET = re.compile(r"/storage/v1/b/(?P<bucket>[^/]+)")
_PERMISSIONS = re.compile(r"/storage/v1/b/(?P<bucket>[^/]+)/iam/testPermissions")
_POLICY = re.compile(r"/storage/v1/b/(?P<bucket>[^/]+)/iam")
_OBJECTS = re.compile(r"/storage/v1/b/(?P<bucket>[^/]+)/o")
_OBJECT = re.compile(r"(?:/download)?/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)")
_UPLOAD = re.compile(r"/(?:resumable/)?upload/storage/v1/b/(?P<bucket>[^/]+)/o")
_OBJECT_PERMISSIONS = {
    "GET": "storage.objects.get",
    "HEAD": "storage.objects.get",
    "PATCH": "storage.objects.update",
    "PUT": "storage.objects.update",
    "DELETE": "storage.objects.delete",
}


@dataclass
class Upload:
    """One object on its way; ``query`` holds the preconditions of the request that began it."""

    bucket: str
    name: str
    metadata: Json
    query: dict[str, str]
    content: BinaryIO = field(default_factory=tempfile.TemporaryFile)


@dataclass
class Session(Upload):
    """One resumable upload."""

    persisted: int = 0
    answer: Reply | None = None  # the final answer, repeated to a client that never got it
    busy: threading.Lock = field(default_factory=threading.Lock)


class GcsFront(Front):
    """Serves the JSON API of Cloud Storage.

    Attributes:
        upload_faults: What happens to the next chunks that arrive, one each: `partial` keeps the first half of it,
            `forgotten` keeps nothing of the upload, 404 and 410 end its session; any other number is answered.
        policies: Bindings of the IAM policy of each bucket.
    """

    def __init__(self, backend_port: int, tokens: TokenEndpoint | None) -> None:
        self._buckets: dict[str, Json] = {}
        self._sessions: dict[str, Session] = {}
        self.upload_faults: list[str | int] = []
        self.policies: dict[str, list[Json]] = {}
        self._object_locks: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
        super().__init__(backend_port, tokens)

    def reset(self) -> None:
        """See `Front.reset`."""
        super().reset()
        self.upload_faults.clear()

    def bucket(self, name: str) -> Json:
        """Returns a bucket's resource, to look at or to change."""
        return self._buckets[name]

    def bucket_location(self, bucket: str) -> str | None:
        """Returns the bucket's location, e.g. "EU"; None when there is no such bucket."""
        return self._buckets[bucket]["location"] if bucket in self._buckets else None

    def answer(self, request: Request) -> Reply:
        """Answers one request."""
        if _BUCKETS.fullmatch(request.path) and request.method == "POST":
            return self._create_bucket(request)
        if _PERMISSIONS.fullmatch(request.path):
            return self._held_permissions(request)
        if found := _POLICY.fullmatch(request.path):
            self._need("storage.buckets.getIamPolicy")
            return Reply.of({"version": 3, "bindings": self.policies.get(found["bucket"], [])})
        if found := _BUCKET.fullmatch(request.path):
            return self._bucket(request, found["bucket"])
        if found := _UPLOAD.fullmatch(request.path):
            return self._upload(request, found["bucket"])
        if found := _OBJECT.fullmatch(request.path):
            return self._object(request, found["bucket"], urllib.parse.unquote(found["name"]))
        if found := _OBJECTS.fullmatch(request.path):
            self._need("storage.objects.list")
        return self.forward(request)

    # Buckets

    def _create_bucket(self, request: Request) -> Reply:
        wanted = request.json()
        self._need("storage.buckets.create")
        reply = self.backend("POST", request.target, json.dumps(wanted).encode(), {"Content-Type": "application/json"})
        if reply.status != 200:
            return reply
        location = wanted.get("location", "US").upper()
        kind = "multi-region" if location in _MULTI_REGIONS else "region"
        self._buckets[wanted["name"]] = {**wanted, "location": location, "locationType": kind}
        return Reply.of({**reply.json(), **self._buckets[wanted["name"]]})

    def _bucket(self, request: Request, bucket: str) -> Reply:
        verb = {"PATCH": "update", "PUT": "update", "DELETE": "delete"}.get(request.method, "get")
        self._need(f"storage.buckets.{verb}")
        if bucket not in self._buckets:
            raise ApiError(404, "notFound", "The specified bucket does not exist.")
        if verb == "update":
            self._buckets[bucket].update(request.json())
        elif verb == "delete":
            reply = self.forward(request)
            if reply.status < 300:
                del self._buckets[bucket]
            return reply
        reply = self.backend("GET", f"/storage/v1/b/{bucket}")
        return Reply.of({**reply.json(), **self._buckets[bucket]})

    def _held_permissions(self, request: Request) -> Reply:
        asked = urllib.parse.parse_qs(request.raw_query).get("permissions", [])
        return Reply.of({"permissions": [name for name in asked if name not in self.denied]})

    # Objects

    def _object(self, request: Request, bucket: str, name: str) -> Reply:
        self._need(_OBJECT_PERMISSIONS[request.method])
        with self._object_locks[bucket, name]:
            live = self._live_generation(bucket, name)
            if not live or request.query.get("generation", live) != live:
                raise ApiError(404, "notFound", f"No such object: {bucket}/{name}")
            _check_preconditions(request.query, live)
            return self.forward(request)

    def _live_generation(self, bucket: str, name: str) -> str:
        """Returns the live object's generation; "" when there is none."""
        reply = self.backend("GET", f"/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}")
        return reply.json()["generation"] if reply.status == 200 else ""

    def _upload(self, request: Request, bucket: str) -> Reply:
        if upload_id := request.query.get("upload_id"):
            return self._continue(request, upload_id)
        if bucket not in self._buckets:
            raise ApiError(404, "notFound", "The specified bucket does not exist.")
        kind = request.query.get("uploadType")
        if kind == "resumable":
            return self._begin(request, bucket)
        with tempfile.TemporaryFile() as content:
            if kind == "multipart":
                metadata, body = _two_parts(request)
                content.write(body)
            else:
                metadata = {"contentType": request.headers.get("Content-Type")}
                content.writelines(request.pieces())
            name = request.query.get("name") or metadata["name"]
            return self._commit(Upload(bucket, name, metadata, request.query, content), request)

    # Resumable uploads

    def _begin(self, request: Request, bucket: str) -> Reply:
        metadata = request.json()
        name = request.query.get("name") or metadata["name"]
        self._need("storage.objects.create")
        if content_type := request.headers.get("X-Upload-Content-Type"):
            metadata.setdefault("contentType", content_type)
        upload_id = secrets.token_hex(16)
        self._sessions[upload_id] = Session(bucket, name, metadata, request.query)
        # The address the client used, so that a proxy in between stays in between.
        location = f"http://{request.headers['Host']}{request.path}?uploadType=resumable&upload_id={upload_id}"
        return Reply.of({}, 200, ("Location", location), ("X-GUploader-UploadID", upload_id))

    def _continue(self, request: Request, upload_id: str) -> Reply:
        session = self._sessions.get(upload_id)
        if session is None:
            raise ApiError(404, "notFound", "No such upload session.")
        with session.busy:
            if session.answer:
                return session.answer
            numbers = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", request.headers.get("Content-Range", ""))
            if numbers is None:
                raise ApiError(400, "invalid", "Failed to parse Content-Range header.")
            first, _, total = numbers.groups()
            if first is not None:
                self._take_chunk(session, int(first), request, upload_id)
            if total == "*" or session.persisted < int(total):
                last = [("Range", f"bytes=0-{session.persisted - 1}")] if session.persisted else []
                return Reply(308, last)
            try:
                session.answer = self._commit(session, request)
            except ApiError as error:
                session.answer = error.reply()
            return session.answer

    def _take_chunk(self, session: Session, first: int, request: Request, upload_id: str) -> None:
        """Keeps a chunk, unless a fault is due."""
        fault = self.upload_faults.pop(0) if self.upload_faults else None
        if isinstance(fault, int):
            request.read()
            if fault in (404, 410):
                del self._sessions[upload_id]
            raise ApiError(fault, "notFound" if fault == 404 else "gone", "The upload session is no more.")
        before = session.persisted
        self._persist(session, first, request)
        if fault:
            kept = 0 if fault == "forgotten" else before + (session.persisted - before) // 2
            session.persisted = kept - kept % PERSISTED_UNIT
            session.content.truncate(session.persisted)

    @staticmethod
    def _persist(session: Session, first: int, request: Request) -> None:
        """Keeps the bytes not seen before; of a chunk that breaks off, whole units only."""
        skip = session.persisted - first
        if skip < 0:
            raise ApiError(400, "invalid", f"Invalid request. Expected offset {session.persisted}, got {first}.")
        session.content.seek(session.persisted)
        try:
            for piece in request.pieces():
                session.persisted += session.content.write(piece[skip:])
                skip = max(0, skip - len(piece))
        except CutOffError:
            session.persisted -= session.persisted % PERSISTED_UNIT
            session.content.truncate(session.persisted)
            raise

    def _commit(self, upload: Upload, request: Request) -> Reply:
        """Stores the object if its checksum and preconditions hold; ``request`` is the last one of the upload."""
        self._need("storage.objects.create")
        sent = dict(part.strip().partition("=")[::2] for part in request.headers.get("X-Goog-Hash", "").split(","))
        with self._object_locks[upload.bucket, upload.name]:
            live = self._live_generation(upload.bucket, upload.name)
            if live:
                self._need("storage.objects.delete")
            _check_preconditions(upload.query, live or "0")
            for claimed in filter(None, (sent.get("crc32c"), upload.metadata.get("crc32c"))):
                if claimed != (actual := _crc32c(upload.content)):
                    message = f'Provided CRC32C "{claimed}" doesn\'t match calculated CRC32C "{actual}".'
                    raise ApiError(400, "invalid", message)
            return self._store(upload, request.headers["Host"])

    def _store(self, upload: Upload, host: str) -> Reply:
        """Hands the whole object to the emulator, in one streamed request.

        The emulator builds the object's ``mediaLink`` from ``host``: downloads must come to this layer (or the
        proxy before it), not to the emulator.
        """
        mark = secrets.token_hex(16)
        kind = upload.metadata.get("contentType") or "application/octet-stream"
        head = (
            f"--{mark}\r\nContent-Type: application/json\r\n\r\n"
            f"{json.dumps({**upload.metadata, 'name': upload.name})}\r\n"
            f"--{mark}\r\nContent-Type: {kind}\r\n\r\n"
        ).encode()
        tail = f"\r\n--{mark}--\r\n".encode()

        def body() -> Iterator[bytes]:
            yield head
            yield from _pieces(upload.content)
            yield tail

        length = str(len(head) + upload.content.seek(0, 2) + len(tail))
        headers = {"Host": host, "Content-Type": f"multipart/related; boundary={mark}", "Content-Length": length}
        return self.backend("POST", f"/upload/storage/v1/b/{upload.bucket}/o?uploadType=multipart", body(), headers)

    def _need(self, permission: str) -> None:
        if permission in self.denied:
            kind = "object" if ".objects." in permission else "bucket"
            raise ApiError(
                403,
                "forbidden",
                f"The caller does not have {permission} access to the Google Cloud Storage {kind}. "
                f"Permission '{permission}' denied on resource (or it may not exist).",
            )


def _two_parts(request: Request) -> tuple[Json, bytes]:
    """Returns metadata and content of a multipart/related upload."""
    mark = request.headers.get_param("boundary")
    _, first, second, _ = request.read().split(f"--{mark}".encode())
    metadata: Json = json.loads(first.partition(b"\r\n\r\n")[2])
    head, _, content = second.partition(b"\r\n\r\n")
    if kind := re.search(rb"(?i)content-type:\s*(\S+)", head):
        metadata.setdefault("contentType", kind[1].decode())
    return metadata, content.removesuffix(b"\r\n")


def _check_preconditions(query: dict[str, str], live: str) -> None:
    """Raises 412 conditionNotMet; ``live`` is the live generation, "0" when there is none."""
    wanted, unwanted = query.get("ifGenerationMatch"), query.get("ifGenerationNotMatch")
    if wanted not in (None, live) or (unwanted is not None and unwanted == live):
        message = "At least one of the pre-conditions you specified did not hold."
        raise ApiError(412, "conditionNotMet", message)


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    content.seek(0)
    while piece := content.read(PIECE):
        yield piece


def _crc32c(content: BinaryIO) -> str:
    """Returns the CRC32C as the JSON API writes it: base64 of four big-endian bytes."""
    checksum = google_crc32c.Checksum()
    for piece in _pieces(content):
        checksum.update(piece)
    return base64.b64encode(checksum.digest()).decode()
