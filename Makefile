# Every target first fetches what it needs, once: uv if there is none that works, then the locked packages into .venv.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow servers trial-scale nautilus2 survive soak licences docs dev bench bench-full lint format clean

UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
BIN := .venv/bin
READY := .venv/.ready
# the version that is developed with, then those that also do; if none is here, uv downloads the first
PYTHONS := $(shell cat .python-version) 3.12 3.14
# compared with in the tests
NAUTILUS2 ?= $(shell sed -n 's/^VERSION: Final = "\(.*\)"/\1/p' hedgegrid_assets_tests/nautilus2.py)
# slow tests wait for servers and other processes a third of their time
AT_ONCE ?= $(shell echo $$(( ($$(getconf _NPROCESSORS_ONLN) * 3 + 1) / 2 )))
# where the fast tests write, each of their syncs would wait for a disk: a quarter of their time; memory does not, where there is enough
MEMORY := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 2000000 {print "/dev/shm"}')
PORT ?= 3000
N ?= 300
MINUTES ?= 10
SEED ?= 1
DAYS ?= 60
KILLS ?= 6

export UV_PROJECT_ENVIRONMENT := .venv
export NAUTILUS2_PYTHON ?= $(wildcard $(CURDIR)/.nautilus2/bin/python)
unexport VIRTUAL_ENV
# or each process would compile all modules anew: 0.3 s
unexport PYTHONDONTWRITEBYTECODE

help: ## show these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## fetch everything, run nothing

demo: $(READY) ## three days of synthetic data through Dagster into a NautilusTrader catalog, and a backtest on it
	@mkdir -p "$$DAGSTER_HOME" && cp dagster.yaml "$$DAGSTER_HOME/"
	@$(BIN)/hedgegrid demo

test: $(READY) ## run the tests but for the slow ones, in less than 5 minutes: make test ARGS="-k csv"
	@folder=$$(mktemp -d "$(or $(MEMORY),$${TMPDIR:-/tmp})/hedgegrid-tests.XXXXXX"); trap : INT; \
	PYTEST_DEBUG_TEMPROOT=$$folder $(BIN)/pytest -n auto --dist worksteal -m "not slow and not network" $(ARGS); \
	status=$$?; [ $$status = 1 ] || rm -rf "$$folder"; exit $$status

test-slow: $(READY) ## run the rest: kills, large files, readers against each other (those in a browser need Chromium)
	$(BIN)/pytest -n $(AT_ONCE) --dist worksteal --durations 30 -m "slow and not network" $(ARGS)

servers: $(READY) ## fetch what the tests of buckets and workers need, ~60 MB: without it they are skipped
	$(UV) sync --locked --python $(BIN)/python --group servers

nautilus2: $(READY) ## NautilusTrader 2.x in .nautilus2, for the tests that compare with it: without it they are skipped
	$(UV) venv --quiet --clear --python $(BIN)/python .nautilus2
	$(UV) pip install --quiet --python .nautilus2/bin/python "nautilus_trader==$(NAUTILUS2)" msgspec numpy "polars>=2.1,<3" pyarrow pydantic

trial-scale: $(READY) ## Celery workers over PostgreSQL, Redis and SeaweedFS, killed at random; the bucket must be as of a clean build: make trial-scale DAYS=60
	$(BIN)/python -m hedgegrid_assets_tests.trial_scale --days $(DAYS) --kills $(KILLS) --seed $(SEED)

survive: $(READY) ## kill commands at N random points; the next run must leave the bytes of an undisturbed one: make survive N=300 SEED=7
	$(BIN)/python -m hedgegrid_assets_tests.survival --trials $(N) --seed $(SEED)

soak: $(READY) ## Dagster's daemon under faults and kills for some minutes; the end must be as if built at once: make soak MINUTES=10 SEED=7
	$(BIN)/python -m hedgegrid_assets_tests.soak --minutes $(MINUTES) --seed $(SEED)

licences: servers ## list the licences of all packages that an installation brings, in docs/licences.md
	$(BIN)/python scripts/licences.py > docs/licences.md

docs: $(READY) ## write the pages of docs/ that are made from the code anew
	$(BIN)/python scripts/configuration.py > docs/.new && mv docs/.new docs/configuration.md
	$(BIN)/python scripts/statuses.py > docs/.new && mv docs/.new docs/statuses.md

dev: $(READY) ## the Dagster UI with its daemon, on this machine only: make dev PORT=3000
	@exec $(BIN)/hedgegrid dev --port $(PORT)

bench: $(READY) ## measure the conversion against nautilus' own loader and others, ~3 min: make bench ARGS="--only Tardis"
	$(BIN)/python -m benchmarks $(ARGS)

bench-full: $(READY) ## the same on 20M rows, with scale curves, many days, queries, a bucket and workers, ~1 h and 24 GB of memory
	$(BIN)/python -m benchmarks --full $(ARGS)

lint: $(READY) ## check style, types, import contracts and the lock file
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyrefly check
	$(BIN)/lint-imports --no-logo
	$(UV) lock --check --python $(BIN)/python

format: $(READY) ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove .venv and caches; data and Dagster's history stay
	rm -rf .venv .uv .bench dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Dagster's processes have other working directories, so these must be absolute
demo dev: export HEDGEGRID_DATA := $(if $(HEDGEGRID_DATA),$(abspath $(HEDGEGRID_DATA)),$(CURDIR)/data)
demo dev: export HEDGEGRID_FEEDS := $(if $(HEDGEGRID_FEEDS),$(abspath $(HEDGEGRID_FEEDS)),$(CURDIR)/feeds.yaml)
demo dev: export DAGSTER_HOME := $(CURDIR)/.dagster_home

$(READY): pyproject.toml uv.lock .python-version | $(filter .uv/%,$(UV))
	@if python=$${UV_PYTHON:-$$(sh scripts/find-python $(PYTHONS))}; \
	then set -- --python "$$python"; echo "set-up with $$python"; \
	else set -- --managed-python; echo "no Python of $(PYTHONS) here: uv downloads one"; fi; \
	$(UV) sync --locked "$$@"
	@touch $@

.uv/bin/uv: scripts/uv.txt
	@echo "no uv here that works: making a private one in .uv/"
	@"$$(sh scripts/find-python 3 3.13 3.12 3.11 || echo python3)" -m venv .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r scripts/uv.txt
	@touch $@
