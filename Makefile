# Two commands for a newcomer: `make demo` and `make test`. Each sets up its own .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test soak lint types clean
.DELETE_ON_ERROR:

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: $(VENV)/.installed ## the whole way on the embedded catalogue, offline
	$(BIN)/keyart demo

# A file's tests stay in one process: TensorFlow and Spark take seconds to start.
test: lint types ## lint, types and all tests
	$(BIN)/pytest -n 2 --dist loadfile

soak: $(VENV)/.installed-dev ## the tests that take minutes
	$(BIN)/pytest -m slow

lint: $(VENV)/.installed-dev ## style and docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev ## static types
	$(BIN)/mypy

clean: ## remove what the targets above made
	rm -rf $(VENV) keyart-demo .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "keyart needs Python 3.11 to 3.13; name one: make PYTHON=python3.12 demo" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet -e '.[atlas,web]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet -e '.[dev]'
	@touch $@ $(VENV)/.installed
