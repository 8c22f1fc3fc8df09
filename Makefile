.DEFAULT_GOAL := help
.PHONY: help setup tools run lint format test clean

BIN := .venv/bin
INSTALLED := .venv/.installed

help:
	@echo "make setup   install the project into .venv"
	@echo "make run     run the exporter against an embedded AWS (metric-filter-exporter demo)"
	@echo "make test    run every check and every test"
	@echo "make lint    run the checks only: ruff, mypy, import-linter"
	@echo "make format  let ruff mend what it can"
	@echo "make clean   remove .venv, .tools and caches"

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml scripts/setup
	@scripts/setup
	@touch $@

# What some tests need besides Python packages: Prometheus, a browser.
tools: setup
	@$(BIN)/python scripts/install_tools.py

run: setup
	@$(BIN)/metric-filter-exporter demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy exporter tests scripts $(if $(wildcard bench/*.py),bench)
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint tools
	$(BIN)/pytest -n 2

clean:
	rm -rf .venv .tools dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
