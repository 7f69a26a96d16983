# Everything a person types. Each target first sets up its own environment in .venv, from pinned requirements.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := 0.13.9
PINS := $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-header --no-annotate --no-emit-index-url \
	--no-emit-find-links

.DEFAULT_GOAL := help
.PHONY: help demo dev test lint format pins clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/main  ## land made-up months offline, print the ledger and a first query
	$(BIN)/taxi-assets demo

dev: $(VENV)/main  ## Dagster's UI on 127.0.0.1:3000, with schedules and sensors alive
	$(BIN)/taxi-assets dev

test: $(VENV)/dev  ## every test
	$(BIN)/pytest -n 2

lint: $(VENV)/dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev  ## let ruff format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

pins: $(VENV)/uv  ## renew the pinned requirements from pyproject.toml
	$(PINS) --upgrade --group dev pyproject.toml -o requirements-dev.txt
	$(PINS) --constraint requirements-dev.txt pyproject.toml -o requirements.txt

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
