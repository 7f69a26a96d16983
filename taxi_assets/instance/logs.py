"""Where Dagster keeps what steps print: files in its home, or the bucket when TAXI_COMPUTE_LOGS is `gcs`.

`dagster.yaml` cannot choose, so it names the class here as its `compute_logs:`. The stock manager for Cloud Storage
takes credentials only from the machine, and lets a step fail whose log cannot be put away; this one does neither.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeLogManager
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from taxi_assets.settings import Settings, dagster_home

FOLDER = "dagster-logs"
"""Folder of the logs in the bucket, beside that of the months; a lifecycle rule may delete what is in it."""


class FilesOrBucket(ComputeLogManager, ConfigurableClass):
    """Makes the manager that the settings ask for; it is never that manager itself."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return the fields that `dagster.yaml` may give: none."""
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]  # Dagster wants an instance of cls; its callers need a manager
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003 - Dagster gives it
    ) -> ComputeLogManager:
        """Return the manager of files or of the bucket.

        Raises:
            SettingError: A setting is missing or cannot be used.
        """
        folder = str(dagster_home() / "storage")
        return _files(folder, inst_data)


class Files(LocalComputeLogManager):
    """Dagster's own, which on a full disk would leave this process's output where no one sees what went wrong."""

    @contextlib.contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """Have what a step prints in files, and after it, whatever happens, where it was."""
        kept = {number: os.dup(number) for number in (1, 2)}
        try:
            with super().capture_logs(log_key) as captured:
                yield captured
        finally:
            for number, copy in kept.items():
                os.dup2(copy, number)
                os.close(copy)


def _files(folder: str, inst_data: ConfigurableClassData | None) -> LocalComputeLogManager:
    return Files(folder, inst_data=inst_data)


def _in_bucket(settings: Settings, folder: str, inst_data: ConfigurableClassData | None) -> ComputeLogManager:
    from dagster._core.storage.cloud_storage_compute_log_manager import PollingComputeLogSubscriptionManager
    from dagster_gcp.gcs.compute_log_manager import GCSComputeLogManager

    from taxi_assets.storage.factory import google_access

    settings.check_profile()

    class InBucket(GCSComputeLogManager):
        """dagster-gcp's manager, signed in and as patient as the settings say."""

        def __init__(self) -> None:
            self._client = google_access(settings).storage()
            self._bucket_name = settings.gcs_bucket
            self._bucket = self._client.bucket(self._bucket_name)
            self._prefix = f"{settings.gcs_prefix}/{FOLDER}".strip("/")
            self._upload_interval, self._show_url_only, self._inst_data = None, False, inst_data
            self._local_manager = _files(folder, None)
            self._subscription_manager = PollingComputeLogSubscriptionManager(self)  # type: ignore[no-untyped-call]
            super(GCSComputeLogManager, self).__init__()  # type: ignore[no-untyped-call]  # without its own client

        def _on_capture_complete(self, log_key: Sequence[str]) -> None:
            try:
                super()._on_capture_complete(log_key)
            except Exception as error:  # noqa: BLE001 - whatever it is, the step has done its work
                sys.stderr.write(f"what the step printed could not be put into the bucket: {type(error).__name__}\n")

    return InBucket()
