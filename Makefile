# Everything happens in .venv, which is made when it is missing. `make help` lists what there is.
# make PYTHON=/path/to/python3 takes another Python; it matters only when .venv is made.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
export PYTHON
# Bytecode is kept, also where the machine's own settings say otherwise: without it every process that the tests start
# compiles the engine again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: fuzz chaos descriptions fuzz-http help run test test-engine test-js test-web test-vscode test-extension test-editors vsix npm node vscodes browser redis valkey test-valkey test-deploy check bench bench-jobs bench-live bench-peers bench-scale scale lock clean

help:  ## Say what there is.
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

run: $(VENV)/installed  ## Serve the rules of rules/ with the settings of config.yaml, until Ctrl-C.
	@exec $(BIN)/proactive serve

# The tests of pages and of Node wait for most of their time: they run beside those of the engine, and what they say
# comes behind. The editors have the machine for themselves.
test: $(VENV)/installed-dev browser clients/js/node_modules/.package-lock.json clients/web/node_modules/.package-lock.json clients/vscode/node_modules/.package-lock.json  ## Run the linter, the type checker and all tests, those of the clients too.
	@said=$$(mktemp); $(MAKE) --no-print-directory --keep-going test-js test-web test-extension >$$said 2>&1 & beside=$$!; \
	trap 'kill $$beside 2>/dev/null; rm -f $$said' EXIT; trap 'exit 130' INT TERM; \
	$(MAKE) --no-print-directory test-engine; failed=$$?; \
	wait $$beside || failed=$$?; cat $$said; exit $$failed
	@$(MAKE) --no-print-directory test-editors

