# One image for everything: code location (the default), webserver, daemon, migration, runs and the command line.
# The project is installed as a wheel. Only /data and /tmp need to be writable.
# Name a digest here, python:3.12-slim-bookworm@sha256:..., to build on the same bytes each time.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
RUN python -m venv --without-pip /opt/taxi
WORKDIR /src
COPY requirements-deploy.txt .
# The file is complete. Without --no-deps, pip looks for a hash of every extra that a package asks for.
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --disable-pip-version-check --python /opt/taxi/bin/python install --quiet --no-deps --require-hashes \
        -r requirements-deploy.txt
COPY pyproject.toml README.md dagster.yaml ./
COPY deploy/dagster.yaml deploy/
COPY taxi_assets taxi_assets
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --disable-pip-version-check wheel --quiet --no-deps --wheel-dir /wheels . \
    && pip --disable-pip-version-check --python /opt/taxi/bin/python install --quiet --no-deps /wheels/*.whl
COPY deploy/compose/run_launcher.yaml deploy/
RUN cat dagster.yaml deploy/dagster.yaml deploy/run_launcher.yaml > dagster.deployed.yaml


FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="taxi_assets" \
      org.opencontainers.image.description="New York's taxi trips as a Dagster asset graph" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# a user without a login or rights elsewhere; a new volume at /data takes the owner of this folder
RUN pip --disable-pip-version-check uninstall --yes --quiet --root-user-action ignore pip \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin taxi \
    && install -d -o taxi -g taxi /data /app
COPY --from=build /opt/taxi /opt/taxi
COPY --from=build /src/dagster.deployed.yaml /app/dagster.yaml
COPY deploy/compose/workspace.yaml /app/workspace.yaml
ENV PATH=/opt/taxi/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    ARROW_DEFAULT_MEMORY_POOL=system \
    TAXI_DATA_DIR=/data \
    DAGSTER_HOME=/data/dagster
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 4000
# the same as `dagster api grpc-health-check`, in 0.4 instead of 4 seconds of processor time
HEALTHCHECK --interval=15s --timeout=20s --start-period=90s --retries=5 \
    CMD ["python", "-c", "import grpc; from grpc_health.v1 import health_pb2 as m, health_pb2_grpc as s; \
raise SystemExit(s.HealthStub(grpc.insecure_channel('127.0.0.1:4000')).Check( \
m.HealthCheckRequest(service='DagsterApi'), timeout=10).status != 1)"]
CMD ["dagster", "api", "grpc", "-h", "0.0.0.0", "-p", "4000", "-m", "taxi_assets.definitions"]
