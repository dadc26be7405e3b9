# Every target makes what it needs: a virtual environment beside this file, filled from the locks in requirements/.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

VENV := .venv
ENVS := .venvs
PY := $(VENV)/bin/python
CONFIG ?= gateway.toml
ARGS ?=
PIP := $(PY) -m pip --disable-pip-version-check --quiet
CLIENTS := openai-3 openai-2 anthropic-2 anthropic-1 genai-3
NODE_CLIENTS := $(if $(shell command -v npm),$(ENVS)/node-clients/.installed)
PEER_ENVS := bench-vllm-router bench-litellm bench-portkey

.PHONY: help serve test unit check format cov fuzz chaos demo provider-check bench bench-quick docs table lock clean

help:
	@echo 'make serve   run the gateway on $(CONFIG)'
	@echo 'make test    run all tests, real servers and a real model included (ARGS="-k name" narrows them)'
	@echo 'make unit    run the everyday tests: the core and the plugins, in a minute'
	@echo 'make check   lint, format, types, spelling, rules of the architecture, locks'
	@echo 'make format  mend what the linter can mend'
	@echo 'make cov     run the tests and show which lines and branches they miss'
	@echo 'make fuzz    fuzz the HTTP/1.1 front with atheris for SECONDS=60'
	@echo 'make chaos   what callers see while providers die, stall and slow down under load, for a minute'
	@echo 'make demo    a real open-weight model behind the gateway, through the openai package'
	@echo 'make provider-check  what another project finds in a real model, directly and through the gateway'
	@echo 'make bench   what a call costs, beside nginx and other gateways (PEERS=1 installs those); bench-quick: in a minute'
	@echo 'make docs    build the documentation into site/'
	@echo 'make table   write docs/translation-table.md anew, out of what the codecs do'
	@echo 'make lock    resolve requirements/*.lock anew'
	@echo 'make clean   remove the virtual environments and everything built'

serve: $(VENV)/.runtime
	$(VENV)/bin/gateway serve -c $(CONFIG)

test: $(VENV)/.dev $(ENVS)/model/.installed $(CLIENTS:%=$(ENVS)/%/.installed) $(NODE_CLIENTS)
	$(VENV)/bin/pytest -n 2 --dist loadfile $(ARGS)

unit: $(VENV)/.dev
	$(VENV)/bin/pytest -n 2 --dist loadfile --ignore=tests/core/serving tests/core tests/plugins tests/plugins_contrib $(ARGS)

check: $(VENV)/.dev
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/ruff format --quiet --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/codespell
	$(VENV)/bin/pytest -n 2 -q tests/contract

format: $(VENV)/.dev
	$(VENV)/bin/ruff check --quiet --fix .
	$(VENV)/bin/ruff format --quiet .

cov: $(VENV)/.dev $(ENVS)/model/.installed $(CLIENTS:%=$(ENVS)/%/.installed) $(NODE_CLIENTS)
	$(VENV)/bin/coverage erase
	$(VENV)/bin/pytest -n 2 --dist loadfile --cov --cov-report=term --cov-report=html $(ARGS)

# atheris has no wheel for every Python and system, so it is in no lock; the target says how to get it.
fuzz: $(VENV)/.dev
	@$(PY) -m tests.fuzz.fuzz_http1 $(SECONDS)

# It kills, stops and slows providers of its own behind a gateway of two workers, stops by itself, and draws a plot.
chaos: $(VENV)/.dev
	@$(PY) benchmarks/chaos.py $(ARGS)

demo: $(VENV)/.dev $(ENVS)/model/.installed
	@$(PY) examples/demo.py

provider-check: $(VENV)/.dev $(ENVS)/model/.installed $(ENVS)/provider-check/.installed
	@$(PY) examples/provider_check.py

# PEERS=1 installs what the gateway is compared with; one that cannot be installed is told in the table.
bench: $(VENV)/.dev
	@for env in bench-tools $(if $(PEERS),$(PEER_ENVS)); do \
	    $(MAKE) --silent --no-print-directory $(ENVS)/$$env/.installed || echo "$$env could not be installed" >&2; \
	done
	@$(PY) benchmarks/bench.py $(ARGS)

