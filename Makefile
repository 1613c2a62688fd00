# Everything runs in .venv, made on first use; only Python, make and pip are needed.

PYTHON ?= python3
BIN := .venv/bin
export SKINEST_DATA ?= $(if $(wildcard ../shared/data),$(abspath ../shared/data))
# An empty value means that there is no such folder.
ifeq ($(strip $(SKINEST_DATA)),)
unexport SKINEST_DATA
endif

SCHEMA := $(BIN)/check-jsonschema --quiet --builtin-schema vendor

.DEFAULT_GOAL := help
.PHONY: help demo test test-min test-slow coverage lint format bench docs docs-fast dist clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/.demo  ## install, then search words and kernels for benign or malignant
	$(BIN)/python examples/plot_task1_bovw.py

test: .venv/.test lint  ## install what tests need, then lint and run the whole suite
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-min: .venv-min/.test  ## run the suite with the oldest versions that are allowed
	.venv-min/bin/python -m pytest --numprocesses 2 --dist loadfile

test-slow: .venv/.test  ## run the checks that take minutes
	$(BIN)/python -m pytest -m slow

coverage: .venv/.test  ## run the suite and list the lines that it never reaches
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile \
		--cov=skinest --cov-report=term-missing:skip-covered --cov-fail-under=95

lint: .venv/.test  ## check style, spelling, plain English, types and the files of .github
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/python .ci/prose.py
	$(BIN)/mypy
	$(BIN)/zizmor --offline --quiet .github
	$(SCHEMA).github-workflows .github/workflows/*.yml
	$(SCHEMA).github-issue-forms .github/ISSUE_TEMPLATE/*_re*.yml
	$(SCHEMA).dependabot .github/dependabot.yml

format: .venv/.test  ## put the code into the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Runs of several machines are never mixed, so yours are not among the committed ones.
bench: .venv/.test  ## time skinest beside what a user would write today
	$(BIN)/python benchmarks/bench_bovw.py --results build/bench
	$(BIN)/python benchmarks/bench_vgg.py --results build/bench
	$(BIN)/python benchmarks/bench_backbones.py --results build/bench
	$(BIN)/python benchmarks/bench_unet.py --results build/bench
	$(BIN)/python benchmarks/bench_views.py --results build/bench
	$(BIN)/python benchmarks/bench_reading.py --results build/bench
	$(BIN)/python benchmarks/make_tables.py --results build/bench

docs: .venv/.docs  ## build the site and its gallery into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going docs docs/_build/html

docs-fast: .venv/.docs  ## the same without running the examples
	$(BIN)/python -m sphinx -W --keep-going -D plot_gallery=0 docs docs/_build/html

dist: .venv/.test  ## build the wheel and the sdist into dist/, and check them
	rm -rf dist
	$(BIN)/python -m hatchling build
	$(BIN)/python -m twine check --strict dist/*

clean:  ## remove the environment and all that was built
	rm -rf .venv .venv-min build dist figures .mypy_cache .pytest_cache .ruff_cache
	rm -rf docs/_build docs/api docs/auto_examples
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian's Python may lack ensurepip, so the pip that is there installs into .venv.
.venv/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "skinest needs Python 3.11 or newer"'
	$(PYTHON) -m venv --without-pip .venv

.venv/.demo: pyproject.toml | .venv/bin/python
	$(PYTHON) -m pip --python $(BIN)/python install --editable '.[examples]'
	touch $@

.venv/.test: pyproject.toml | .venv/bin/python
	$(PYTHON) -m pip --python $(BIN)/python install --editable '.[test]'
	touch $@ .venv/.demo

.venv-min/.test: pyproject.toml tools/minimum_requirements.py
	$(PYTHON) -m venv --clear --without-pip .venv-min
	$(PYTHON) tools/minimum_requirements.py > .venv-min/constraints.txt
	$(PYTHON) -m pip --python .venv-min/bin/python install \
		--constraint .venv-min/constraints.txt --editable '.[test]'
	touch $@

.venv/.docs: pyproject.toml | .venv/bin/python
	$(PYTHON) -m pip --python $(BIN)/python install --editable '.[docs]'
	touch $@ .venv/.demo
