# Two commands for everybody: `make demo` and `make test`.  `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

# A job is many short processes: compiling every import again in each would be most of their time.
export PYTHONDONTWRITEBYTECODE :=

# The Python that makes .venv: the first of these that is new enough, unless given (make PYTHON=... venv).
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done; true)
BIN := .venv/bin
READY := .venv/.ready
# Arguments for images/build, which lists them: make images IMAGE_ARGS="--builder podman".
IMAGE_ARGS ?=
# How many seeds `make simulate` runs, and the first of them.
SEEDS ?= 500
FIRST ?= 0
# How often `make e2e-faults` lets each fault strike and `make bench-latency` measures, and the seed of the first round's moments (random unless given; part of each test's name).
ROUNDS ?= 10
SEED ?= $(shell echo $$RANDOM)
# What `make bench-coordination` measures: how many workers there are, and tasks of each job.
WORKERS ?= 2
TASKS ?= 1000 10000 100000
# How many operations `make linearizability` has; SEED is its seed, too.
OPS ?= 100000
# How many nodes the cluster of `make cluster` has; KUBEMR_CLUSTER=1 in the environment makes it another one.
NODES ?= 1
# Arguments for pytest: make test PYTEST_ARGS="-k lease -x".
PYTEST_ARGS ?=
# How many processes run tests: one for each core, at most four, because each starts its own servers.  `-n 0` among
# PYTEST_ARGS runs them in pytest's process.  One process runs all tests of a file, in their order.
PARALLEL := --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder
# The packages whose line coverage and branch coverage must each reach 95 %: those of [coverage:run] in setup.cfg.
GATED := kubemr/locks kubemr/tasks kubemr/controller

.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(READY) ## count the words of Python's own sources in local mode: operator, workers, results
	@$(BIN)/python examples/wordcount/demo.py

.PHONY: test
test: lint types unit ## what to run before each commit, in minutes: lint, types, layers, tests, coverage