bench-quick: $(VENV)/.dev
	@$(PY) benchmarks/bench.py --quick $(ARGS)

docs: $(ENVS)/docs/.installed
	$(ENVS)/docs/bin/zensical build --clean --strict

# -- environments: a stamp is older than its lock when the lock changed ------------------------------------------------

$(PY):
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14; do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	        echo "Making $(VENV) with $$($$python --version)"; exec $$python -m venv $(VENV); \
	    fi; \
	done; \
	echo 'Python 3.11 or newer is needed; none was found. Name one: make PYTHON=/path/to/python3' >&2; exit 1

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml | $(PY)
	@echo 'Installing the gateway'
	@$(PIP) install --no-deps --require-hashes -r requirements/runtime.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.runtime
	@echo 'Installing what the tests need'
	@$(PIP) install --no-deps --require-hashes -r requirements/dev.lock
	@touch $@

# Environments of their own, for what must not meet our dependencies: a model, a vendor's package at one major version.
$(ENVS)/%/.installed: requirements/%.lock | $(PY)
	@echo 'Installing $(ENVS)/$*'
	@$(PY) -m venv --without-pip $(ENVS)/$*
	@$(PIP) --python $(ENVS)/$*/bin/python install --no-deps --require-hashes -r $<
	@touch $@

$(ENVS)/%/.installed: requirements/clients/%.lock | $(PY)
	@echo 'Installing $(ENVS)/$*'
	@$(PY) -m venv --without-pip $(ENVS)/$*
	@$(PIP) --python $(ENVS)/$*/bin/python install --no-deps --require-hashes -r $<
	@touch $@

$(ENVS)/bench-%/.installed: requirements/bench/%.lock | $(PY)
	@echo 'Installing $(ENVS)/bench-$*'
	@$(PY) -m venv --without-pip $(ENVS)/bench-$*
	@$(PIP) --python $(ENVS)/bench-$*/bin/python install --no-deps --require-hashes -r $<
	@touch $@

# Node's packages are tested where there is a Node; without one the tests skip, saying so.
$(ENVS)/node-clients/.installed: requirements/clients/node/package-lock.json
	@echo 'Installing $(ENVS)/node-clients'
	@mkdir -p $(@D)
	@cp requirements/clients/node/*.json $(@D)
	@npm ci --silent --ignore-scripts --no-audit --no-fund --prefix $(@D)
	@touch $@

# npm runs no package's scripts here; the one that there is mends what it does not ship.
$(ENVS)/bench-portkey/.installed: requirements/bench/portkey/package-lock.json
	@echo 'Installing $(ENVS)/bench-portkey'
	@mkdir -p $(@D)
	@cp requirements/bench/portkey/*.json $(@D)
	@npm ci --silent --ignore-scripts --no-audit --no-fund --prefix $(@D)
	@touch $@

# -- locks: with hashes, with no address ------------------------------------------------------------------------------

COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	--system-certs --no-emit-index-url --no-header --no-annotate --constraint requirements/floors.txt

table: $(VENV)/.dev
	$(PY) -m tests.golden.page

lock: $(VENV)/.dev
	$(COMPILE) pyproject.toml requirements/build.in -o requirements/runtime.lock
	$(COMPILE) pyproject.toml requirements/build.in --group dev --constraint requirements/runtime.lock -o requirements/dev.lock
	$(COMPILE) --group docs -o requirements/docs.lock
	$(COMPILE) --no-deps requirements/model.in -o requirements/model.lock
	for name in $(CLIENTS:%=clients/%) clients/provider-check bench/tools bench/vllm-router bench/litellm; do \
	    $(COMPILE) requirements/$$name.in -o requirements/$$name.lock || exit 1; \
	done

clean:
	rm -rf $(VENV) $(ENVS) build dist site htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find core plugins plugins_contrib tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
