# Sets itself up: Python 3.11 or later, make and git are enough.
# PYTHON=... chooses the interpreter, JOBS=... the number of test processes.

VENV := .venv
JOBS := 2
PYTHON ?= $(shell scripts/find-pythons | sed -n '1s/^[^ ]* //p')

BIN = $(VENV)/bin
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist worksteal
# The locks are complete. Left to itself, pip looks for an extra (coverage[toml]) beyond its locked release.
INSTALL = $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps
EDITABLE = $(INSTALL) --no-build-isolation --editable .
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal \
	--python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url $(UPGRADE)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-full test-rest test-one lint types bench lab docs lock clean system-packages \
	lab-packages

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1: /p' Makefile

demo: $(VENV)/.ready-demo ## see an interception refused, on loopback, in seconds
	@$(BIN)/holdfast demo

test: system-packages lint types ## what a change must pass: checks, tests, coverage
	$(PYTEST) -m "not full" --cov --cov-report=term

test-full: test test-rest ## the same, the long tests, and every other Python found

# What `test` leaves out, and the other Pythons. A run of nearly everything comes last and says how it
# ended.
test-rest: lab-packages $(VENV)/.ready-dev
	@$(MAKE) --no-print-directory bench BENCH=--quick
	$(PYTEST) -m full --hypothesis-profile=full
	@set -e; own=$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	scripts/find-pythons | while read -r minor python; do \
		if [ "$$minor" != "$$own" ]; then \
			$(MAKE) --no-print-directory test-one VENV=.venv-$$minor PYTHON="$$python" </dev/null; \
		fi; \
	done

# Of the long tests those of threads, forks and signals, which differ from Python to Python.
test-one: $(VENV)/.ready-tests
	$(PYTEST) -m full tests/enforcement
	$(PYTEST) -m "not full"

lint: $(VENV)/.ready-dev ## style, spelling, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/typos
	$(BIN)/lint-imports --no-logo

types: $(VENV)/.ready-dev ## mypy, strict
	$(BIN)/mypy

bench: $(VENV)/.ready-tests ## measure; BENCH=--quick for a short look
	@set -e; for script in $(wildcard benchmarks/[a-z]*.py); do echo "$$script"; $(BIN)/python "$$script" $(BENCH); done

lab: lab-packages $(VENV)/.ready-tests ## attack each client in examples/, and write docs/lab-results.md
	$(BIN)/python -m tests.lab.results

docs: $(VENV)/.ready-tests ## check the links and the code in the documentation
	$(BIN)/python -m pytest tests/test_docs.py

lock: $(VENV)/.ready-dev ## compile requirements/*.txt; UPGRADE=--upgrade takes newer versions
	$(COMPILE) pyproject.toml --extra all --group build --group tests -o requirements/tests.txt
	$(COMPILE) --group tools -c requirements/tests.txt -o requirements/tools.txt
	$(COMPILE) pyproject.toml --extra cli --group build -c requirements/tests.txt \
		-o requirements/demo.txt

clean: ## remove what these targets made
	rm -rf fuzz/__pycache__ .venv .venv-3.* .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache \
		.pytest_cache .ruff_cache build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

system-packages:
	@scripts/system-packages

lab-packages:
	@scripts/system-packages lab

$(VENV)/.made:
	@scripts/make-venv $(VENV) "$(PYTHON)"
	@touch $@

$(VENV)/.ready-demo: $(VENV)/.made pyproject.toml requirements/demo.txt
	$(INSTALL) --require-hashes -r requirements/demo.txt
	$(EDITABLE)
	@touch $@

$(VENV)/.ready-tests: $(VENV)/.made pyproject.toml requirements/tests.txt
	$(INSTALL) --require-hashes -r requirements/tests.txt
	$(EDITABLE)
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready-tests requirements/tools.txt
	$(INSTALL) --require-hashes -r requirements/tests.txt -r requirements/tools.txt
	@touch $@
