# Everything starts here, on a machine with Python >= 3.11, git and make.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
UV_VERSION := 0.13.9
LISTEN ?= 127.0.0.1:50051
PYTEST_WORKERS ?= 2

BIN := $(CURDIR)/.venv/bin
export UV := $(CURDIR)/.tools/bin/uv
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS := true
export PATH := $(BIN):$(PATH)
# This tree is installed in .venv; nothing else on the machine takes part.
unexport PYTHONPATH VIRTUAL_ENV

PINS := requirements-dev.txt
MEMBERS := -e generated -e 'client[cli,codegen]' -e server -e examples/shop

.PHONY: help
help: ## Print what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: serve
serve: .venv/ready ## Serve the shop on 127.0.0.1:50051, with reload on change (LISTEN=… for another address)
	cd examples/shop && exec $(BIN)/comby dev --app shop.app:app --listen $(LISTEN)

.PHONY: demo
demo: .venv/ready ## Tell the shop's story: orders, refusals, a crash, and nothing lost
	$(BIN)/python -m shop.demo

.PHONY: cluster
cluster: .venv/ready ## Run PostgreSQL, NATS and two instances of the shop on 127.0.0.1:50051 and :50052
	$(BIN)/python -m tools.cluster

.PHONY: test
test: .venv/ready ## Run the tests
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile -q --durations 10 $(ARGS)

.PHONY: check
check: .venv/ready ## Run everything that finds faults without running the code: linters, types, arrows, contracts
	.ci/check

.PHONY: format
format: .venv/ready ## Put code and contracts in their form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	$(BIN)/buf format -w

.PHONY: generate
generate: .venv/ready ## Generate the checked-in code from the contracts, and the page of settings
	tools/generate
	$(BIN)/python -m tests.docs.settings_page

.PHONY: bench
bench: .venv/ready ## Measure the speed, and compare it with its bars
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: reliability
reliability: .venv/ready ## Run the long forms of the reliability tests (minutes)
	$(BIN)/python -m pytest tests/reliability tests/contract/test_store_machine.py -m 'not storage' --timeout 1800 $(ARGS)

.PHONY: storage
storage: .venv/ready ## Cut the power of the stores' disk, and fill it (minutes; needs root, loop devices, tmpfs and mkfs.ext4)
	$(BIN)/python -m pytest tests/reliability -m storage --timeout 1800 $(ARGS)

.PHONY: baseline
baseline: .venv/ready ## At a release: make the contracts of now those that later ones may not break
	$(BIN)/buf build protos --exclude-source-info --as-file-descriptor-set -o tests/contract_baseline/comby.binpb
	$(BIN)/buf build examples/shop/protos --exclude-source-info --as-file-descriptor-set -o tests/contract_baseline/shop.binpb

.PHONY: pins
pins: $(UV) ## Pin the newest versions that fit together
	$(UV) lock --quiet --upgrade
	$(UV) export --quiet --frozen --all-packages --all-extras --all-groups --no-emit-workspace --no-hashes --no-annotate --no-header -o $(PINS)

.PHONY: clean
clean: ## Delete everything that was made here
	rm -rf .venv .venv-codegen .tools build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'comby needs Python 3.11 or newer: make PYTHON=…'; exit 1; }
	$(PYTHON) -m venv --clear .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/ready: $(UV) $(PINS) generated/pyproject.toml client/pyproject.toml server/pyproject.toml examples/shop/pyproject.toml
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	$(UV) pip install --quiet --python .venv --build-constraint $(PINS) --constraint $(PINS) --group dev --group bench $(MEMBERS)
	touch $@
