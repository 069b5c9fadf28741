# Two commands do all the set-up and then their work: `make demo` and `make test`.
PYTHON ?= python3
# How many processes test: the tests use threads of their own, and some look at the clock.
JOBS ?= 2
VENV ?= .venv
BIN := $(VENV)/bin
# The Pythons of JetPack 5, 6 and 7, and the newest, where the machine has them: for the agent.
AGENT_PYTHONS ?= $(shell $(PYTHON) tests/agent/find_pythons.py)
empty :=
space := $(empty) $(empty)
AGENT_ENVS := $(foreach python,$(AGENT_PYTHONS),$(VENV)/agent-$(notdir $(python)))

PYTEST = EDGEQ_AGENT_PYTHONS="$(subst $(space),:,$(AGENT_ENVS:%=$(CURDIR)/%/bin/python))" \
    $(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder

.PHONY: demo test test-all nightly fuzz check docs schemas bench format clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed
	$(BIN)/edgeq demo demo
	$(BIN)/edgeq deploy demo/recipe.yaml --target local --html demo/report.html

# Large matrices and drawn examples are a sample here, and whole in test-all.
test: $(VENV)/installed-dev check agent-envs
	$(PYTEST)

test-all: $(VENV)/installed-dev check agent-envs
	EDGEQ_TESTS=all $(PYTEST)

nightly: test-all

# Each reader of what is foreign, fed what is almost right, for $EDGEQ_FUZZ_S seconds (an hour).
fuzz: $(VENV)/installed-dev
	$(BIN)/python -m tests.fuzz

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# The documentation as a site in build/site; a link to nothing is an error.
docs: $(VENV)/installed-dev schemas
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo build/site/index.html

# The files that editors read, as they are in every release.
schemas: $(VENV)/installed-dev
	$(BIN)/edgeq recipe schema > docs/schemas/recipe.schema.json
	$(BIN)/edgeq targets schema > docs/schemas/target.schema.json

bench: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo build dist

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("edgeq needs Python 3.11 or later, this is " + sys.version.split()[0] + "; say: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[fast,report]'
	touch $@

$(VENV)/installed-dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[fast,postgresql,dev]'
	touch $@ $(VENV)/installed

.PHONY: agent-envs
agent-envs: $(foreach env,$(AGENT_ENVS),$(env)/installed)

$(VENV)/agent-%/installed: tests/agent/requirements.txt | $(VENV)/bin/python
	$(filter %/$*,$(AGENT_PYTHONS)) -m venv $(VENV)/agent-$*
	$(VENV)/agent-$*/bin/python -m pip install --quiet --requirement tests/agent/requirements.txt
	touch $@
