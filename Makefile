# `make` lists the targets. Each sets up its own .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# A file's tests stay in one process: TensorFlow and Spark take seconds to start.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
DAILY  := -m "not slow and not release and not heavy and not faults"
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo check lint types test test-fast test-release test-slow test-newest soak faults fuzz docs screenshots \
  sbom licenses constraints clean
.DELETE_ON_ERROR:

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed-dev ## install keyart for development, with its git hooks
	[ ! -e .git ] || $(BIN)/pre-commit install

demo: $(VENV)/.installed ## run the whole way on 60 drawn films, offline
	$(BIN)/keyart demo

check: lint types ## lint and types, under a minute

lint: $(VENV)/.installed-dev ## style and docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev ## static types
	$(BIN)/mypy

test: check ## lint, types and tests, 10 to 20 minutes on 2 cores
	$(PYTEST)

test-fast: $(VENV)/.installed-dev ## tests for daily work, 2 to 5 minutes: no Spark, browser, server process, training or real data
	$(PYTEST) $(DAILY)

test-release: $(VENV)/.installed-dev ## the longest tests, before a release: 5 to 10 minutes
	$(PYTEST) -m release

test-slow: $(VENV)/.installed-dev ## only the tests that take minutes each
	$(BIN)/pytest -m slow

soak: $(VENV)/.installed-dev ## serve under everything at once for KEYART_SOAK_MINUTES (30)
	$(BIN)/python benchmarks/soak.py

faults: $(VENV)/.installed-dev ## faults at every step of every command, or with STRIDE=9 at every ninth; commands beside each other; hostile input
	$(BIN)/pytest -n 2 --dist worksteal -m faults

fuzz: $(VENV)/.installed-dev ## files from elsewhere, spoiled so as to reach new code: 10,000 cases of each kind, for CPython 3.11 on Linux
	$(BIN)/pip install --quiet 'atheris>=3'
	$(BIN)/python -c 'from tests.faults.hostile import TARGETS; print(*TARGETS, sep="\n")' | \
	  xargs -n 1 $(BIN)/python -m tests.faults.fuzz --coverage

docs: $(VENV)/.installed-dev ## build the documentation site in build/docs; a dead link fails
	$(BIN)/python -m sphinx -W --keep-going -q -c docs -d build/doctrees . build/docs

screenshots: $(VENV)/.installed-dev ## take the pictures of the pages in docs anew, of the films of `keyart demo`
	mkdir -p build
	$(BIN)/keyart demo --out build/demo
	$(BIN)/keyart atlas --home build/demo/workspace
	$(BIN)/keyart fit ease --home build/demo/workspace
	$(BIN)/python docs/screenshots.py --home build/demo/workspace

test-newest: ## the tests for daily work with the newest versions of all dependencies, in an environment of their own
	$(PYTHON) -m venv --clear build/newest
	build/newest/bin/pip install --quiet -e '.[dev]'
	build/newest/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder $(DAILY) \
	  --deselect tests/test_packaging.py::test_installed_versions_are_the_pinned_ones

sbom: build/tools/.installed ## write build/keyart.cdx.json, the bill of materials of an installation with all extras
	$(PYTHON) -m venv --clear build/runtime
	build/runtime/bin/pip install --quiet --constraint constraints.txt '.[all]'
	build/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file build/keyart.cdx.json build/runtime/bin/python

licenses: build/tools/.installed $(VENV)/.installed-dev ## write docs/licenses.md, the license of every direct dependency
	build/tools/bin/pip-licenses --python $(BIN)/python --format markdown --no-version --with-urls \
	  --packages $$($(BIN)/python -m tests.dependencies) > build/licenses.md
	sed '/^| Name/,$$d' docs/licenses.md | cat - build/licenses.md > build/page.md
	mv build/page.md docs/licenses.md

build/tools/.installed:
	$(PYTHON) -m venv build/tools
	build/tools/bin/pip install --quiet cyclonedx-bom==7.5.0 pip-licenses==5.5.5
	@touch $@

constraints: $(VENV)/bin/python ## pin the newest versions of all dependencies, for every supported Python
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --no-emit-package keyart \
	  --no-annotate --custom-compile-command "make constraints" --output-file constraints.txt pyproject.toml

clean: ## remove what the targets above made
	rm -rf $(VENV) build keyart-demo .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "keyart needs Python 3.11 to 3.13; choose one: make PYTHON=python3.12 demo" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --constraint constraints.txt -e '.[atlas,offline,web]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --constraint constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.installed
