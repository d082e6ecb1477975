# These targets install everything that a fresh Debian 13 machine needs besides git, make and python3, and say what they do.
# Run as root: the laboratory of two Asterisks needs it.
.PHONY: help demo test setup lint unit integration scenarios soak containers mutations audit audit-where-possible bench bench-gate bench-suppressions bench-retention bench-erasure bench-taking-up bench-recordings bench-fleet bench-crowd bench-endurance sounds reference lock wheel clean
.DEFAULT_GOAL := help

# Tests start hundreds of processes: if the environment tells Python not to cache byte code, each compiles everything again.
export PYTHONDONTWRITEBYTECODE :=

# Debian's own, also where another comes first in PATH: a 3.11 that was built without optimisation took 40 % more time for the same tests.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
VENV ?= .venv
AUDIT := .venv-audit
BUILDING := .venv-build
BIN := $(VENV)/bin
PACKAGES := python3-venv mmdebstrap flac espeak-ng ffmpeg util-linux age curl openssl chromium chromium-headless-shell fonts-dejavu-core
# Four laboratories at once: their calls take real time, and little of the processor. They take the files in the order of their names, so
# that the longest file does not run last.
SIDE_BY_SIDE := -n 4 --dist loadfile --no-loadscope-reorder
# One worker runs all tests of a file, because they share fixtures: walking through all of a call's states takes a minute. Half of
# the time the tests wait for processes and time-outs: with four workers, both cores are nearly full also once the laboratory is done.
WORKERS := -n 4 --dist loadfile
ENGINE := podman buildah docker-compose crun nft ip
ENGINE_PACKAGES := podman buildah docker-compose crun netavark aardvark-dns nftables iproute2
UNIT := tests/unit tests/hostile tests/browser
LABORATORY := tests/integration tests/lab tests/scenarios tests/faults
COMMANDS := mmdebstrap flac espeak-ng ffmpeg unshare nsenter age curl openssl chromium chromium-headless-shell

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup ## Place real calls between two Asterisks and show them; KEEP=1 leaves all of it running
	@folder=$$(mktemp -d /tmp/ccari-demo-XXXXXX) && chmod 711 $$folder && trap 'rm -rf $$folder' EXIT INT TERM && \
	  CCARI_DATA_DIR=$$folder $(BIN)/python -m tests.lab run --folder $$folder -- $(BIN)/ccari demo $(if $(KEEP),--keep)

# The laboratory's calls take real time and little of the processor. So the other tests run beside them, at a lower priority, and
# from the beginning, because linting uses one core; the audit runs beside both. A known vulnerability fails the tests. Without a
# network they pass, and say at the end that nothing was audited: that is not a fault of the code, but an audit that is skipped
# silently is worse than none. In a fresh clone, each worker would compile all tests: one process does it before, while mypy has the other core.
test: setup ## Lint, type-check and run every test; audit the packages, where PyPI can be asked
	@log=$$(mktemp); audited=$$(mktemp); { $(BIN)/python -m pytest --collect-only -q $(LABORATORY) $(UNIT) >/dev/null 2>&1; \
	    exec nice -n 3 $(BIN)/python -m pytest $(WORKERS) $(UNIT); } >$$log 2>&1 & unit=$$!; \
	  nice $(MAKE) --no-print-directory audit-where-possible >$$audited 2>&1 & audit=$$!; \
	  trap 'kill $$unit $$audit' INT TERM; \
	  $(MAKE) --no-print-directory lint || { kill $$unit $$audit 2>/dev/null; wait; rm -f $$log $$audited; exit 1; }; \
	  $(BIN)/python -m pytest $(SIDE_BY_SIDE) $(LABORATORY); code=$$?; \
	  wait $$unit || code=1; cat $$log; wait $$audit || code=1; cat $$audited; rm -f $$log $$audited; exit $$code

lint: setup ## Ruff, mypy, import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

unit: setup ## The tests that need no Asterisk
	$(BIN)/python -m pytest $(UNIT)

integration: setup ## The tests on the laboratory
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(LABORATORY)

scenarios: setup ## Play every scenario of a call, and say of each what happens in it
	$(BIN)/python -m tests.scenarios
	$(BIN)/python -m pytest tests/scenarios