.PHONY: unit
unit: $(READY) ## the tests of `make test`, with coverage and its gate; what needs a binary that is not there is left out, by name
	@rm -f .coverage .coverage.*
	COVERAGE_PROCESS_START=setup.cfg $(BIN)/python -m pytest $(PARALLEL) -m "not long" $(PYTEST_ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python tests/support/coverage_gate.py --fail-under 95 $(GATED)

.PHONY: test-long
test-long: $(READY) ## the tests marked `long`: whole processes, the protocol, long properties, planted bugs
	@$(BIN)/python -m pytest $(PARALLEL) -m long $(PYTEST_ARGS)

.PHONY: protocol
protocol: $(READY) ## check workers against docs/protocol.md: make protocol WORKER="command", or IMAGE=name, for one of your own
	@KUBEMR_PROTOCOL_WORKER="$(WORKER)" KUBEMR_PROTOCOL_IMAGE="$(IMAGE)" $(BIN)/python -m pytest tests/protocol $(PYTEST_ARGS)

.PHONY: lint
lint: $(READY) ## ruff, and the layers of imports
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

.PHONY: types
types: $(READY) ## mypy --strict
	@$(BIN)/mypy

.PHONY: format
format: $(READY) ## let ruff format and mend what it can
	@$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: simulate
simulate: $(READY) ## step operators and workers in random interleavings, on all cores: make simulate SEEDS=5000 FIRST=0
	@$(BIN)/python -m pytest tests/simulation/test_seeds.py --timeout=1800 --seeds=$(SEEDS) --first-seed=$(FIRST) --seed-processes=$$(nproc)

.PHONY: linearizability
linearizability: controlplane $(READY) ## contend for locks and tasks through three apiservers, with kills: make linearizability OPS=100000
	@$(BIN)/python -m pytest -s tests/e2e/linearizability --operations=$(OPS) --contest-seed=$(SEED) $(PYTEST_ARGS)

# The versions of Kubernetes beside the one for everything, and the tests that are about the apiserver.  Not those that
# compare its answers with ours, word for word: each version has some of its own (docs/embedded-apiserver.md).
VERSIONS ?= 1.34 1.37
VERSION_TESTS := tests/unit/locks tests/unit/informer/test_real_apiserver.py $(addprefix tests/e2e/test_,controlplane.py crds.py manifests.py priority.py rights.py rights_tasks.py rights_used.py) \
	--deselect tests/e2e/test_crds.py::test_our_words_are_the_apiservers

.PHONY: test-versions
test-versions: $(READY) ## run what is about the apiserver on the oldest and the newest Kubernetes, those that are built: make test-versions VERSIONS=1.37
	@built=$$($(BIN)/python tests/support/binaries.py --built $(VERSIONS))
	for version in $$built; do
		echo "Kubernetes $$version"
		KUBEMR_TEST_KUBERNETES=$$version $(BIN)/python -m pytest $(PARALLEL) $(VERSION_TESTS) $(PYTEST_ARGS)
	done

.PHONY: controlplane-versions
controlplane-versions: python ## build the Kubernetes versions of `make test-versions`, once (ten minutes of CPU each)
	@$(PYTHON) tests/support/binaries.py --versions $(VERSIONS)

.PHONY: controlplane
controlplane: python ## build etcd, kube-apiserver and MinIO from Go modules, once, for the tests that need them (Go >= 1.26)
	@$(PYTHON) tests/support/binaries.py

# Where the commands of tests/support find each other.
CLUSTER := PYTHONPATH=tests $(BIN)/python -m support.cluster_commands

.PHONY: cluster
cluster: $(READY) ## start a Kubernetes and MinIO on this machine (Linux, root; installs Debian packages): make cluster NODES=2
	@$(BIN)/python tests/support/binaries.py --cluster
	$(CLUSTER) up $(NODES)

.PHONY: cluster-down
cluster-down: $(READY) ## end it, and clean up after one that ended uncleanly
	@$(CLUSTER) down

.PHONY: images
images: $(READY) ## build the images of operator, worker and word count (Python, Go): make images IMAGE_ARGS="--base python:3.13-slim"
	@archives=$$(images/build $(IMAGE_ARGS))
	echo "$$archives"
	$(CLUSTER) load $$archives

.PHONY: deploy undeploy render
deploy: ## install kubemr on the cluster of kubectl: make deploy OVERLAY=overlays/minio OPERATOR_IMAGE=name:tag
	@OVERLAY="$(or $(OVERLAY),base)" OPERATOR_IMAGE="$(OPERATOR_IMAGE)" manifests/manage deploy
undeploy: ## take it off again; refuses while there are jobs, which PURGE=1 deletes with all that they stored
	@OVERLAY="$(or $(OVERLAY),base)" PURGE="$(PURGE)" manifests/manage undeploy
render: ## write all manifests to dist/kubemr.yaml, for kubectl apply -f
	@OVERLAY="$(or $(OVERLAY),base)" OPERATOR_IMAGE="$(OPERATOR_IMAGE)" manifests/manage render

.PHONY: e2e
e2e: images ## the tests on a whole cluster: the one KUBEMR_E2E_KUBECONFIG names, or the running one, or one of their own
	@if [ -z "$${KUBEMR_E2E_KUBECONFIG:-}" ]; then
		$(CLUSTER) packages
		$(BIN)/python tests/support/binaries.py --cluster
	fi
	$(BIN)/python -m pytest --cluster -m cluster tests/e2e $(PYTEST_ARGS)

.PHONY: e2e-differential
e2e-differential: $(READY) ## the embedded apiserver against that of a whole cluster, whose controllers are away meanwhile
	@$(CLUSTER) packages
	$(BIN)/python tests/support/binaries.py --cluster
	$(BIN)/python -m pytest --cluster -m cluster tests/differential $(PYTEST_ARGS)

.PHONY: e2e-faults
e2e-faults: images ## every fault of docs/faults.md on a cluster of its own: make e2e-faults ROUNDS=10 SEED=1 PYTEST_ARGS="-k frozen"
	@$(CLUSTER) packages
	$(BIN)/python tests/support/binaries.py --cluster
	$(BIN)/python -m pytest --cluster -m cluster tests/e2e/cluster/faults \
		--fault-rounds=$(ROUNDS) --fault-seed=$(SEED) $(PYTEST_ARGS)

.PHONY: bench-latency
bench-latency: images ## a small job on a cluster, against a Kubernetes Job of such pods: make bench-latency ROUNDS=10
	@if [ -z "$${KUBEMR_E2E_KUBECONFIG:-}" ]; then
		$(CLUSTER) packages
		$(BIN)/python tests/support/binaries.py --cluster
	fi
	ROUNDS=$(ROUNDS) PYTHONPATH=tests $(BIN)/python benchmarks/latency.py

.PHONY: soak
soak: controlplane images ## what takes hours or gigabytes, at the end of an issue: tests marked `soak`, many seeds, large jobs, faults (root)
	@$(BIN)/python -m pytest -m soak --timeout=14400 $(PYTEST_ARGS) || [ $$? -eq 5 ] # 5: no test is marked
	$(MAKE) simulate FIRST=5000 SEEDS=50000
	$(MAKE) bench-inputs FILES=1000000
	$(MAKE) bench-workers WORKERS=1000
	$(MAKE) e2e-faults ROUNDS=10

.venv-bench/.ready: requirements/bench.txt | python
	@$(PYTHON) -m venv --clear .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/bench.txt
	touch $@

.PHONY: bench-coordination
bench-coordination: controlplane $(READY) .venv-bench/.ready ## 1,000 to 100,000 empty tasks against Dask, Spark and others: make bench-coordination WORKERS=2 ROUNDS=3 TASKS="1000 10000"
	@WORKERS=$(WORKERS) ROUNDS=$(if $(filter file,$(origin ROUNDS)),3,$(ROUNDS)) TASKS="$(TASKS)" PYTHONPATH=tests:benchmarks $(BIN)/python -m coordination

.PHONY: bench-imports
bench-imports: $(READY) ## what `import kubemr.locks` costs, against the official client: make bench-imports ROUNDS=15
	@ROUNDS=$(if $(filter file,$(origin ROUNDS)),15,$(ROUNDS)) PYTHONPATH=benchmarks $(BIN)/python benchmarks/imports.py

.PHONY: bench-inputs
bench-inputs: controlplane $(READY) ## what the operator needs for a job of a million files: make bench-inputs FILES=1000000
	@FILES=$(FILES) PYTHONPATH=tests:benchmarks $(BIN)/python benchmarks/inputs.py

.PHONY: bench-workers
bench-workers: controlplane $(READY) ## what a job of 1,000 workers asks of a real apiserver, by phase: make bench-workers WORKERS=1000
	@WORKERS=$(if $(filter file,$(origin WORKERS)),1000,$(WORKERS)) PYTHONPATH=tests:benchmarks $(BIN)/python -m workers

.PHONY: picture
picture: $(READY) ## draw what `make demo` shows on a terminal to docs/run.svg, for README.md
	@PYTHONPATH=tests $(BIN)/python -m support.run_picture docs/run.svg

.PHONY: manifests
manifests: $(READY) ## write the CRDs in manifests/ and docs/api.md anew from the resource types
	@$(BIN)/python -m kubemr.resources.generate manifests docs/api.md

.PHONY: lock
lock: $(READY) ## resolve the dependencies in setup.cfg anew into requirements/*.txt
	@lock() { $(BIN)/uv pip compile --quiet --no-config --upgrade --universal --generate-hashes --python-version 3.11 \
		--no-emit-package kubemr --custom-compile-command 'make lock' "$$@"; }
	lock setup.cfg --output-file requirements/runtime.txt
	lock setup.cfg --extra test --extra dev --constraint requirements/runtime.txt --output-file requirements/dev.txt
	lock requirements/worker.in --constraint requirements/runtime.txt --output-file requirements/worker.txt
	lock requirements/go.in --output-file requirements/go.txt
	lock requirements/bench.in --output-file requirements/bench.txt

.PHONY: venv
venv: $(READY) ## make .venv with the pinned dependencies and kubemr itself

.PHONY: python
python:
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
		echo "kubemr needs Python 3.11 or newer and found $$($(or $(PYTHON),python3) --version 2>&1 || echo none)." >&2
		echo "Install one (Debian: apt install python3 python3-venv), or name one: make PYTHON=/path/to/python3.11 venv" >&2
		exit 1
	fi

# setup.cfg is among them because an editable install copies the entry points out of it.
$(READY): requirements/dev.txt setup.cfg | python
	@echo "making .venv with $$($(PYTHON) --version) (once, and when requirements change)"
	$(PYTHON) -m venv --clear .venv || {
		echo "could not make .venv; on Debian the module is a package of its own: apt install python3-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

.PHONY: clean
clean: ## remove .venv and what the tools left (the built control plane stays in its cache)
	@rm -rf .venv build dist *.egg-info .coverage .coverage.* htmlcov .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
