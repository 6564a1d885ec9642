# make demo | quick | test | lint | docs set up $(VENV) by themselves, the first time or when a requirement changed.
# Dependencies live in $(VENV); the code that runs is always that of this checkout (PYTHONPATH), so checkouts may
# share one environment, which may be read-only once it is complete.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo quick test fuzz ruff lint format docs clean setup key

VENV ?= .venv
PYTHON ?= python3
RUN := $(VENV)/bin/python
# What the demo and the tests start, such as tools/dist_train.sh, finds the environment under both of its names.
INSIDE := PATH="$(abspath $(VENV))/bin:$$PATH" PYTHON="$(abspath $(RUN))"
PIP := -m pip install -qq --disable-pip-version-check --no-input
# Holds the hash of what is installed; "incomplete" from the first step until the last one is done.
STAMP := $(VENV)/.rsseg-requirements
REQUIREMENTS := setup.py $(sort $(wildcard requirements/*.txt))
# Tests run in this many processes, each with one thread; coverage is measured by `make test`.
WORKERS ?= $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
PYTEST = -m pytest -q -p no:cacheprovider -n $(WORKERS) --dist worksteal
# Seconds for each target of `make fuzz`, and the number of the first input.
SECONDS := 60
START := 0
COVERAGE ?= --cov --cov-fail-under=90 --cov-report=term:skip-covered
# One hash for all that decides what is installed; lazy, so that `make help` needs no Python.
KEY = $(shell cat $(REQUIREMENTS) | $(PYTHON) -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])')

export PYTHONPATH := $(CURDIR)
export OPENCV_LOG_LEVEL := ERROR
# One thread per process: more of them fight over the cores as soon as data loaders or ranks are added.
demo quick test fuzz docs: export OMP_NUM_THREADS := 1
demo quick test fuzz docs: export MKL_NUM_THREADS := 1
demo quick test fuzz docs: export OPENBLAS_NUM_THREADS := 1
# Many processes start: what one of them has compiled, the others read.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@echo "make TARGET [VENV=.venv] [PYTHON=python3]"
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

demo: setup ## scenes -> labels -> SEP pre-training -> fine-tuning -> test -> pictures, on the CPU
	@$(INSIDE) $(RUN) tools/demo.py $(ARGS)

quick: setup ## the unit tests, without those that take more than about ten seconds (ARGS="-k boxes" chooses some)
	@$(INSIDE) $(RUN) $(PYTEST) -m "not slow" $(ARGS)

test: ruff ## lint, and all tests with their coverage (ARGS="-k boxes" chooses some, without coverage)
	@echo "[3/4] pytest, $(WORKERS) processes, with mypy beside them"
	@status=0; types=$$(mktemp); $(RUN) -m mypy >"$$types" 2>&1 & mypy=$$!; \
	$(INSIDE) $(RUN) $(PYTEST) --durations=10 $(if $(ARGS),,$(COVERAGE)) $(ARGS) || status=$$?; \
	echo "[4/4] mypy"; wait $$mypy || status=$$?; cat "$$types"; rm -f "$$types"; exit $$status

fuzz: setup ## change files at random and read them, SECONDS=60 for each kind of file, from input START=0 on
	@RSSEG_FUZZ_SECONDS=$(SECONDS) RSSEG_FUZZ_START=$(START) $(INSIDE) $(RUN) $(PYTEST) tests/fuzz $(ARGS)

ruff: setup
	@echo "[1/4] ruff check"
	@$(RUN) -m ruff check .
	@echo "[2/4] ruff format --check"
	@$(RUN) -m ruff format --check .

lint: ruff ## ruff (rules and formatting) and mypy
	@echo "[3/4] mypy"
	@$(RUN) -m mypy

format: setup ## rewrite the sources in the house format, fix what ruff can fix
	@$(RUN) -m ruff check --fix-only -q .
	@$(RUN) -m ruff format .

docs: setup ## run the tutorials and build the site in site/, all warnings are errors
	@$(INSIDE) $(RUN) -m docs.hooks.tutorials work_dirs/tutorials
	@$(INSIDE) NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build -q
	@echo "site/index.html"

setup: ## make or renew the environment in $(VENV)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "rsseg needs Python >= 3.10; '$(PYTHON)' is $$($(PYTHON) -V 2>&1 || true)" >&2; \
		echo "Say which one to use: make PYTHON=/path/to/python3" >&2; exit 2; }; \
	key="$(KEY)"; \
	if [ "$$(cat $(STAMP) 2>/dev/null || true)" = "$$key" ] && $(RUN) -c ""; then \
		echo "environment $(VENV): ready"; exit 0; \
	fi; \
	if [ ! -e $(STAMP) ] && [ -n "$$(ls -A $(VENV) 2>/dev/null || true)" ]; then \
		echo "$(VENV) exists and was not made here: remove it, choose another place with VENV=..., or" >&2; \
		echo "use it as it is: make -s key > $(STAMP)" >&2; exit 2; \
	fi; \
	echo "environment $(VENV): [1/2] create with $$($(PYTHON) -V)"; \
	rm -rf $(VENV) && mkdir -p $(VENV) && echo incomplete > $(STAMP) || { \
		echo "$(VENV) is out of date and cannot be replaced: choose another place with VENV=..." >&2; exit 2; }; \
	$(PYTHON) -m venv $(VENV) || { \
		echo "'$(PYTHON) -m venv' failed (Debian, Ubuntu: install the package python3-venv)" >&2; exit 2; }; \
	echo "environment $(VENV): [2/2] install the packages (a few minutes, about 8 GB)"; \
	$(RUN) $(PIP) -c requirements/tested.txt $(foreach name,runtime mminstall optional export demo hf serve remote ray tests docs,-r requirements/$(name).txt); \
	if [ "$(VENV)" = .venv ]; then $(RUN) $(PIP) --no-deps -e .; fi; \
	echo "$$key" > $(STAMP); \
	echo "environment $(VENV): complete"

key:
	@echo "$(KEY)"

clean: ## remove caches and build results (the environment and data stay)
	@rm -rf build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache htmlcov .coverage
	@find rsseg tools tests configs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
