PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready

.PHONY: run test lint bench field clean

run: $(READY)
	@$(VENV)/bin/python examples/digits.py

# The tests of each backend of Keras, and all others in two processes, side by side; one thread each keeps them from
# fighting over the cores. ARGS go to every pytest: make test ARGS=-x
test: $(READY)
	@$(VENV)/bin/python -m tests $(ARGS)

lint: $(READY)
	@$(VENV)/bin/ruff check --output-format=concise
	@$(VENV)/bin/ruff format --check
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(VENV)/bin/pyright

bench: $(READY)
	@$(VENV)/bin/python -m benchmarks

# docs/field.md, from the tools that it tells of; nothing else needs them.
field: $(READY)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV)/bin/pip install -qq -c constraints.txt -e '.[bench]'
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m docs.field_page

# The environment and runs/ stay: one is slow to rebuild, the other cannot be.
clean:
	@rm -rf build dist .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv --clear $(VENV)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV)/bin/pip install -qq -c constraints.txt -e '.[app,keras,dev]'
	@touch $@
