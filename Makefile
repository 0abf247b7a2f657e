# `make demo` and `make test` do all the set-up on a fresh machine: they need Python 3.11 and a package registry.

PYTHON ?= python3.11
VENV ?= .venv
DEMO ?= runs/demo
BIN := $(VENV)/bin
# Where this is set, each of the tests' hundreds of processes would compile TensorFlow's Python files anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-slow test-jax lint install test-tools clean

demo: install
	$(BIN)/python -m mia_tf.train --flagfile=flags/demo.flags --logdir=$(DEMO)
	$(BIN)/python -m mia_tf.analyze --logdir=$(DEMO)
	$(BIN)/python -m mia_tf.plot --logdir=$(DEMO)
	$(BIN)/python -m mia_tf.report --logdir=$(DEMO)

# The engines are tested in processes of their own: after thousands of other tests TensorFlow once crashed in them.
test: test-tools lint
	$(BIN)/python -m pytest -n 2 -m "not slow" --ignore=tests/training
	$(BIN)/python -m pytest -n 2 -m "not slow" tests/training
	KERAS_BACKEND=jax $(BIN)/python -m pytest -n 2 -m "not slow" tests/training

# Checks that take minutes, or that need real data in $$MIA_TF_DATA.
test-slow: test-tools
	$(BIN)/python -m pytest -m slow
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m slow tests/training

# Python 3.12 has no TensorFlow here: the models are trained on JAX. Tests that need TensorFlow are skipped.
JAX_PYTHON ?= python3.12
test-jax:
	$(MAKE) PYTHON=$(JAX_PYTHON) VENV=$(VENV)-jax test-tools
	KERAS_BACKEND=jax $(VENV)-jax/bin/python -m pytest -n 2 -m "not slow"

lint: test-tools
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

install: $(VENV)/installed

test-tools: $(VENV)/tested

# What pip says is shown only if it fails.
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check

# For the demo pip need not compile all files, most of which are never imported: that is half a minute. The tests start
# hundreds of processes, and import from files that are compiled.
$(VENV)/installed: pyproject.toml
	@echo "Installing mia_tf and TensorFlow into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) --no-compile -e . > $(VENV)/pip.log 2>&1 || { cat $(VENV)/pip.log; exit 1; }
	@touch $@

$(VENV)/tested: pyproject.toml
	@echo "Installing mia_tf, TensorFlow and the tools of the tests into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) -e ".[test]" > $(VENV)/pip.log 2>&1 || { cat $(VENV)/pip.log; exit 1; }
	@touch $(VENV)/installed $@

clean:
	rm -rf $(VENV) $(VENV)-jax runs/demo docs/_build

# The manual: docs/_build/index.html. A warning is an error; `make test` builds it too.
.PHONY: docs
docs: $(VENV)/documented
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build

$(VENV)/documented: pyproject.toml
	@echo "Installing mia_tf, TensorFlow and Sphinx into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) --quiet -e ".[docs]"
	@touch $@
