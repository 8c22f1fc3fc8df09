.DEFAULT_GOAL := help
LINT := ruff format types imports workflows prose
.PHONY: always help setup tools run dashboards chart runbooks coverage docs image sbom lock lint $(addprefix lint-,$(LINT)) \
	format test fuzz soak clean

# NEWEST=1: the newest release of everything instead of the lock files' versions, in a separate
# environment. `make test NEWEST=1` shows whether the locks can be updated.
VENV := .venv$(if $(NEWEST),-newest)
BIN := $(VENV)/bin
DEV := $(VENV)/.dev
DEMO := $(VENV)/.demo
export VENV

help:
	@echo "make setup   install the project into .venv"
	@echo "make run     run the exporter against an embedded AWS (ARGS=--web.listen-address=:8080)"
	@echo "make dashboards  generate grafana-dashboards/*.json"
	@echo "make chart   update the chart's copies of alerts and dashboards, and its README's table"
	@echo "make docs    build the documentation site in dist/site"
	@echo "make test    run every check and every test; NEWEST=1: with the newest of everything"
	@echo "make fuzz    fuzz for a minute a target (SECONDS=60 SEED=1 TARGETS=…)"
	@echo "make soak    random faults, every count exact; detections, every number of the dashboards (MINUTES=60 SEED=…)"
	@echo "make lint    run only the checks, as before a commit: ruff, mypy, prose …"
	@echo "make format  let ruff fix what it can"
	@echo "make image   build the container image (ENGINE=docker, podman or buildah)"
	@echo "make sbom    write the image's SBOM, dist/sbom.cdx.json (CycloneDX)"
	@echo "make lock    update requirements*.lock to match pyproject.toml; UPGRADE=1: all newest"
	@echo "make clean   remove .venv, .venv-newest, .tools and caches"

setup: $(DEV)

$(DEV): pyproject.toml scripts/setup requirements-dev.lock $(if $(NEWEST),always)
	@scripts/setup $(if $(NEWEST),newest,dev)
	@touch $(DEMO) $@

$(DEMO): pyproject.toml scripts/setup requirements-demo.lock
	@scripts/setup demo
	@touch $@

# Tools that some tests need besides Python packages: Prometheus, a browser, a C compiler.
tools: setup
	@$(BIN)/python scripts/install_tools.py

run: $(DEMO)
	@$(BIN)/metric-filter-exporter demo $(ARGS)

dashboards: setup
	@PYTHONPATH=grafana-dashboards $(BIN)/python -m generator
	@$(BIN)/python scripts/chart_files.py

chart: setup
	@$(BIN)/python scripts/chart_files.py
	@$(BIN)/python scripts/chart_readme.py

# The parts of the runbooks that follow from alerts and rule packs.
runbooks: setup
	@$(BIN)/python scripts/runbooks.py

# Which controls the rules and alerts watch: docs/coverage.md and docs/attack-navigator.json.
coverage: setup
	@$(BIN)/python scripts/coverage.py

# Not --quiet: --strict would see no warning.
docs: setup
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The image. ENGINE: the first of these that works here. BASE_IMAGE: another base instead of the pinned one.
# BUILD_FLAGS: more flags for the engine's `build`.
ifndef ENGINE
ENGINE = $(eval ENGINE := $(firstword $(foreach engine,docker podman buildah,\
	$(shell $(engine) info >/dev/null 2>&1 && echo $(engine)))))$(ENGINE)
endif
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' exporter/__init__.py)
IMAGE ?= metric-filter-exporter:$(VERSION)

image:
	$(if $(ENGINE),,$(error No docker, podman or buildah works here; name one that does: ENGINE=…))
	$(ENGINE) build --tag $(IMAGE) $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
		--build-arg CREATED=$$(date -u +%Y-%m-%dT%H:%M:%SZ) $(BUILD_FLAGS) .

sbom: setup image
	mkdir -p dist
	rm -f dist/image.tar
	$(if $(filter buildah,$(ENGINE)),buildah push $(IMAGE) docker-archive:dist/image.tar:$(IMAGE),\
		$(ENGINE) save --output dist/image.tar $(IMAGE))
	SYFT_CHECK_FOR_APP_UPDATE=false $(BIN)/syft scan --quiet docker-archive:dist/image.tar \
		--output cyclonedx-json=dist/sbom.cdx.json
	rm dist/image.tar

lock: setup
	@$(BIN)/python scripts/lock.py $(if $(UPGRADE),--upgrade)

# Each is a hook of .pre-commit-config.yaml, too.
lint: $(addprefix lint-,$(LINT))

lint-ruff: setup
	$(BIN)/ruff check .

lint-format: setup
	$(BIN)/ruff format --check .

lint-types: setup
	$(BIN)/mypy exporter metric_filter_demo tests conformance scripts grafana-dashboards/generator fuzz $(if $(wildcard bench/*.py),bench)

lint-imports: setup
	$(BIN)/lint-imports

lint-workflows: setup
	$(BIN)/actionlint .github/workflows/*.yaml
	$(BIN)/zizmor --offline --quiet .github

lint-prose: setup
	$(BIN)/python scripts/prose.py

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint tools
	$(BIN)/pytest -n 5

# `make setup` does not install the fuzzer. fuzz/README.md describes it.
SECONDS ?= 60
SEED ?= 1

fuzz: setup
	@$(BIN)/python -m pip install -qq --root-user-action ignore --require-hashes -r requirements-fuzz.lock
	@$(BIN)/python -m fuzz.run --seconds $(SECONDS) --seed $(SEED) $(TARGETS)

# Rounds of kills, faults, wrong clocks, removed files …; SEED: start with that round again.
MINUTES ?= 60
# Properties that the suite tries with a tenth of these random inputs.
PROPERTIES := $(shell grep -rl "support.examples" tests --include="test_*.py")

soak: tools
	@EXAMPLES=10 $(BIN)/pytest -n 5 -q $(PROPERTIES)
	@$(BIN)/python -m bench.soak --minutes $(MINUTES) $(if $(filter command% environment%,$(origin SEED)),--seed $(SEED))
	@$(BIN)/python -m bench.detections $(if $(filter command% environment%,$(origin SEED)),--seed $(SEED))
	@$(BIN)/python -m bench.counts $(if $(filter command% environment%,$(origin SEED)),--seed $(SEED))

clean:
	rm -rf .venv .venv-newest .tools dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