# Many of the tests wait for a socket or a disk: one more at once than there are cores. The order of files is that of
# tests/conftest.py.
JOBS := $(shell expr $$(nproc 2>/dev/null || echo 1) + 1)
test-engine: $(VENV)/installed-dev browser redis valkey  ## Run the linter, the type checker and the tests of the engine and the server.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# While the type checker has one core, the tests are compiled on another, once for all workers.
	$(BIN)/python -m pytest --collect-only -qq >/dev/null & $(BIN)/mypy; failed=$$?; wait; exit $$failed
	$(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=loadfile --no-loadscope-reorder

browser:  ## Install Chromium where there is no browser to look at reports with.
	@scripts/install_browser.sh

redis:  ## Install redis-server where there is none to try the store on.
	@scripts/install_redis.sh

valkey: $(VENV)/pyvenv.cfg  ## Install valkey-server where there is none to try the store on; Debian 12 gets that of 13.
	@scripts/install_valkey.sh $(VENV)

# `make test` tries on Valkey what it may do differently alone. SERVER=/path/to/redis-server takes another Redis.
SERVER := valkey-server
test-valkey: $(VENV)/installed-dev valkey  ## Run all tests of stores and fleets on Valkey in place of Redis; takes some minutes.
	REDIS_TEST_SERVER=$(SERVER) $(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=loadfile tests/storage tests/fleet tests/scale

test-deploy: $(VENV)/installed-dev redis  ## Put a real nginx with deploy/nginx.conf before two gateways; installs it, takes a minute.
	@command -v nginx /usr/sbin/nginx >/dev/null || scripts/install_packages.sh nginx-light || echo "no nginx; Debian's package is nginx-light" >&2
	$(BIN)/python -m pytest tests/fleet/behind_nginx.py

# Node and Valkey are those of the machine, or the ones that were installed because there were none.
export PATH := $(CURDIR)/$(VENV)/node:$(CURDIR)/$(VENV)/valkey:$(PATH)
PACKAGES := node_modules/.package-lock.json
node: $(VENV)/installed
	@scripts/install_node.sh $(VENV)

clients/%/$(PACKAGES): clients/%/package-lock.json | node
	cd clients/$* && npm ci
	@touch $@

test-js: $(VENV)/installed-dev browser clients/js/$(PACKAGES)  ## Test the TypeScript client against the server, in Node and in a browser.
	cd clients/js && SERVER_PYTHON=$(CURDIR)/$(BIN)/python npm test
	$(BIN)/python -m pytest clients/js/tests/browser

test-web: $(VENV)/installed-dev browser clients/web/$(PACKAGES)  ## Test the chat widget, also with axe.
	cd clients/web && npm test
	$(BIN)/python -m pytest clients/web/tests

# The oldest VS Code that the extension is for, and a new one.
VSCODES := 1.100.3 1.139.1
test-vscode: test-extension test-editors  ## Test the extension by itself, and in two real VS Codes, which it installs (1 GB).

test-extension: $(VENV)/installed-dev browser clients/web/$(PACKAGES) clients/vscode/$(PACKAGES)
	cd clients/vscode && npm test
	$(call twice,,webview)

# A worker for each: clients/vscode/tests/conftest.py.
test-editors: $(VENV)/installed-dev browser clients/vscode/$(PACKAGES) vscodes
	$(call twice,--numprocesses=2,ui host)

twice = $(BIN)/python -m pytest $(1) $(addprefix clients/vscode/tests/,$(2)) || { \
	echo "what failed is tried once more: an editor on a busy machine may lose a key"; \
	$(BIN)/python -m pytest --last-failed $(addprefix clients/vscode/tests/,$(2)); }

vscodes: node
	@$(MAKE) --no-print-directory --jobs=2 $(VSCODES:%=vscode-%)

vscode-%:
	@clients/vscode/scripts/install_vscode.sh $*

vsix: clients/vscode/$(PACKAGES)  ## Build the extension's package, clients/vscode/dist/proactive-0.1.0.vsix, and say how big it is.
	@cd clients/vscode && npm run --silent package

npm: clients/js/$(PACKAGES) clients/web/$(PACKAGES)  ## Build the packages for npm, of the client and of the widget, and say how big they are.
	@scripts/npm_packages.sh dist/npm clients/js clients/web

check: $(VENV)/installed  ## Report every error of the rule files.
	@$(BIN)/proactive check rules

bench: $(VENV)/installed-dev  ## Measure the dry run; takes a few minutes.
	$(BIN)/python benchmarks/replay.py

bench-peers: $(VENV)/installed  ## Race other engines with the same rules; installs them, takes a few minutes.
	$(BIN)/python -m benchmarks.peers.run

bench-live: $(VENV)/installed-dev  ## Measure the live server beside python-socketio, which it installs; takes ten minutes.
	$(BIN)/python -m benchmarks.live

bench-jobs: $(VENV)/installed-dev  ## Measure what a second process gains on five million events; needs two free cores.
	$(BIN)/python benchmarks/jobs.py

bench-scale: $(VENV)/installed-dev redis  ## Measure what gateways and workers on Redis cost; takes some five minutes.
	$(BIN)/python benchmarks/scale.py

# Of all targets together; TARGETS="rules templates" takes some of them.
MINUTES := 10
fuzz: $(VENV)/installed  ## Try what strangers write with inputs nobody would; installs atheris, takes ten minutes.
	$(BIN)/python -m fuzz.run --minutes $(MINUTES) $(TARGETS)

fuzz-http: $(VENV)/installed-dev  ## Ask the HTTP door whatever can be asked, far more than the tests do; some minutes.
	PROACTIVE_FUZZ_EXAMPLES=2000 $(BIN)/python -m pytest tests/transport/test_http_fuzz.py

descriptions: $(VENV)/installed-dev  ## Write what a server says of its doors into docs/openapi.json and docs/asyncapi.json.
	PYTHONPATH=. $(BIN)/python scripts/describe.py

chaos: $(VENV)/installed-dev  ## Two minutes of 200 clients, a bad network and a server that is killed; then what was lost.
	$(BIN)/python -m tests.chaos.run

# Some scenarios: SCENARIOS="zombies timers".
scale: $(VENV)/installed-dev redis  ## Break a fleet on Redis in every way we know, one after the other, and see that nothing is lost; takes three quarters of an hour, and SCENARIOS=soak one.
	$(BIN)/python -m tests.scale.run $(SCENARIOS)

lock: $(VENV)/installed-dev  ## Choose the newest versions that pyproject.toml allows, and write the locks.
	scripts/lock.sh $(BIN)/python

clean:  ## Remove the environment and all that tools have left; never a database.
	rm -rf $(VENV) .venv-live .venv-peers .venv-fuzz .fuzz benchmarks/peers/node/node_modules clients/js/node_modules clients/js/build clients/js/dist clients/web/node_modules clients/web/dist clients/vscode/node_modules clients/vscode/dist clients/vscode/.vscode-test clients/vscode/.artifacts build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg: scripts/make_venv.sh
	@scripts/make_venv.sh $(VENV)
	@touch $@

# A stamp says that what stands behind its colon has been installed as it is now.
$(VENV)/installed: requirements.lock pyproject.toml $(VENV)/pyvenv.cfg
	@echo "installing what proactive needs into $(VENV)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps -e .
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock $(VENV)/installed
	@echo "installing what its tests need into $(VENV)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
