"""What a person does in Dagster's UI, asked of a webserver by GraphQL: launch runs and backfills, see what they became.

How the webserver came to run does not belong here: `deployment` starts processes, `deployment/smoke.py` containers.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from typing import Any

STEPS = ("raw_file", "cleaned_parquet", "gcs_object", "bigquery_table")
_LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } }
    ... on InvalidSubsetError { message } ... on PythonError { message } } }
"""
_BACKFILL = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message } } }
"""
_FAILURES = """
query($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events { __typename
  ... on MessageEvent { message } ... on ExecutionStepFailureEvent { error { message causes { message } } }
  ... on RunFailureEvent { error { message causes { message } } } } } } }
"""
_BACKFILL_STATUS = """
query($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename ... on PartitionBackfill { status
  error { message } } ... on PythonError { message } } }
"""
_MATERIALIZED = """
query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionStats { numMaterialized numFailed } } } }
"""


class Dagster:
    """A webserver on this machine.

    Args:
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._ui_port = port

    def poll(self, query: str, **variables: Any) -> Any:
        """Ask the webserver's GraphQL.

        Raises:
            OSError: It does not answer.
            RuntimeError: It answers with errors.
        """
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._ui_port}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            content = json.load(answer)
        if content.get("errors"):
            raise RuntimeError(str(content["errors"]))
        return content["data"]

    def launch(self, dataset: str, month: str) -> str:
        """Launch a run of a month's whole chain as the UI would; return its id."""
        assets = [{"path": [dataset, step]} for step in STEPS]
        selector = {
            "repositoryLocationName": "taxi_assets",
            "repositoryName": "__repository__",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": assets,
        }
        tags = [{"key": "dagster/partition", "value": f"{month}-01"}]
        metadata = {"tags": tags}
        params = {"selector": selector, "mode": "default", "executionMetadata": metadata, "runConfigData": {}}
        answer = self.poll(_LAUNCH, params=params)["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise RuntimeError(str(answer))
        return str(answer["run"]["runId"])

    def backfill(self, dataset: str, months: Sequence[str]) -> str:
        """Launch a backfill of months' whole chains; return its id."""
        assets = [{"path": [dataset, step]} for step in STEPS]
        params = {"assetSelection": assets, "partitionNames": [f"{month}-01" for month in months]}
        answer = self.poll(_BACKFILL, params=params)["launchPartitionBackfill"]
        if answer["__typename"] != "LaunchBackfillSuccess":
            raise RuntimeError(str(answer))
        return str(answer["backfillId"])

    def runs(self) -> dict[str, str]:
        """Return the status of every run, by id."""
        answer = self.poll("{ runsOrError { ... on Runs { results { runId status } } } }")
        return {run["runId"]: run["status"] for run in answer["runsOrError"]["results"]}

    def materialized(self, dataset: str) -> int:
        """Return how many months of a whole chain Dagster counts as materialized, none of them failed since."""
        found = []
        for step in STEPS:
            stats = self.poll(_MATERIALIZED, key={"path": [dataset, step]})["assetNodeOrError"]["partitionStats"]
            found.append(stats["numMaterialized"] - stats["numFailed"])
        return min(found)

    def failures(self, run: str) -> list[str]:
        """Return the errors in a run's log, the innermost last."""
        answer = self.poll(_FAILURES, run=run)["logsForRun"]
        found: list[str] = []
        for event in answer["events"]:
            if error := event.get("error"):
                found += [error["message"], *(cause["message"] for cause in error["causes"])]
            elif "ailed" in event.get("message", "") and event["__typename"] != "LogMessageEvent":
                found.append(event["message"])
        return found

    def backfill_status(self, backfill: str) -> str:
        """Return a backfill's status, with its error if it has one."""
        answer = self.poll(_BACKFILL_STATUS, id=backfill)["partitionBackfillOrError"]
        error = answer.get("error")
        return f"{answer['status']}: {error['message']}" if error else str(answer["status"])
