# Every target sets up what it needs from a bare clone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
FUZZ_SECONDS ?= 600
CRASHES ?= 300
SEEDS ?= 200000
JOBS ?= 2
FOREIGN := .foreign

.PHONY: demo test lint types layers unit foreign simulate exhaustive crash power bench bench-tokens bench-line bench-readout bench-fleet bench-route bench-web fuzz diagrams screenshots catalogues format clean

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[all]" --group dev
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/vtc07 demo

test: lint types layers unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

layers: $(STAMP)
	$(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/pytest -n auto -q

# Other people's software that the tests run against the meter (docs/peers.md).
foreign: $(FOREIGN)/.ready

$(FOREIGN)/.ready: tests/foreign/package.json tests/foreign/package-lock.json
	mkdir -p $(FOREIGN)
	cp tests/foreign/package.json tests/foreign/package-lock.json $(FOREIGN)
	npm ci --prefix $(FOREIGN) --ignore-scripts --no-audit --no-fund
	touch $@

# SEEDS deliveries in which everything goes wrong.
simulate: $(STAMP)
	$(BIN)/vtc07 simulate --seeds $(SEEDS) --jobs $(JOBS)

# Every cut, every loss of power, and every pair of two cuts.
exhaustive: $(STAMP)
	$(BIN)/vtc07 simulate --exhaustive --pairs --jobs $(JOBS)

# A served meter is killed CRASHES times while tokens come; a unit at every statement of its journal.
crash: $(STAMP)
	$(BIN)/python tests/durability/crash_proof.py $(CRASHES)
	$(BIN)/python tests/durability/killed_unit_proof.py

# Power is cut at every write of a store's commits, and of a journal's entries, in every way.
power: $(STAMP)
	$(BIN)/python tests/durability/power_proof.py
	$(BIN)/python tests/durability/journal_power_proof.py

bench: bench-tokens bench-line bench-readout bench-fleet bench-route bench-web

bench-tokens: $(STAMP)
	$(BIN)/python benchmarks/tokens.py

# Sessions on slow lines beside the least time for their tasks.
bench-line: $(STAMP)
	$(BIN)/python benchmarks/line_efficiency.py

# A readout beside the same one by another client.
bench-readout: $(STAMP)
	$(BIN)/python benchmarks/readout.py

# Up to 2,000 meters in one process on one core.
bench-fleet: $(STAMP)
	$(BIN)/python benchmarks/fleet.py --store memory --store sqlite

# Routes of up to 100,000 stops: time to open, memory.
bench-route: $(STAMP)
	$(BIN)/python benchmarks/route.py

# The web application: from its start to the first page, and to the first register.
bench-web: $(STAMP)
	$(BIN)/python benchmarks/web_start.py

fuzz: $(STAMP)
	$(BIN)/python fuzz/fuzz_run.py --seconds $(FUZZ_SECONDS)

fuzz-%: $(STAMP)
	$(BIN)/python fuzz/fuzz_run.py $* --seconds $(FUZZ_SECONDS)

diagrams: $(STAMP)
	$(BIN)/python docs/diagrams/state_diagrams.py

# Pictures of the web application; Chromium is needed.
screenshots: $(STAMP)
	PYTHONPATH=tests:tests/cli:tests/web $(BIN)/python docs/screenshots/make_screenshots.py

# Gathers what the program says for people, and compiles the catalogues of every language.
catalogues: $(STAMP)
	$(BIN)/python catalogues/gather.py

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis .fuzz $(FOREIGN)
