# One command per job; CI runs the same ones. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test chaos lint format bench clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=
# Python to build .venv with; by default the first of these that is 3.11 or newer and can make virtual environments.
PYTHON ?=
CANDIDATES := $(or $(PYTHON),python3.11 python3.12 python3.13 python3)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with everything in it (nothing to do when up to date)

$(STAMP): pyproject.toml
	@for python in $(CANDIDATES); do \
	  if "$$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "No Python 3.11+ with the venv module among: $(CANDIDATES)." >&2; \
	  echo "Install one (Debian: apt-get install python3.11-venv), or name one: make setup PYTHON=/path/to/python" >&2; \
	  exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$found" --version): installing takes a minute or two" && "$$found" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,bench]'
	@$(BIN)/nearstream warm
	@touch $@

demo: setup ## start an embedded broker, a worker and simulated shoppers, and watch (ARGS="--seconds 60")
	$(BIN)/nearstream demo $(ARGS)

test: setup ## run all tests with coverage, or some without (ARGS="-k name", ARGS=tests/streams/broker/test_broker.py)
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadgroup $(if $(ARGS),,--cov --cov-report=term) $(ARGS)

chaos: setup ## let faults happen to workers on a real Kafka, and verify everything (ARGS="--faults 20 --seed 1")
	$(BIN)/python -m tests.chaos $(ARGS)

lint: setup ## check format, lint, types and the import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## format, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## measure throughput and latency, one JSON line each
	$(BIN)/nearstream bench throughput --json $(ARGS)
	$(BIN)/nearstream bench latency --json $(ARGS)

clean: ## remove build products and caches (.venv and the cached Kafka jars stay)
	rm -rf build dist .coverage .coverage.* htmlcov .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find bench processors state streams tests -name __pycache__ -type d -prune -exec rm -rf {} +
