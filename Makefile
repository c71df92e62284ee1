# `make lab` on a fresh clone is all there is to do. Everything goes into .venv; nothing is installed or registered
# outside it. `make help` lists the rest.

# --- what can be set on the command line --------------------------------------------------------------------------
# the Python that .venv is made from
PYTHON ?= python3
# where the environment is; its path must not hold spaces (that of the clone may)
VENV ?= .venv
# passed to `python -m venv`: --system-site-packages lends .venv the torch of the Python it is made from
VENV_ARGS ?=
# passed to pip: the package index of another torch build, say
PIP_ARGS ?=
# the extras of pyproject.toml to install
EXTRAS ?= dev,test
PORT ?= 8888
DEMO_PORT ?= 8866
# passed to JupyterLab: --no-browser, say
LAB_ARGS ?=
# passed to Voila: --no-browser, say
DEMO_ARGS ?=
# passed to pytest: -k flow, say
PYTEST_ARGS ?=
# passed to dicmor bench: --quick, say
BENCH_ARGS ?=
# test processes; "logical" is one for each core
WORKERS ?= logical
# The models of the course are small: more threads than this wait for each other instead of helping.
OMP_NUM_THREADS ?= 1

# --- what follows from them ---------------------------------------------------------------------------------------
PY := $(VENV)/bin/python
PIP := "$(PY)" -m pip --disable-pip-version-check
STAMP := $(VENV)/installed
# Each bound stands in one place: pyproject.toml says what is needed, constraints.txt what was tried.
PYTHON_MIN := $(shell sed -n 's/^requires-python = ">=\([0-9.]*\)".*/\1/p' pyproject.toml)
TORCH_MIN := $(shell sed -n 's/^ *"torch>=\([0-9.]*\)".*/\1/p' pyproject.toml)
FIRST_CHAPTER := $(firstword $(sort $(wildcard notebooks/*.ipynb)))
# JupyterLab refuses to serve as root unless told so; in a container there is often no other user.
ALLOW_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
# No pop-up about news on the first start, and every cell drawn at once so that "run all" never loses one.
LAB_SETTINGS := {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}, \
  "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}

export OMP_NUM_THREADS
export MKL_NUM_THREADS := $(OMP_NUM_THREADS)
# A kernel of the same name elsewhere must not take the place of .venv's own, nor pip install outside .venv.
export JUPYTER_PREFER_ENV_PATH := 1
export PIP_USER := 0
unexport JUPYTER_PATH

.DEFAULT_GOAL := help
.PHONY: help lab demo install test test-long bench check figures site weights clean

help: ## list what can be done
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "Settings (make lab PORT=9000 LAB_ARGS=--no-browser):"
	@echo "  PYTHON=$(PYTHON)  VENV=$(VENV)  PORT=$(PORT)  WORKERS=$(WORKERS)  OMP_NUM_THREADS=$(OMP_NUM_THREADS)"
	@echo "  LAB_ARGS, PYTEST_ARGS, PIP_ARGS and VENV_ARGS are passed on to JupyterLab, pytest, pip and venv"
	@echo "  the small CPU build of torch: make lab PIP_ARGS='--extra-index-url https://download.pytorch.org/whl/cpu'"

lab: $(STAMP) ## open the course in JupyterLab (the first time: install it into .venv)
	@exec "$(PY)" -m jupyterlab --ip=127.0.0.1 --port=$(PORT) $(ALLOW_ROOT) --ServerApp.root_dir=. \
	  --LabApp.default_url=/lab$(if $(FIRST_CHAPTER),/tree/$(FIRST_CHAPTER)) $(LAB_ARGS)

demo: $(STAMP) ## open the modality switchboard as a page of its own
	@exec "$(PY)" -m voila --Voila.ip=127.0.0.1 --port=$(DEMO_PORT) --token $(DEMO_ARGS) dicmor_lib/widgets/page.ipynb

install: $(STAMP) ## install or update .venv without opening anything

test: $(STAMP) ## run the tests, notebooks included
	@exec "$(PY)" -m pytest -n $(WORKERS) --maxprocesses=4 --dist=worksteal $(PYTEST_ARGS)

test-long: $(STAMP) ## run the long versions of the tests (about forty minutes on 2 cores)
	@exec "$(PY)" -m pytest -n $(WORKERS) --maxprocesses=4 --dist=worksteal -m slow $(PYTEST_ARGS)

bench: $(STAMP) ## measure speed, and write it into README.md (about nine minutes; the machine must be idle)
	@"$(PY)" -m dicmor_lib bench --json dicmor_lib/bench/measured.json --into README.md $(BENCH_ARGS)
	@"$(PY)" -m dicmor_lib.bench.toggle

check: $(STAMP) ## lint, formatting, types, notebooks and spelling (pre-commit runs the same)
	@"$(PY)" -m ruff check .
	@"$(PY)" -m ruff format --check .
	@"$(PY)" -m mypy
	@"$(PY)" -m pytest -q -p no:cacheprovider -k TestCommittedChapter tests/notebooks/test_notebooks.py
	@"$(PY)" -m codespell_lib README.md CONTRIBUTING.md CITATION.cff dicmor_lib notebooks/solutions tests

figures: $(STAMP) ## regenerate what the README shows
	@exec "$(PY)" -m dicmor_lib.plots.readme figures

site: $(STAMP) ## build the website of the course and the reference into build/site (two minutes)
	@exec "$(PY)" -m dicmor_lib.site build/site

weights: $(STAMP) ## train the small model of the course again (about five minutes)
	@exec "$(PY)" -m dicmor_lib.course.ship

clean: ## remove caches and build outputs (.venv and runs/ stay)
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .benchmarks
	find dicmor_lib tests notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

# A clone that was moved, or other extras: the old environment would import the library from where the clone was.
ifneq ($(shell cat "$(STAMP)" 2>/dev/null),$(shell pwd -P) $(EXTRAS))
.PHONY: $(STAMP)
endif

# torch goes first, and only if no suitable one is there; then it is held as it is, local tag (+cpu) included. An open
# range would fetch the newest build, or weigh it up, which on Linux means gigabytes of CUDA packages, wanted or not.
$(STAMP): pyproject.toml constraints.txt
	@"$(PYTHON)" -c '' 2>/dev/null || { echo "'$(PYTHON)' does not run:" \
	  "install Python $(PYTHON_MIN) or newer, or name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < tuple(map(int, "$(PYTHON_MIN)".split("."))))' || { \
	  echo "'$(PYTHON)' is $$("$(PYTHON)" -V 2>&1), which is too old:" \
	  "install Python $(PYTHON_MIN) or newer, or name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PY)" -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments:" \
	  "install its venv module (Debian and Ubuntu: apt install python3-venv) and run make again" >&2; exit 1; }
	@"$(PY)" -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv $(VENV_ARGS) "$(VENV)"
	@echo "Installing into $(VENV): one to three minutes, 2 GB on disk ..."
	@"$(PY)" -c 'import re, sys; from importlib.metadata import version; number = lambda v: \
	  [int(n) for n in re.findall(r"\d+", v)[:2]]; sys.exit(number(version("torch")) < number("$(TORCH_MIN)"))' \
	  2>/dev/null || $(PIP) install $(PIP_ARGS) -c constraints.txt torch
	@torch=$$("$(PY)" -c 'from importlib.metadata import version; print(version("torch"))') && \
	  sed "s/^torch==.*/torch==$$torch/" constraints.txt > "$(VENV)/constraints.txt"
	@$(PIP) install --quiet $(PIP_ARGS) -c "$(VENV)/constraints.txt" -e '.[$(EXTRAS)]'
	@mkdir -p "$(VENV)/share/jupyter/lab/settings"
	@printf '%s\n' '$(LAB_SETTINGS)' > "$(VENV)/share/jupyter/lab/settings/overrides.json"
	@printf '%s\n' "$$(pwd -P) $(EXTRAS)" > "$(STAMP)"
