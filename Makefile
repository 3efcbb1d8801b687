# make train makes .venv, installs lit_dl with the pinned versions and trains; the other targets likewise.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test test-slow lint bench package clean

# Overrides go into ARGS: make train ARGS="model=cnn optimizer=rmsprop". Without a data set in them: the digits.
train: .venv/installed
	$(BIN)/python -m lit_dl.train $(if $(filter data=% experiment=% resume=%,$(ARGS)),,data=digits) $(ARGS)

test: .venv/installed-dev
	$(BIN)/python -m pytest $(ARGS)

test-slow: .venv/installed-slow
	$(BIN)/python -m pytest -m slow $(ARGS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python benchmarks/epoch.py $(ARGS)

# The wheel and the sdist, in dist/.
package: .venv/installed-dev
	$(BIN)/python -m build

clean:
	rm -rf .venv build dist *.egg-info

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
