"""The ways that end in the cloud, on the emulators of the tests: this project's, and dagster-gcp's stock IO managers.

The servers run outside of the measured process; `servers` starts them and says how they are reached. Annotations are
evaluated, because Dagster reads them in functions defined here.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.product import run_chain
from benchmarks.ways import timed

PROJECT, BUCKET = "throw-away", "lake"


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[dict[str, str]]:
    """Run Cloud Storage and BigQuery; give the variables with which a way finds them."""
    from taxi_assets_tests.servers.bigquery import bigquery_server
    from taxi_assets_tests.servers.credentials import TokenEndpoint
    from taxi_assets_tests.servers.gcs import gcs_server

    tokens = TokenEndpoint()
    key = json.dumps(tokens.service_account_info(project_id=PROJECT))
    try:
        with gcs_server(folder / "buckets", tokens) as gcs, bigquery_server(gcs, tokens=tokens) as bigquery:
            gcs.client(PROJECT).create_bucket(BUCKET)
            bigquery.client(PROJECT).create_dataset("nyc_tlc")
            bigquery.client(PROJECT).create_dataset("stock")
            yield {
                "STORAGE_EMULATOR_HOST": gcs.url,
                "BIGQUERY_EMULATOR_HOST": bigquery.url,
                # the stock IO managers load from this machine, which the layer in front of the emulator does not know
                "BIGQUERY_EMULATOR_ALONE": f"http://127.0.0.1:{bigquery.front._backend_port}",
                "TAXI_GCP_CREDENTIALS": key,
                "HTTPS_PROXY": "http://127.0.0.1:9",  # google-auth asks a server of Google's beside its work
            }
    finally:
        tokens.stop()


def gcp_chain(source: Path, folder: Path) -> dict[str, Any]:
    """This project's whole chain in the gcp profile: download by HTTP, clean, upload, load job, every check."""
    return run_chain(
        source,
        folder,
        {
            "TAXI_PROFILE": "gcp",
            "TAXI_GCP_PROJECT": PROJECT,
            "TAXI_GCS_BUCKET": BUCKET,
            "TAXI_GCP_CREDENTIALS": os.environ["TAXI_GCP_CREDENTIALS"],
        },
    )


def stock_io_managers(source: Path, folder: Path) -> dict[str, Any]:
    """The same month with dagster-gcp's stock IO managers: a DataFrame, pickled to Cloud Storage, loaded by pandas."""
    import dagster as dg
    import pandas as pd
    from dagster_gcp import GCSPickleIOManager, GCSResource
    from dagster_gcp_pandas import BigQueryPandasIOManager

    key = folder / "key.json"
    key.write_text(os.environ["TAXI_GCP_CREDENTIALS"])
    os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(key)
    os.environ["BIGQUERY_EMULATOR_HOST"] = os.environ["BIGQUERY_EMULATOR_ALONE"]
    os.environ["DAGSTER_HOME"] = str(folder)
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n", "utf-8")

    @dg.asset(io_manager_key="lake")
    def cleaned() -> pd.DataFrame:
        frame = pd.read_csv(source, low_memory=False)
        for name in ("tpep_pickup_datetime", "tpep_dropoff_datetime"):
            frame[name] = pd.to_datetime(frame[name])
        frame["passenger_count"] = frame["passenger_count"].fillna(0)
        return frame

    @dg.asset(io_manager_key="warehouse")
    def yellow_trips(cleaned: pd.DataFrame) -> pd.DataFrame:
        return cleaned

    resources = {
        "lake": GCSPickleIOManager(gcs=GCSResource(project=PROJECT), gcs_bucket=BUCKET),
        "warehouse": BigQueryPandasIOManager(project=PROJECT, dataset="stock"),
    }
    result: dict[str, Any] = {}
    with dg.DagsterInstance.get() as instance, timed(result):
        run = dg.materialize([cleaned, yellow_trips], resources=resources, instance=instance)
    if not run.success:
        raise SystemExit("the run failed")
    return result
