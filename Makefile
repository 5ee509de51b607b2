# Everything a fresh machine with Python >= 3.11 and make needs.
PYTHON ?= python3
VENV ?= .venv
NEWEST ?= python3.13
BIN := $(VENV)/bin

.PHONY: run test soak signatures test-all test-lowest test-newest lint docs bench lock clean

run: $(VENV)/.installed  ## learn and unlearn ten tasks of real digits; table and picture in runs/
	$(BIN)/python experiments/run.py

test: $(VENV)/.installed  ## unit tests, small and fast, two at a time
	$(BIN)/python -m pytest -n 2

soak: $(VENV)/.installed  ## 200 kills, 300 damaged stores, 50 hostile requests, ten minutes of fuzz; an hour; prints the counts
	$(BIN)/python -m pytest -m soak -s

signatures: $(VENV)/.installed  ## every method on permuted digits, and what it is known for; an hour
	$(BIN)/python -m pytest -m signatures

test-all: $(VENV)/.installed  ## also those that need UNCLE_DATA_DIR or a GPU
	$(BIN)/python -m pytest -m ""

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/.installed  ## the site in site/, from docs/ and the docstrings
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

test-lowest:  ## the unit tests on the oldest versions that pyproject.toml allows
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct -e ".[dev]"
	.venv-lowest/bin/python -m pytest

test-newest:  ## the unit tests on the newest Python and versions (NEWEST=python3.13)
	$(NEWEST) -m venv .venv-newest
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade -e ".[dev]"
	.venv-newest/bin/python -m pytest -n 2

bench: $(VENV)/.installed  ## what steps cost against the number of tasks, a small network (minutes); with peers if "[bench]" is there
	$(BIN)/python benchmarks/steps.py --network thin --tasks 1 5 20

lock:  ## requirements-dev.txt anew: the newest versions that pyproject.toml allows, for every Python
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet uv
	.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade \
		--extra dev --extra docs --no-emit-package uncle-jax --no-annotate \
		--custom-compile-command "make lock" -o requirements-dev.txt pyproject.toml

$(VENV)/.installed: pyproject.toml requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

clean:
	rm -rf $(VENV) .venv-lowest .venv-newest .venv-lock runs dist site site
