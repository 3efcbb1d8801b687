# make train makes .venv, installs lit_dl with the pinned versions and trains; the other targets likewise.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test test-fast test-slow test-oldest test-pythons test-python coverage lint bench docs package clean

# Overrides go into ARGS: make train ARGS="model=cnn optimizer=rmsprop". Without a data set in them: the digits.
train: .venv/installed
	$(BIN)/python -m lit_dl.train $(if $(filter data=% experiment=% resume=%,$(ARGS)),,data=digits) $(ARGS)

# All tests but the slow ones, on all cores.
test: .venv/installed-dev
	$(BIN)/python -m pytest -n auto $(ARGS)

# Those without a whole command, in less than a minute.
test-fast: .venv/installed-dev
	$(BIN)/python -m pytest -n auto -m "not slow and not run" $(ARGS)

test-slow: .venv/installed-slow
	$(BIN)/python -m pytest -n auto -m slow $(ARGS)

# What lit_dl uses of Lightning without its promise, with the oldest that pyproject.toml allows, in .venv-oldest.
OLDEST := 2.5.0
test-oldest:
	grep -q 'lightning>=2.5,' pyproject.toml
	$(PYTHON) -m venv .venv-oldest
	grep -vE '^(lightning|pytorch-lightning|fsspec|packaging)==' constraints.txt > .venv-oldest/constraints.txt
	.venv-oldest/bin/python -m pip install -q -c .venv-oldest/constraints.txt lightning==$(OLDEST) pytest -e .
	.venv-oldest/bin/python -m pytest tests/test_lightning_seams.py tests/test_tensorboard_seams.py tests/tasks tests/callbacks $(ARGS)

# A run, a sweep with its report, and some tests, with each of these Pythons that is here, in .venv-python3.12 and so on.
PYTHONS := python3.12 python3.13
test-pythons:
	@for python in $(PYTHONS); do \
	  if ! $$python --version 2> /dev/null; then echo "$$python is not here: not tried"; continue; fi; \
	  $(MAKE) --no-print-directory test-python PYTHON=$$python ENV=.venv-$${python##*/} || exit 1; \
	done

test-python:
	$(PYTHON) -m venv $(ENV)
	$(ENV)/bin/python -m pip install -q -c constraints.txt pytest -e .
	rm -rf $(ENV)/outputs
	$(ENV)/bin/python -m lit_dl.train data=digits trainer.max_epochs=1 hydra.run.dir=$(ENV)/outputs/run
	$(ENV)/bin/python -m lit_dl.train -m data=digits trainer.max_epochs=1 seed=1,2 hydra.sweep.dir=$(ENV)/outputs/sweep
	$(ENV)/bin/python -m lit_dl.report $(ENV)/outputs
	$(ENV)/bin/python -m pytest tests/test_lightning_seams.py tests/test_portability.py tests/test_shell.py $(ARGS)

# The same as test, and says which lines no test has run.
coverage: .venv/installed-dev
	$(BIN)/python -m pytest -n auto --cov --cov-report=term:skip-covered $(ARGS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python benchmarks/epoch.py $(ARGS)

# The documentation site, in docs/_build; a warning is an error.
docs: .venv/installed-docs
	$(BIN)/sphinx-build -q -W -b html docs docs/_build
	@echo "Open docs/_build/index.html"

# The wheel and the sdist, in dist/.
package: .venv/installed-dev
	$(BIN)/python -m build

clean:
	rm -rf .venv .venv-* build dist docs/_build *.egg-info

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing lit_dl with PyTorch into .venv, once; this takes minutes."
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing lit_dl with PyTorch and the tools for its tests into .venv, once; this takes minutes."
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	touch $@ .venv/installed

.venv/installed-slow: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing lit_dl with PyTorch and all that its slow tests use into .venv, once; this takes minutes."
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev,ray,slurm,export]"
	touch $@ .venv/installed-dev .venv/installed

.venv/installed-docs: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing lit_dl with PyTorch and what its documentation is made with into .venv, once; this takes minutes."
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[docs]"
	touch $@ .venv/installed
