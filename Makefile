# On a machine with only python3 and make: `make demo` sets everything up and runs the main job, `make test` tests it.
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2

export OMP_NUM_THREADS ?= 1

.PHONY: demo test lint types setup docs-cli clean

demo: setup
	$(BIN)/kd cache build --teacher florence --out kd/caches/demo
	$(BIN)/kd cache info kd/caches/demo
	$(BIN)/kd cache get 000007 --cache kd/caches/demo
	$(BIN)/kd cache verify kd/caches/demo --replay 200 --teacher 200

test: setup
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

# Write docs/cli.md again from the real --help.
docs-cli: setup
	$(BIN)/python -m tests.cli.reference

setup: .venv/.ready

# The stamp is newer than what it was made from, so a second `make` reuses .venv as it is.
.venv/.ready: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf .venv build dist
