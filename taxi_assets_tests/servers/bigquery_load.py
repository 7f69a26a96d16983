"""One BigQuery load job, from a Parquet object in Cloud Storage into a table or one month of it.

Each line names, in brackets, where Google says so.

- ``table$YYYYMM`` names one month: WRITE_TRUNCATE replaces it and nothing else; a row of another month fails the job
  [Managing partitioned table data; Load data into partitioned tables].
- A job loads everything or changes nothing [Batch loading data; REST: JobConfigurationLoad: writeDisposition].
- Columns are found by name; types must agree; REQUIRED is enforced; unknown columns fail the job
  [Loading Parquet data; REST: JobConfigurationLoad: ignoreUnknownValues].
- Without a schema the file's own counts, so its optional columns do not fit REQUIRED ones
  [google-cloud-python issue 8093].
- ALLOW_FIELD_ADDITION and ALLOW_FIELD_RELAXATION [Modifying table schemas].
- An object that is not there is 404 notFound in the job's ``errorResult`` [Error messages].
- The bucket must be where the dataset is [Loading data from Cloud Storage: location considerations].
- The destination is made from the job's schema, partitioning and clustering
  [REST: JobConfigurationLoad: createDisposition].

Not modelled: formats other than Parquet, wildcards, nested fields, other granularities than the month, and a
WRITE_TRUNCATE of a whole table that changes its schema (it is treated like an append).
"""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING

from taxi_assets_tests.servers.bigquery_schema import (
    check_file,
    check_rows,
    check_schema_change,
    month_condition,
    parquet_fields,
    partition_column,
    sql_type,
    use_old_names,
)
from taxi_assets_tests.servers.front import ApiError, Json

if TYPE_CHECKING:
    from pathlib import Path

    from taxi_assets_tests.servers.bigquery_frontend import BigQueryFront

_NOT_IN_EU = ("EUROPE-WEST2", "EUROPE-WEST6")
_REGIONS_OF = {"EU": "EUROPE-", "ASIA": "ASIA-"}


