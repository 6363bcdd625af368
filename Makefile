# Needs Python 3.11 or newer and make, nothing else. Another Python: make test PYTHON=python3.12
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help install demo example test lint docs wheel faults long cluster-test slurm-test mlflow-test wandb-test fresh-test bench
help:
	@echo "make demo   install into $(VENV) if need be, then run a small search on simulated walkers"
	@echo "make example the same, and its page as reports/example.html"
	@echo "make test   install if need be, then check style, types, imports and behaviour"
	@echo "make lint   the same without the behaviour"
	@echo "make docs   build the documentation as a site that opens offline, in site"
	@echo "make wheel  build the wheel, install it into an environment of its own and run a search from it"
	@echo "make long   whole searches for many minutes: shortcuts through the site are caught"
	@echo "make faults kill, fill and tear for many minutes, and see that nothing is lost"
	@echo "make bench  measure everything for an hour or more, and write benchmarks/RESULTS.md"
	@echo "make cluster-test  cluster.yaml on simulated hosts, which are lost in mid-search; as root"
	@echo "make mlflow-test   --mlflow against a real MLflow server, in an environment of its own"
	@echo "make wandb-test    --wandb offline with the client of Weights & Biases, in an environment of its own"
	@echo "make slurm-test    slurm/search.sbatch on a real SLURM with two simulated nodes; as root"
	@echo "make fresh-test    installation and a search on a Debian with Python and make alone; as root"

install: $(INSTALLED)

# The stamp is made last, so that an interrupted installation starts again.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "stridefold needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) --version 2>&1); try make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) cannot make a virtual environment; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "installing into $(VENV): about 180 packages, a few minutes the first time"
	@$(PIP) --upgrade 'pip>=25.1'  # Python 3.11 comes with one that knows no dependency groups
	@$(PIP) --editable . --group dev
	@touch $@

demo: $(INSTALLED)
	$(BIN)/python -m platform.search

example: $(INSTALLED)
	$(BIN)/python -m platform.search --study example
	cp studies/example/report.html reports/example.html

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict  # with --quiet it would pass over warnings

wheel: $(INSTALLED)
	$(BIN)/python -m pytest -m slow tests/test_wheel.py

test: lint docs
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations 15 $(TESTS)

faults: $(INSTALLED)
	$(BIN)/python -m pytest -m faults

long: $(INSTALLED)
	$(BIN)/python -m pytest -m long

cluster-test: $(INSTALLED)
	$(BIN)/python -m tests.cluster

slurm-test: $(INSTALLED)
	$(BIN)/python -m tests.slurm

# Needs debootstrap; a few minutes and 3 GB for each of the two.
fresh-test:
	sh tests/fresh/run.sh readme
	sh tests/fresh/run.sh image

# The whole of MLflow, whose server the tests then start, in an environment of its own.
mlflow-test: $(INSTALLED)
	test -x .venv-mlflow/bin/mlflow || { $(PYTHON) -m venv .venv-mlflow && .venv-mlflow/bin/python -m pip install --quiet 'mlflow==3.17.2'; }
	STRIDEFOLD_MLFLOW_SERVER=$(CURDIR)/.venv-mlflow/bin/mlflow $(BIN)/python -m pytest tests/platform/test_mlflow_runs.py

# The client in a folder of its own, which the tests' Python also looks into.
wandb-test: $(INSTALLED)
	test -d .venv-wandb/wandb || $(PIP) --no-deps --target .venv-wandb wandb xxhash
	PYTHONPATH=.venv-wandb $(BIN)/python -m pytest tests/platform/test_wandb_runs.py

bench: $(INSTALLED)
	$(BIN)/python benchmarks/table.py
