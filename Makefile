# make up: a running phospho.  make test: everything that is tested.  Both set up what they need.
PYTHON ?= python3
# Processes that run the tests: one a core.
WORKERS ?= auto
# The tests start some hundred Python processes: without compiled files, each would compile the sources again.
PYTEST = env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
RUNTIME := $(VENV)/.runtime
JAVASCRIPT := producers/javascript
# Environments of tests: their packages would change this project's.
FRAMEWORKS := build/frameworks/.installed build/upstream-sdk/.installed
JAVASCRIPT_INSTALLED := $(JAVASCRIPT)/node_modules/.installed
JAVASCRIPT_BUILT := $(JAVASCRIPT)/node_modules/.built

.PHONY: up test install javascript javascript-package packages release-check docs screenshot lint types imports kafka frameworks system-packages chaos fuzz bench \
	bench-detection bench-cascade bench-dashboard schemas constraints clean

# An environment that has everything for tests runs phospho too. ARGS are options of `phospho up`.
up: $(if $(wildcard $(INSTALLED)),$(INSTALLED),$(RUNTIME))
	$(BIN)/phospho up $(ARGS)

# Python's own pip installs into the environment, where it can: a copy of pip in there takes seconds and 23 MB.
OUTER_PIP = $(shell $(PYTHON) -m pip help 2>/dev/null | grep -q -e --python && echo $(PYTHON) -m pip --python $(BIN)/python)
PIP = $(or $(OUTER_PIP),$(BIN)/python -m pip)

$(RUNTIME): pyproject.toml producers/python/pyproject.toml requirements.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "phospho needs Python 3.11 or newer. Name one: make up PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(if $(OUTER_PIP),--without-pip) $(VENV)
	@echo "Installing into $(VENV): 300 MB to download, 850 MB on disk."
	$(PIP) install --no-deps --no-compile -r requirements.txt
	$(PIP) install --quiet --no-compile -c constraints.txt hatchling editables
	$(PIP) install --quiet --no-deps --no-build-isolation -e producers/python -e .
	touch $@

test: install javascript kafka frameworks lint types imports
	$(PYTEST) -n $(WORKERS) $(PYTEST_ARGS)

install: $(INSTALLED)

$(INSTALLED): pyproject.toml producers/python/pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) what phospho and its tests need: one to five minutes the first time."
	$(BIN)/python -m pip install --no-compile -c constraints.txt -e producers/python -e '.[dev]'
	touch $@

# The JavaScript SDK; needs Node 20 or newer with its npm.
javascript: $(JAVASCRIPT_BUILT)

$(JAVASCRIPT_INSTALLED): $(JAVASCRIPT)/package.json
	@command -v npm >/dev/null || { echo "npm is missing. Install Node 20 or newer."; exit 1; }
	npm --prefix $(JAVASCRIPT) install --no-audit --no-fund
	touch $@

$(JAVASCRIPT_BUILT): $(JAVASCRIPT_INSTALLED) $(JAVASCRIPT)/tsconfig.json $(wildcard $(JAVASCRIPT)/src/*.ts $(JAVASCRIPT)/src/*/*.ts $(JAVASCRIPT)/src/*/*/*.ts)
	npm --prefix $(JAVASCRIPT) run build
	touch $@

# dist/phospho-sdk-1.0.0.tgz, to install in an app: npm install PATH.
javascript-package: javascript
	mkdir -p dist
	npm pack --silent --pack-destination dist ./$(JAVASCRIPT)

# What is released: the wheels of the server and of the SDK, and the JavaScript package, in dist.
packages: install javascript-package
	$(BIN)/python -m hatchling build --target wheel --directory dist
	cd producers/python && ../../$(BIN)/python -m hatchling build --target wheel --directory ../../dist

# Installs the built packages where no checkout is, logs with each SDK and reads the page.
release-check: packages
	deploy/release-check

# docs/dashboard.png, with the data of `phospho demo`, in Debian's Chromium.
screenshot: install
	docs/screenshot

lint: install javascript
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	npm --prefix $(JAVASCRIPT) run --silent lint

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

# A real Apache Kafka from Maven's coordinates, for tests, benchmarks and machines without Docker.
kafka:
	deploy/kafka/run --fetch-only

# LiteLLM and LlamaIndex, with which the SDK's callbacks are tested, and upstream's SDK.
frameworks: $(FRAMEWORKS)

build/frameworks/.installed: tests/python_sdk/integrations/frameworks.txt
build/upstream-sdk/.installed: tests/e2e/legacy/upstream_sdk.txt
$(FRAMEWORKS):
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --no-compile -r $<
	touch $@

# What the tests of the compose file, of the alert rules, of the shell example and of the pages call; Debian's names.
SYSTEM_PACKAGES := docker-compose prometheus kcat chromium-headless-shell fonts-liberation
system-packages:
	apt-get update -qq && apt-get install -y -qq --no-install-recommends $(SYSTEM_PACKAGES)

# The docs site, in build/docs/index.html.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict -f deploy/docs/mkdocs.yml

# Tests that take longer than a test run may, and tests that draw or read more than there.
# SEEDS="1 2 3" FAULTS=167 are some 500 faults.
SEEDS ?= 1
FAULTS ?= 50
chaos: install kafka
	PYTHONPATH=tests $(BIN)/python -m chaos $(foreach seed,$(SEEDS),--seed $(seed)) --faults $(FAULTS)
	$(PYTEST) -m "chaos or hypothesis or sweep" --hypothesis-profile=chaos $(PYTEST_ARGS)

# Bodies through the gateway and records through the consumers, hostile and valid ones, from a seed.
BODIES ?= 100000
RECORDS ?= 100000
fuzz: install
	PYTHONPATH=tests $(BIN)/python -m chaos.fuzz --bodies $(BODIES) --records $(RECORDS)

bench: install kafka
	PYTHONPATH=tests $(BIN)/python -m benchmarks

# How well and how fast events are found. Some ten minutes.
bench-detection: install
	PYTHONPATH=tests $(BIN)/python -m benchmarks.detection

# What asking an LLM about some tasks brings, over a range of budgets; needs shared/data. The other rows and figures of
# docs/judges.md: make bench-cascade CASCADE="--parts 28 --budgets 0.02", or "--noise judgement --every 2".
bench-cascade: install
	PYTHONPATH=tests $(BIN)/python -m benchmarks.detection.cascade $(CASCADE)

# Every page's queries on a store of a year; ten million tasks take half an hour and 10 GB of disk.
TASKS ?= 10000000
bench-dashboard: install
	PYTHONPATH=tests $(BIN)/python -m benchmarks.dashboard --tasks $(TASKS)

# Writes the JSON Schema files and the AsyncAPI document again from the models.
schemas: install
	$(BIN)/python -m phospho_cli schemas

# Pins every package that a fresh environment gets. Run it in an environment that holds nothing else.
constraints:
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean:
	rm -rf build dist $(VENV) $(JAVASCRIPT)/node_modules $(JAVASCRIPT)/dist
