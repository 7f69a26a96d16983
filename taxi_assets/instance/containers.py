"""Runs in containers: Dagster's `DockerRunLauncher`, named in the deployment's dagster.yaml. See deploy/compose.

Only a deployment imports this module: dagster-docker is installed in the image, not with the package.
"""

from __future__ import annotations

import os
from typing import Any

from dagster import DagsterRun
from dagster_docker import DockerRunLauncher
from dagster_docker.container_context import DockerContainerContext

from taxi_assets.settings import forwarded_variables


class RunContainers(DockerRunLauncher):
    """Gives each run's container the settings of the process that launches it, so that they stand in `.env` only.

    `DockerRunLauncher` takes a fixed list of variables, each of which must be set. Texts in `container_kwargs` may
    name variables, as `${RUN_VOLUME}`, because a volume's name depends on the deployment's.
    """

    def get_container_context(self, dagster_run: DagsterRun) -> DockerContainerContext:
        """Return how a run's container is made."""
        context = super().get_container_context(dagster_run)
        return DockerContainerContext(
            registry=context.registry,
            env_vars=[*context.env_vars, *forwarded_variables()],
            networks=context.networks,
            container_kwargs=_expanded(context.container_kwargs),
        )


def _expanded(value: Any) -> Any:
    if isinstance(value, str):
        return os.path.expandvars(value)
    if isinstance(value, dict):
        return {key: _expanded(each) for key, each in value.items()}
    return [_expanded(each) for each in value] if isinstance(value, list) else value
