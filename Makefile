# Two commands are enough: `make demo` and `make test`. Each sets up what it needs in .venv first, once.
# make demo [INPUT=file.trc] [OUT=folder] [ARGS="--static static.trc --mass 75"]
# make PYTHON=/path/to/python3.12 …   chooses the Python

VENV := .venv
BIN := $(VENV)/bin
OUT ?= out/demo
ARGS ?=
# Errors only: what pip warns of is about the machine it runs on.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q -q
DEFINITION := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-dev demo lint test test-all bench format clean

help:
	@echo 'make demo      set up, analyze the built-in recording (or INPUT=file), say where the report is'
	@echo 'make test      set up, check style and types, run the tests'
	@echo 'make test-all  the same and the slow tests'
	@echo 'make bench     measure accuracy and speed against OpenSim'
	@echo 'make format    lay the code out as the style check wants it'
	@echo 'make clean     remove everything that make has made'

# The stamps say which set of packages .venv holds; a change of the definition sets it up anew.
$(VENV)/core.stamp: $(DEFINITION) tools/make_venv.sh
	@echo 'Setting up $(VENV) (once; most of it is downloading torch) …'
	@PYTHON='$(PYTHON)' sh tools/make_venv.sh $(VENV)
	@# The build tool comes from constraints.txt as well: a build of its own would take whatever is newest.
	@$(PIP) install --constraint constraints.txt hatchling editables
	@$(PIP) install --constraint constraints.txt --no-build-isolation --editable .
	@# Keypoints from video: mediapipe without jax, which its pose model does not need, and an OpenCV without windows.
	@$(PIP) install --constraint constraints.txt absl-py attrs flatbuffers matplotlib protobuf
	@$(PIP) install --constraint constraints.txt --no-deps mediapipe opencv-contrib-python-headless
	@touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp
	@echo 'Adding what the tests need (once) …'
	@$(PIP) install --constraint constraints.txt --no-build-isolation --no-warn-conflicts --editable '.[dev]'
	@touch $@

setup: $(VENV)/core.stamp
setup-dev: $(VENV)/dev.stamp

demo: setup
	@$(BIN)/motorque $(if $(INPUT),analyze '$(INPUT)',demo) --out '$(OUT)' $(ARGS)

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest

test-all: lint
	$(BIN)/pytest -m ''

bench: setup-dev
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

format: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) out dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
