# Everything a person types. Each target first sets up its own environment in .venv, from pinned requirements.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := 0.13.9
PINS := $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links

# the engine: Docker or, by its socket in DOCKER_HOST, Podman
IMAGE ?= taxi-assets:latest
BUILD ?= docker build --tag
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION = $(shell git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || echo unknown)
LABELS ?= --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION)
SOCKET = $(patsubst unix://%,%,$(or $(DOCKER_HOST),unix:///var/run/docker.sock))
ENGINE = TAXI_IMAGE=$(IMAGE) DOCKER_SOCKET=$(SOCKET) DOCKER_GROUP=$$(stat -c %g $(SOCKET))
COMPOSE = $(ENGINE) docker compose --env-file .env -f deploy/compose/compose.yaml
DEPLOYED = docker compose --project-name taxi

.DEFAULT_GOAL := help
.PHONY: help demo dev test soak torture bench lint docs screenshots format pins clean image up down smoke

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/main  ## land made-up months offline, print the ledger and a first query
	$(BIN)/taxi-assets demo

dev: $(VENV)/main  ## Dagster's UI on 127.0.0.1:3000, with its daemon
	$(BIN)/taxi-assets dev

test: $(VENV)/dev  ## every test
	$(BIN)/pytest -n 2

soak: $(VENV)/dev  ## a whole deployment at work for SOAK_MINUTES (8): its memory, its connections to Postgres
	$(BIN)/pytest -m soak

torture: $(VENV)/dev  ## break it by kills, full disks and hostile files: nothing is lost, nothing is duplicated
	$(BIN)/pytest -m torture -n 2

bench: $(VENV)/bench  ## time and memory of this project and its alternatives, in tables (15 minutes); see docs/performance.md
	$(BIN)/python -m benchmarks.bench $(BENCH)

lint: $(VENV)/dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/main  ## renew what the documents take from the code
	$(BIN)/python docs/generate.py

format: $(VENV)/dev  ## let ruff format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

image:  ## build the image that deployments run; its labels say which version and commit it is
	$(BUILD) $(IMAGE) . $(LABELS)

up: image  ## start a deployment in containers, its UI on 127.0.0.1:3000; writes a database password to .env
	@touch .env && chmod 600 .env
	@names=$$(env | grep '^TAXI_' | grep -v '^TAXI_IMAGE=' | grep -vxFf .env | cut -d= -f1); test -z "$$names" || \
		{ echo "containers read .env only; move these from the shell to .env, or unset them:" $$names >&2; exit 2; }
	@grep -q '^POSTGRES_PASSWORD=' .env || \
		printf '\nPOSTGRES_PASSWORD=%s\n' "$$(od -An -tx1 -N16 /dev/urandom | tr -d ' ')" >> .env
	$(COMPOSE) up --detach --wait

down:  ## stop the deployment and its runs; its volumes stay
	$(DEPLOYED) stop daemon
	docker ps --quiet --filter label=dagster/run_id --filter network=taxi_default | xargs -r docker stop --time 60
	$(DEPLOYED) down

smoke: $(VENV)/dev image  ## try the deployment out beside the real one: land months, kill every part, see it recover
	$(ENGINE) $(BIN)/python -m taxi_assets_tests.deployment.smoke

pins: $(VENV)/uv  ## renew the pinned requirements from pyproject.toml
	$(PINS) --upgrade --extra deploy --group dev pyproject.toml -o requirements-dev.txt
	$(PINS) --constraint requirements-dev.txt --extra deploy pyproject.toml -o requirements-deploy.txt
	$(PINS) --constraint requirements-dev.txt pyproject.toml -o requirements.txt
	$(PINS) --constraint requirements-dev.txt --group bench pyproject.toml -o requirements-bench.txt

screenshots: $(VENV)/dev  ## renew the pictures of README and docs; needs Chromium
	$(BIN)/python -m docs.screenshots

clean:  ## remove the environment; data/ stays
	rm -rf $(VENV)

$(VENV)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV)
	@touch $@

$(VENV)/main: $(VENV)/uv requirements.txt pyproject.toml
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/dev: $(VENV)/main requirements-dev.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements-dev.txt
	@touch $@

$(VENV)/bench: $(VENV)/dev requirements-bench.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements-bench.txt
	@touch $@
