"""Where the daemon finds a job, for runs that a test puts into an instance itself."""

from __future__ import annotations

from pathlib import Path

from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin


def origin_of(job: str) -> RemoteJobOrigin:
    """Return the origin of a job of this project, loaded in this folder."""
    module = LoadableTargetOrigin(module_name="taxi_assets.definitions", working_directory=str(Path.cwd()))
    location = ManagedGrpcPythonEnvCodeLocationOrigin(module, "taxi_assets")
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job)