soak: setup ## Random calls and random faults on the laboratory, and a check of every invariant; MINUTES=n SEED=n
	@[ -e /usr/lib/*/faketime/libfaketimeMT.so.1 ] || { echo "Installing from Debian: libfaketime, to step the clock"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libfaketime >/dev/null; }
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED))

containers: setup ## Build the images, call through compose.yaml with Debian's podman, boot the unit under systemd
	@missing=; for each in $(ENGINE); do command -v $$each >/dev/null || PATH=$$PATH:/usr/sbin command -v $$each >/dev/null || missing=1; done; \
	  if [ -n "$$missing" ]; then \
	    echo "Installing from Debian: $(ENGINE_PACKAGES)"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(ENGINE_PACKAGES) >/dev/null; \
	  fi
	$(BIN)/python -m pytest tests/containers

mutations: setup ## Break each invariant in a copy of the code, and see that a test fails
	$(BIN)/python -m tests.mutations

setup: $(VENV)/.installed ## Install Debian's packages, the Python packages and the server's user, where missing

$(VENV)/.installed: pyproject.toml requirements-dev.lock
	@if [ "$$(id -u)" != 0 ]; then echo "ccari: make needs root here: the laboratory mounts, and PostgreSQL gets a user" >&2; exit 1; fi
	@missing=; for each in $(COMMANDS); do command -v $$each >/dev/null || missing=1; done; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing=1; \
	  if [ -n "$$missing" ]; then \
	    echo "Installing from Debian, which takes a few minutes: $(PACKAGES)"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null; \
	  fi
	@getent passwd ccari >/dev/null || { echo "Making the system user ccari, as which PostgreSQL runs"; useradd --system ccari; }
	@echo "Installing the locked Python packages into $(VENV), which takes a few minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# apt fetches the dialplan's ODBC driver, npm fetches ari-client; a way that is not available is reported and left out.
bench: setup ## Make the same call by dialplan, by hand, ari-client, asyncari and ccari, and compare; CALLS=n RUNS=n RATE=n WAYS="…"
	$(BIN)/python -m tests.bench.calls $(if $(CALLS),--calls $(CALLS)) $(if $(RUNS),--runs $(RUNS)) $(if $(RATE),--rate $(RATE)) $(if $(WAYS),--ways $(WAYS))

bench-gate: setup ## Ask the gate beside fifty million bars, and scrub a million contacts; ROWS=n CONTACTS=n
	$(BIN)/python -m tests.bench.gate $(if $(ROWS),--rows $(ROWS)) $(if $(CONTACTS),--contacts $(CONTACTS))

bench-suppressions: setup ## Import two million numbers, and see what the gate feels of it; ROWS=n for another count
	$(BIN)/python -m tests.bench.suppressions $(if $(ROWS),--rows $(ROWS))

bench-retention: setup ## Delete what is due of a hundred thousand recordings and three million contacts and consents, and see that each hold is kept; ROWS=n CONTACTS=n CONSENTS=n
	$(BIN)/python -m tests.bench.retention $(if $(ROWS),--rows $(ROWS)) $(if $(CONTACTS),--contacts $(CONTACTS)) $(if $(CONSENTS),--consents $(CONSENTS))

bench-erasure: setup ## Erase ten thousand people, and see that each hold is kept; ROWS=n for another count
	$(BIN)/python -m tests.bench.erasure $(if $(ROWS),--people $(ROWS))

bench-taking-up: setup ## Kill a service with fifty talks, and see how soon the next one runs them; TALKS=n
	$(BIN)/python -m pytest -q -s tests/bench/taking_up.py

bench-recordings: setup ## Bring two hundred recordings to their place in each format, and see what the calls' loop feels of it
	$(BIN)/python -m tests.bench.recordings

bench-fleet: setup ## Call by one pair of Asterisk and ccari, and by two on one PostgreSQL, and compare; CALLS=n RUNS=n RATE=n
	$(BIN)/python -m tests.bench.fleet $(if $(CALLS),--calls $(CALLS)) $(if $(RUNS),--runs $(RUNS)) $(if $(RATE),--rate $(RATE))

bench-crowd: setup ## Add recorded calls until no more can be held at once, by dialplan and by ccari; STEP=n MOST=n WAYS="…"
	$(BIN)/python -m tests.bench.calls.crowd $(if $(STEP),--step $(STEP)) $(if $(MOST),--most $(MOST)) $(if $(WAYS),--ways $(WAYS))

bench-endurance: setup ## Make calls for half an hour, and see that nothing grows with them; MINUTES=n RATE=n
	$(BIN)/python -m tests.bench.calls.endurance $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RATE),--rate $(RATE))

audit: ## Ask whether the locked packages have known holes or were withdrawn; needs PyPI itself, and fails without it
	@[ -x $(AUDIT)/bin/pip-audit ] || { $(PYTHON) -m venv $(AUDIT) && \
	  $(AUDIT)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-audit.lock; }
	$(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements.lock
	$(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements-dev.lock

audit-where-possible:
	@if why=$$(timeout 5 $(PYTHON) tests/advisories.py); then \
	    said=$$($(MAKE) --no-print-directory audit 2>&1) && { echo "$$said"; exit 0; }; \
	    echo "$$said"; echo "$$said" | grep -q '^Found [0-9]* known' && exit 1; why="pip-audit could not finish: see above"; \
	  fi; \
	  echo "NOT AUDITED: nobody knows whether the packages have known holes: $${why:-no answer within 5 s}"; \
	  echo "NOT AUDITED: run 'make audit' where the database can be reached"

sounds: setup ## Speak the prompts that come with ccari anew, where their words have changed
	$(BIN)/ccari sounds build --common --dir sounds

reference: setup ## Write docs/reference.md anew: log events and metrics, as the code has them
	$(BIN)/python -m tests.reference

lock: ## Write the lock files anew (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 pyproject.toml --group dev -o requirements-dev.lock
	echo 'hatchling>=1.27' | uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 -c requirements-dev.lock - -o requirements-build.lock
	echo 'pip-audit>=2.10,<3' | uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 - -o requirements-audit.lock

# Also for the machine that ccari is installed on: installs only what building needs, nothing for tests.
wheel: $(BUILDING)/.installed ## Build the wheel, with sounds and dialplans in it; needs python3-venv, installs nothing outside the checkout
	@rm -f dist/ccari-*.whl
	$(BUILDING)/bin/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist .

$(BUILDING)/.installed: requirements-build.lock
	@$(PYTHON) -m venv --clear $(BUILDING)
	@$(BUILDING)/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-build.lock
	@touch $@

clean: ## Remove what was made in the checkout
	rm -rf $(VENV) $(AUDIT) $(BUILDING) dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