class LoadJob:
    """A load job: checked when inserted, then run in a thread of its own."""

    def __init__(
        self, front: BigQueryFront, project: str, job_id: str, location: str | None, configuration: Json
    ) -> None:
        """Takes the job in.

        Raises:
            ApiError: 403 without permission on the table, 404 without the dataset in the job's location.
        """
        load = configuration["load"]
        target = load["destinationTable"]
        self.front, self.load, self.configuration = front, load, configuration
        self.project, self.dataset = target.get("projectId", project), target["datasetId"]
        self.table, _, self.partition = target["tableId"].partition("$")
        self.name = f"{self.project}:{self.dataset}.{self.table}"
        self.location = front.dataset_location(self.project, self.dataset)
        if location and location.upper() != self.location.upper():
            location = f"Dataset {self.project}:{self.dataset} was not found in location {location}"
            raise ApiError(404, "notFound", f"Not found: {location}")
        front.need("bigquery.tables.updateData", "Table", self.name)
        self.reference = {"projectId": project, "jobId": job_id, "location": self.location}
        self.done = threading.Event()
        self.error: ApiError | None = None
        self.statistics: Json = {"creationTime": _now_ms(), "startTime": _now_ms()}

    def resource(self) -> Json:
        """Returns the job resource."""
        status: Json = {"state": "DONE" if self.done.is_set() else "RUNNING"}
        if self.done.is_set() and self.error:
            status["errorResult"] = {"reason": self.error.reason, "message": self.error.message}
            status["errors"] = [status["errorResult"]]
        return {
            "kind": "bigquery#job",
            "id": "{projectId}:{location}.{jobId}".format(**self.reference),
            "jobReference": self.reference,
            "configuration": {**self.configuration, "jobType": "LOAD"},
            "status": status,
            "statistics": dict(self.statistics),
        }

    def run(self) -> None:
        """Loads; whatever goes wrong becomes the job's ``errorResult``."""
        began = time.monotonic()
        try:
            with self.front.partition_lock(f"{self.name}${self.partition}"):
                self._load()
        except ApiError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001  a bug of this layer must fail the test, not hang it
            self.error = ApiError(500, "internalError", f"the test layer failed: {error!r}")
        self.statistics.update(endTime=_now_ms(), totalSlotMs=str(1 + int((time.monotonic() - began) * 1000)))
        self.done.set()

    def _load(self) -> None:
        if notified := self.front.fail_loads.get(f"{self.name}${self.partition}"):
            raise ApiError(400, "invalid", notified)
        files = [self._file(uri) for uri in self.load["sourceUris"]]
        own = parquet_fields(files[0], self.load["sourceUris"][0])
        use_old_names(self.load)
        wanted = self.load.get("schema", {}).get("fields") or own
        table = self._destination(wanted)
        options = self.load.get("schemaUpdateOptions", [])
        added = check_schema_change(
            self.name, table["schema"]["fields"], wanted, may_relax="ALLOW_FIELD_RELAXATION" in options, may_omit=True
        )
        if added and "ALLOW_FIELD_ADDITION" not in options:
            message = f"Provided Schema does not match Table {self.name}. Cannot add fields (field: {added[0]['name']})"
            raise ApiError(400, "invalid", message)
        column = partition_column(table) if self.partition else None
        required = [field["name"] for field in wanted if field["mode"] == "REQUIRED"]
        selects, rows = [], 0
        for path, uri in zip(files, self.load["sourceUris"], strict=True):
            unknown = bool(self.load.get("ignoreUnknownValues"))
            present = check_file(uri, parquet_fields(path, uri), wanted, ignore_unknown=unknown)
            rows += check_rows(path, uri, required, self.partition, column)
            selects.append(self._select(path, wanted, present))
        self._check_empty(table)
        self._evolve(table, wanted, added)
        self._write(table, wanted, selects)
        size = str(sum(path.stat().st_size for path in files))
        self.statistics["load"] = {
            "inputFiles": str(len(files)),
            "inputFileBytes": size,
            "outputRows": str(rows),
            "outputBytes": size,
            "badRecords": "0",
        }

    def _file(self, uri: str) -> Path:
        """Returns the object's file."""
        if self.load.get("sourceFormat") != "PARQUET" or "*" in uri:
            raise ApiError(501, "notImplemented", "The test layer models loads of single Parquet objects only.")
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        if "storage.objects.get" in self.front.denied:
            raise ApiError(403, "accessDenied", f"Access Denied: File {uri}: Access Denied")
        place = self.front.gcs.front.bucket_location(bucket)
        path = self.front.gcs.folder / bucket / name
        if place is None or not path.is_file():
            raise ApiError(404, "notFound", f"Not found: URI {uri}")
        home = self.location.upper()
        inside = home in ("US", place) or (place.startswith(_REGIONS_OF.get(home, "\0")) and place not in _NOT_IN_EU)
        if not inside:
            message = f"Cannot read and write in different locations: source: {place}, destination: {home}"
            raise ApiError(400, "invalid", message)
        return path

    def _destination(self, wanted: list[Json]) -> Json:
        """Returns the table; creates it when the job says so."""
        target = f"/projects/{self.project}/datasets/{self.dataset}/tables/{self.table}"
        try:
            return self.front.poll("GET", target)
        except ApiError as error:
            if error.status != 404 or self.load.get("createDisposition") == "CREATE_NEVER":
                raise ApiError(error.status, error.reason, f"Not found: Table {self.name}") from error
        self.front.need("bigquery.tables.create", "Dataset", f"{self.project}:{self.dataset}")
        reference = {"projectId": self.project, "datasetId": self.dataset, "tableId": self.table}
        mapping = {key: self.load[key] for key in ("timePartitioning", "clustering") if key in self.load}
        resource = {"tableReference": reference, "schema": {"fields": wanted}, **mapping}
        try:
            return self.front.create_table(self.project, self.dataset, resource)
        except ApiError as error:
            if error.status != 409:  # 409: a load of another month was first
                raise
        return self.front.poll("GET", target)

    def _select(self, path: Path, wanted: list[Json], present: list[str]) -> str:
        """Returns SQL that reads the file's columns by name; absent ones are null.

        The engine gets a name without ``key=value`` folders, from which it would make columns.
        """
        plain = self.front.work / f"{secrets.token_hex(8)}.parquet"
        plain.symlink_to(path)
        columns = [
            f"`{f['name']}`" if f["name"] in present else f"CAST(NULL AS {sql_type(f)}) AS `{f['name']}`"
            for f in wanted
        ]
        return f"SELECT {', '.join(columns)} FROM read_parquet('{plain}')"

    def _check_empty(self, table: Json) -> None:
        if self.load.get("writeDisposition") != "WRITE_EMPTY":
            return
        location = month_condition(table, self.partition)
        count = f"SELECT COUNT(*) FROM `{self.project}.{self.dataset}.{self.table}` WHERE {location}"
        if self.front.sql(self.project, count) != [["0"]]:
            raise ApiError(409, "duplicate", f"Already Exists: Table {self.name}")

    def _evolve(self, table: Json, wanted: list[Json], added: list[Json]) -> None:
        """Adds and relaxes the table's fields."""
        modes = {field["name"].lower(): field["mode"] for field in wanted}
        old = table["schema"]["fields"]
        fields = [{**field, "mode": modes.get(field["name"].lower(), field["mode"])} for field in old] + added
        if fields != old:
            self.front.patch_table(table, {"schema": {"fields": fields}})

    def _write(self, table: Json, wanted: list[Json], selects: list[str]) -> None:
        """Replaces the month, or appends, in one statement: either all of it happens or nothing.

        MERGE joins on a key that is always null, so no row matches: the old rows are deleted and the new ones
        inserted. (ON FALSE says the same, but the engine then compares each row with each.) The SELECT in front
        keeps the emulator from copying the whole table after the statement, for its time travel.
        """
        names = [f"`{field['name']}`" for field in wanted]
        delete = ""
        if self.load.get("writeDisposition") == "WRITE_TRUNCATE":
            delete = f"WHEN NOT MATCHED BY SOURCE AND {month_condition(table, self.partition, 't.')} THEN DELETE "
        self.front.sql(
            self.project,
            f"SELECT 1; MERGE INTO `{self.project}.{self.dataset}.{self.table}` t USING (SELECT {', '.join(names)}, "
            f"CAST(NULL AS {sql_type(wanted[0])}) AS never_ FROM ({' UNION ALL '.join(selects)})) s "
            f"ON t.{names[0]} = s.never_ {delete}WHEN NOT MATCHED THEN "
            f"INSERT ({', '.join(names)}) VALUES ({', '.join(f's.{name}' for name in names)})",
        )


def _now_ms() -> str:
    return str(int(time.time() * 1000))
