# On a machine with only python3 and make: `make demo` sets everything up and runs the main job, `make test` tests it.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
JOBS ?= 2
MINUTES ?= 10
LABEL ?= today

.PHONY: demo test test-slow fuzz lint types setup docs-cli clean trips real-images experiment-soft-labels \
	experiment-dense-targets experiment-real-images experiment-when-it-pays

# What a cache is good for, told by four commands on the embedded images; everything it makes is in ./kd.
demo: setup
	$(BIN)/python -m tests.demo

# What to run while working: under ten minutes on two cores. One thread a process, because tests run in parallel.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'not slow'

# The tests that take long and rarely fail: whole trips, trainings in several processes, kills. CI runs both.
# A slow machine gets the time it needs: more than the limit of the other tests.
test-slow: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m slow --timeout 1200 -o faulthandler_timeout=1100

# Caches, runs and files from strangers, for ten minutes; `make test` does it for half a minute. See tests/fuzz.
fuzz: setup
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) --jobs $(JOBS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

# An hour and more on two cores; writes docs/results/soft-labels.*
experiment-soft-labels: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.experiments.soft_labels kd/experiments/soft-labels

# Three quarters of an hour on two cores; writes docs/results/dense-targets.*
experiment-dense-targets: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.experiments.dense_targets kd/experiments/dense-targets

# Emoji of two vendors as folders of pictures, from two packages of the npm registry; needs npm. See tests/experiments/emoji.py.
real-images: setup
	$(BIN)/python -m tests.experiments.emoji kd/real-images

# Two hours on two cores; writes docs/results/real-images.md, and a file for each run as soon as it ends.
experiment-real-images: real-images
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.experiments.real_images kd/experiments/real-images kd/real-images

# Under half an hour on two cores with nothing else to do; writes docs/results/when-it-pays.* and the figures of docs/when-it-pays.md
experiment-when-it-pays: setup
	$(BIN)/python -m tests.experiments.when_it_pays kd/experiments/when-it-pays

# How many files, scans and openings a command takes, four minutes on a machine with nothing else to do; writes the
# column LABEL of docs/results/trips.*
trips: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.trips --label '$(LABEL)'

# Write docs/cli.md again from the real --help.
docs-cli: setup
	$(BIN)/python -m tests.cli.reference

setup: .venv/.ready
	@echo 'kd is set up in .venv; to call it: . .venv/bin/activate'

# The stamp is newer than what it was made from, so a second `make` reuses .venv as it is.
.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("kd needs Python 3.11 or later: make PYTHON=python3.11")'
	@echo 'setting up .venv: downloads the packages of requirements.lock (some minutes, some GB), installs kd from this folder'
	$(PIP) --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(PIP) install --quiet --no-deps -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf .venv build dist
