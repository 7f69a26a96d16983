"""The documented layer in front of bqemulator: what BigQuery does and the emulator does not.

Each line names, in brackets, the page of Google's documentation that says so.

- Load jobs from Cloud Storage and ``table$YYYYMM``: see `bigquery_load`.
- A job id is used once: 409 duplicate, and jobs.get finds the first job, failed or not
  [REST: jobs.insert; Running jobs programmatically: generate a job ID].
- A job lives in one location: 404 when it is sent, or asked for, elsewhere; outside US and EU the location must be
  named [BigQuery locations: specify locations].
- 403 accessDenied names the permission [Error messages; IAM roles and permissions].
- Types have their old names in table resources: INTEGER, FLOAT, BOOLEAN [REST: TableFieldSchema].
- tables.patch and update add NULLABLE columns and relax REQUIRED ones; other changes answer 400
  [Modifying table schemas].
- A table takes its dataset's ``defaultTableExpirationMs`` when it is created [Managing tables: expiration].
- A table with ``requirePartitionFilter`` answers no query without a condition on its partitions
  [Querying partitioned tables: require a partition filter].
- Labels are merged and a null removes one; ``If-Match`` answers 412 [Updating labels; REST: tables.patch].
- A query job that BigQuery gives up ends with ``rateLimitExceeded``, ``jobBackendError`` and the like
  [Error messages].
- ``dryRun`` tells what a query would scan; ``maximumBytesBilled`` refuses it [Estimate and control costs].
- ``X-Server-Timeout`` is a number of seconds [System parameters].
- ``numRows`` counts; ``table$YYYYMM`` can be counted and deleted [Managing partitioned table data].

Datasets, queries, query results and tabledata are the emulator's own. Uploads from the client's machine and
the other uses of a decorator answer 501: better no answer than a wrong one.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
import urllib.parse
from typing import TYPE_CHECKING

from taxi_assets_tests.servers.bigquery_load import LoadJob
from taxi_assets_tests.servers.bigquery_schema import (
    check_schema_change,
    month_condition,
    partition_column,
    sql_type,
    use_old_names,
)
from taxi_assets_tests.servers.front import ApiError, Front, Json, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from taxi_assets_tests.servers.credentials import TokenEndpoint
    from taxi_assets_tests.servers.gcs import GcsServer

_ROOT = r"/bigquery/v2/projects/(?P<project>[^/]+)"
_DATASET = re.compile(_ROOT + r"/datasets(?:/(?P<dataset>[^/]+))?")
_TABLE = re.compile(_ROOT + r"/datasets/(?P<dataset>[^/]+)/tables(?:/(?P<table>[^/]+))?")
_ROWS = re.compile(_ROOT + r"/datasets/(?P<dataset>[^/]+)/tables/(?P<table>[^/]+)/data")
_PERMISSIONS = re.compile(_ROOT + r"/datasets/(?P<dataset>[^/]+)/tables/(?P<table>[^/:]+):testIamPermissions")
_JOBS = re.compile(_ROOT + r"/(?:jobs|queries)")
_JOB = re.compile(_ROOT + r"/jobs/(?P<job>[^/]+)")
MIN_SCAN_BYTES = 10 << 20  # "BigQuery pricing": at least 10 MB for each table
_VERBS = {"GET": "get", "POST": "create", "PATCH": "update", "PUT": "update", "DELETE": "delete"}
_POLL_S = 0.5  # how long jobs.get waits for the end of a job: a slow answer, which saves the client's 1 s pause


class BigQueryFront(Front):
    """Serves the REST API of BigQuery.

    Attributes:
        fail_loads: Messages with which loads fail, by destination, e.g. ``project:dataset.table$202101``.
        sent_jobs: Every job as it was sent.
        fail_queries: Reason and message with which the next query jobs end, one each, e.g. ``rateLimitExceeded``.
        needs_filter: Tables, ``dataset.table``, whose queries must name their partitions, and by which column.
    """

    def __init__(self, backend_port: int, tokens: TokenEndpoint | None, gcs: GcsServer, work: Path) -> None:
        self.gcs = gcs
        self.fail_loads: dict[str, str] = {}
        self.fail_queries: list[tuple[str, str]] = []
        self.sent_jobs: list[Json] = []
        self.needs_filter: dict[str, str] = {}
        self.work = work
        self._jobs: dict[tuple[str, str], LoadJob | str] = {}  # a query's entry is only its location
        self._expires: dict[str, str] = {}
        self._jobs_lock = threading.Lock()
        self._engine = threading.Lock()
        self._partition_locks: dict[str, threading.Lock] = {}
        super().__init__(backend_port, tokens)

    def reset(self) -> None:
        """See `Front.reset`."""
        super().reset()
        self.fail_loads.clear()
        self.fail_queries.clear()
        self.sent_jobs.clear()
        self.needs_filter.clear()

    def loads(self) -> list[str]:
        """Returns the identifiers of the load jobs that are known."""
        with self._jobs_lock:
            return [job_id for (_, job_id), job in self._jobs.items() if isinstance(job, LoadJob)]

    def forget_jobs(self) -> None:
        """Forgets every job, as BigQuery does after some six months; their identifiers may be used again."""
        with self._jobs_lock:
            self._jobs.clear()

    def backend(
        self, method: str, target: str, body: bytes | Iterable[bytes] = b"", headers: dict[str, str] | None = None
    ) -> Reply:
        """Asks the emulator, one question at a time: all its threads share one DuckDB connection."""
        with self._engine:
            reply = super().backend(method, target, body, headers)
            if not isinstance(reply.body, bytes):
                reply.headers = [(k, v) for k, v in reply.headers if k != "Content-Length"]
                reply.body = b"".join(reply.body)
            return reply

    def answer(self, request: Request) -> Reply:
        """Answers one request."""
        path, method = urllib.parse.unquote(request.path), request.method
        if not re.fullmatch(r"\d+(?:\.\d+)?", limit := request.headers.get("X-Server-Timeout", "0")):
            raise ApiError(400, "invalid", f"Invalid value for X-Server-Timeout: {limit}")
        if found := _JOBS.fullmatch(path):
            if method == "POST":
                return self._insert_job(request, found["project"])
        elif found := _JOB.fullmatch(path):
            return self._get_job(request, found["project"], found["job"])
        elif found := _PERMISSIONS.fullmatch(path):
            asked = request.json().get("permissions", [])
            return Reply.of({"permissions": [name for name in asked if name not in self.denied]})
        elif found := _TABLE.fullmatch(path):
            return self._table(request, found["project"], found["dataset"], found["table"])
        elif found := _DATASET.fullmatch(path):
            what = f"{found['project']}:{found['dataset']}" if found["dataset"] else found["project"]
            self.need(f"bigquery.datasets.{_VERBS[method]}", "Dataset" if found["dataset"] else "Project", what)
        elif found := _ROWS.fullmatch(path):
            name = f"{found['project']}:{found['dataset']}.{found['table']}"
            self.need("bigquery.tables.getData", "Table", name)
        if path.startswith("/upload/") or "$" in path:
            raise ApiError(501, "notImplemented", f"The test layer does not model {method} {path}.")
        return self.forward(request)

    # What loads and this module share

    def need(self, permission: str, kind: str, name: str) -> None:
        """Raises 403 when the permission was taken away."""
        if permission in self.denied:
            message = f"Access Denied: {kind} {name}: Permission {permission} denied on {kind.lower()} {name}"
            raise ApiError(403, "accessDenied", f"{message} (or it may not exist).")

    def poll(self, method: str, target: str, body: Json | None = None) -> Json:
        """Asks the emulator for a JSON object; raises what it answers instead."""
        sent = json.dumps(body).encode() if body is not None else b""
        reply = self.backend(method, f"/bigquery/v2{target}", sent, {"Content-Type": "application/json"})
        value = reply.json()
        if reply.status >= 300:
            detail = value["error"]["errors"][0]
            raise ApiError(reply.status, detail["reason"], value["error"]["message"])
        return value

    def sql(self, project: str, query: str) -> list[list[str]]:
        """Runs SQL in the emulator; returns its rows as strings."""
        reply = self.poll("POST", f"/projects/{project}/queries", {"query": query, "useLegacySql": False})
        if errors := reply.get("errors"):
            raise ApiError(400, errors[0]["reason"], errors[0]["message"])
        return [[cell["v"] for cell in row["f"]] for row in reply.get("rows", [])]

    def partition_lock(self, name: str) -> threading.Lock:
        """Returns the lock that lets loads into one partition come one after the other."""
        with self._jobs_lock:
            return self._partition_locks.setdefault(name, threading.Lock())

    def dataset_location(self, project: str, dataset: str) -> str:
        """Returns where a dataset is; raises 404 when it does not exist."""
        try:
            location: str = self.poll("GET", f"/projects/{project}/datasets/{dataset}")["location"]
        except ApiError as error:
            if error.status != 404:
                raise
            raise ApiError(404, "notFound", f"Not found: Dataset {project}:{dataset}") from error
        return location

    # Jobs

    def _insert_job(self, request: Request, project: str) -> Reply:
        self.need("bigquery.jobs.create", "Project", project)
        body = request.json()
        self.sent_jobs.append(body)
        if request.path.endswith("/queries"):  # jobs.query
            location = self._location_of_query(project, body.get("query", ""), body.get("location"))
            return self._run(request, body, project, location)
        reference = body.setdefault("jobReference", {})
        job_id = reference.setdefault("jobId", f"job_{secrets.token_hex(12)}")
        configuration = body["configuration"]
        with self._jobs_lock:
            first = self._jobs.get((project, job_id))
        if first is not None:
            raise self._duplicate(project, job_id, first)
        if "load" not in configuration:
            kind: Json = next((value for value in configuration.values() if isinstance(value, dict)), {})
            if "$" in kind.get("destinationTable", {}).get("tableId", ""):
                raise ApiError(501, "notImplemented", "The test layer models partition decorators of loads only.")
            location = self._location_of_query(project, kind.get("query", ""), reference.get("location"))
            scanned = self._scanned(project, kind.get("query", ""))
            limit = kind.get("maximumBytesBilled")
            if limit is not None and int(limit) < scanned:
                message = f"Query exceeded limit for bytes billed: {limit}. {scanned} or higher required."
                raise ApiError(400, "bytesBilledLimitExceeded", message)
            if configuration.get("dryRun") and ";" in kind.get("query", "").rstrip("; \n"):  # the emulator would run it
                statistics = {"query": {"statementType": "SCRIPT"}}
                return Reply.of({**body, "status": {"state": "DONE"}, "statistics": statistics})
            if not configuration.get("dryRun"):
                self._claim(project, job_id, location)
                if self.fail_queries:
                    return self._failed_query(body, location, *self.fail_queries.pop(0))
            reply = self._run(request, body, project, location)
            return self._with_bytes(reply, scanned) if configuration.get("dryRun") else reply
        job = LoadJob(self, project, job_id, reference.get("location"), configuration)
        self._claim(project, job_id, job)
        threading.Thread(target=job.run, daemon=True).start()
        return Reply.of(job.resource())

    @staticmethod
    def _with_bytes(reply: Reply, scanned: int) -> Reply:
        """Adds to a dry run's answer what the query would scan."""
        value = reply.json()
        if reply.status < 300:
            value.setdefault("statistics", {})["totalBytesProcessed"] = str(scanned)
            value["statistics"].setdefault("query", {})["totalBytesProcessed"] = str(scanned)
        return Reply.of(value, reply.status)

    @staticmethod
    def _failed_query(body: Json, location: str, reason: str, message: str) -> Reply:
        """Answers with a job that has ended with an error."""
        error = {"reason": reason, "message": message}
        reference = {**body["jobReference"], "location": location}
        status = {"state": "DONE", "errorResult": error, "errors": [error]}
        return Reply.of({**body, "kind": "bigquery#job", "jobReference": reference, "status": status})

    def _claim(self, project: str, job_id: str, job: LoadJob | str) -> None:
        with self._jobs_lock:
            first = self._jobs.setdefault((project, job_id), job)
        if first is not job:
            raise self._duplicate(project, job_id, first)

    @staticmethod
    def _duplicate(project: str, job_id: str, first: LoadJob | str) -> ApiError:
        location = first if isinstance(first, str) else first.location
        return ApiError(409, "duplicate", f"Already Exists: Job {project}:{location}.{job_id}")

    def _get_job(self, request: Request, project: str, job_id: str) -> Reply:
        job = self._jobs.get((project, job_id))
        location = job.location if isinstance(job, LoadJob) else job
        asked = request.query.get("location")
        unnamed = asked is None and location not in (None, "US", "EU")
        if job is None or unnamed or (asked is not None and asked.upper() != str(location).upper()):
            location = f"{asked}." if asked else ""
            raise ApiError(404, "notFound", f"Not found: Job {project}:{location}{job_id}")
        if isinstance(job, LoadJob):
            job.done.wait(_POLL_S)
            return Reply.of(job.resource())
        value = self.forward(request).json()
        value["jobReference"]["location"] = job
        return Reply.of(value)

    def _run(self, request: Request, body: Json, project: str, location: str) -> Reply:
        """Lets the emulator run a job that is no load, and remembers where it ran."""
        self._check_filters(body.get("configuration", {}).get("query", body).get("query", ""))
        sent = json.dumps(body).encode()
        reply = self.backend("POST", request.target, sent, {"Content-Type": "application/json"})
        value = reply.json()
        if "jobReference" in value:
            value["jobReference"]["location"] = location
            with self._jobs_lock:
                self._jobs.setdefault((project, value["jobReference"]["jobId"]), location)
        return Reply.of(value, reply.status)

    def _scanned(self, project: str, query: str) -> int:
        """Returns the bytes that a query scans: 8 for each value of the tables it names, 10 MiB at least for each."""
        total = 0
        for dataset, table in set(re.findall(r"\b(\w+)\.(\w+)\b", query.replace("`", ""))):
            try:
                resource = self.poll("GET", f"/projects/{project}/datasets/{dataset}/tables/{table}")
            except ApiError:  # no table: a column of an alias, say
                continue
            rows = int(self.sql(project, f"SELECT COUNT(*) FROM `{project}.{dataset}.{table}`")[0][0])
            total += max(MIN_SCAN_BYTES, 8 * rows * len(resource["schema"]["fields"]))
        return total

    def _check_filters(self, query: str) -> None:
        """Refuses a query of a table with ``requirePartitionFilter`` that does not name its partitions."""
        condition = query.partition("WHERE")[2]
        for table, column in self.needs_filter.items():
            if re.search(rf"\b{re.escape(table)}\b", query) and column not in condition:
                message = (
                    f"Cannot query over table '{table}' without a filter over column(s) '{column}' that can be used"
                )
                raise ApiError(400, "invalidQuery", f"{message} for partition elimination")

    def _location_of_query(self, project: str, query: str, asked: str | None) -> str:
        """Returns where the query's datasets are; raises 404 when the job is sent elsewhere."""
        for entry in self.poll("GET", f"/projects/{project}/datasets").get("datasets", []):
            dataset = entry["datasetReference"]["datasetId"]
            if re.search(rf"\b{dataset}`?\.", query):
                location = self.dataset_location(project, dataset)
                if asked and asked.upper() != location.upper():
                    message = f"Not found: Dataset {project}:{dataset} was not found in location {asked}"
                    raise ApiError(404, "notFound", message)
                return location
        return asked or "US"

    # Tables

    def _table(self, request: Request, project: str, dataset: str, decorated: str | None) -> Reply:
        verb = "list" if request.method == "GET" and decorated is None else _VERBS[request.method]
        name = f"{project}:{dataset}.{decorated}" if decorated else f"{project}:{dataset}"
        self.need(f"bigquery.tables.{verb}", "Table" if decorated else "Dataset", name)
        if verb == "list":
            return self.forward(request)
        if decorated is None:
            self.dataset_location(project, dataset)
            return Reply.of(self.create_table(project, dataset, request.json()))
        table, _, partition = decorated.partition("$")
        resource = self.poll("GET", f"/projects/{project}/datasets/{dataset}/tables/{table}")
        if resource["id"] in self._expires:
            resource["expirationTime"] = self._expires[resource["id"]]
        location = month_condition(resource, partition)
        if verb == "update":
            sent_etag = request.headers.get("If-Match")
            if sent_etag not in (None, resource["etag"]):
                raise ApiError(412, "conditionNotMet", "Precondition Failed")
            return Reply.of(self.patch_table(resource, request.json()))
        if verb == "delete" and partition:
            self.sql(project, f"DELETE FROM `{project}.{dataset}.{table}` WHERE {location}")
            return Reply(204)
        if verb == "delete":
            return self.forward(request)
        count = f"SELECT COUNT(*) FROM `{project}.{dataset}.{table}` WHERE {location}"
        return Reply.of({**resource, "numRows": self.sql(project, count)[0][0]})

    def create_table(self, project: str, dataset: str, resource: Json) -> Json:
        """Creates a table, with BigQuery's names of types and its dataset's default expiration."""
        use_old_names(resource)
        default = self.poll("GET", f"/projects/{project}/datasets/{dataset}").get("defaultTableExpirationMs")
        expires = resource.get("expirationTime") or (default and str(int(time.time() * 1000) + int(default)))
        created = self.poll("POST", f"/projects/{project}/datasets/{dataset}/tables", resource)
        if expires:
            self._expires[created["id"]] = expires
            created["expirationTime"] = expires
        return created

    def patch_table(self, resource: Json, change: Json) -> Json:
        """Changes a table within the rules of "Modifying table schemas"."""
        use_old_names(change)
        reference = resource["tableReference"]
        project, dataset, table = reference["projectId"], reference["datasetId"], reference["tableId"]
        name = f"{project}:{dataset}.{table}"
        partitioning = change.get("timePartitioning")
        if partitioning and partitioning.get("field") != resource.get("timePartitioning", {}).get("field"):
            raise ApiError(400, "invalid", f"Cannot change partitioning spec for a partitioned table: {name}")
        if "requirePartitionFilter" in change:
            self.needs_filter[f"{dataset}.{table}"] = partition_column(resource)
        if "expirationTime" in change and not change["expirationTime"]:
            self._expires.pop(resource["id"], None)
        if "labels" in change:
            merged = {**resource.get("labels", {}), **change["labels"]}
            change["labels"] = {key: value for key, value in merged.items() if value is not None}
        if fields := change.get("schema", {}).get("fields"):
            for field in check_schema_change(name, resource["schema"]["fields"], fields):
                ddl = f"ALTER TABLE `{project}.{dataset}.{table}` ADD COLUMN IF NOT EXISTS `{field['name']}`"
                self.sql(project, f"{ddl} {sql_type(field)}")
        return self.poll("PATCH", f"/projects/{project}/datasets/{dataset}/tables/{table}", change)
