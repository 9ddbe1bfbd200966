# `make demo` and `make test` need Python 3.11+ and nothing else: both make .venv from requirements.lock first.
SHELL := /bin/sh
PYTHON ?= python3
UV := .venv/bin/uv
REQUESTS ?= 1000000
# The extras that the functions' packages need, as infra/tidemill_deploy/packaging/functions.py has them.
FUNCTIONS_EXTRAS := signing media tracing
READY := .venv/.ready
# A file's tests share what they start. In the order of tests/conftest.py, which begins with what takes long.
SIDE_BY_SIDE := --numprocesses 3 --dist loadfile --no-loadscope-reorder
# Tools whose dependencies do not go with the project's have an environment and a lock of their own.
CHECKOV := .venv/checkov/.ready
SAM := .venv/sam/.ready
ANALYTICS := .venv/analytics/.ready
# Only packages of this tree, whatever the user's own environment says.
unexport PYTHONPATH
unexport VIRTUAL_ENV
# uv trusts what the machine trusts, as pip does: many networks have a certificate of their own.
export UV_SYSTEM_CERTS := true

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-shuffled check lint scan sam-validate types wheel simulate simulate-photos simulate-stage mutants kills kills-spool kills-interrupts fuzz mutation test-browser test-ecosystem package-check perf lock clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## run the whole pipe on this machine (options: ARGS="--trace FILE --speed max", ARGS="--photos FOLDER")
	@mkdir -p build
	@exec .venv/bin/tidemill demo --sheet build/contact-sheet.html $(ARGS)

test: $(READY) ## run the tests but the slow ones (options: ARGS="-k lane")
	@exec .venv/bin/pytest $(SIDE_BY_SIDE) -m "not slow" $(ARGS)

test-slow: $(READY) ## run the tests that `make test` leaves out, for they take half of all tests' time
	@exec .venv/bin/pytest $(SIDE_BY_SIDE) -m slow $(ARGS)

test-shuffled: $(READY) ## run the tests in another order each time, which it tells (again: ARGS="--random-order-seed=N")
	@exec .venv/bin/pytest $(SIDE_BY_SIDE) --random-order $(ARGS)

check: lint types wheel test ## everything that must hold before a change lands

lint: $(READY) scan ## ruff, import-linter, cfn-lint, checkov
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports
	.venv/bin/cfn-lint infra/template.yaml

scan: $(READY) $(CHECKOV) ## checkov's policies for the template, offline; exceptions are in .ci/scan.py
	.venv/bin/python .ci/scan.py .venv/checkov/bin/checkov

sam-validate: $(SAM) ## the template by AWS's own SAM CLI, offline
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 .venv/sam/bin/sam validate --lint --template infra/template.yaml

types: $(READY) ## mypy, strict
	.venv/bin/mypy
	.venv/bin/mypy tests

wheel: $(READY) ## build the wheel and import the SDK from it with its own dependencies only
	.venv/bin/python .ci/wheel.py

simulate: $(READY) ## a million requests under faults, simulated: nothing lost, double, reordered or unanswered (REQUESTS=n)
	@.venv/bin/python tests/simulation/run.py --requests $(REQUESTS) $(ARGS)
	@$(if $(ARGS),,.venv/bin/python tests/simulation/photos/run.py)
	@$(if $(ARGS),,.venv/bin/python tests/simulation/staging/run.py)

simulate-photos: $(READY) ## people and their photos under faults, and a few acts in every order with a crash at each call
	@.venv/bin/python tests/simulation/photos/run.py $(ARGS)

simulate-stage: $(READY) ## an analytics stage that is killed, begins anew and runs twice: no total is off by one (ARGS="--seeds 20")
	@.venv/bin/python tests/simulation/staging/run.py $(ARGS)

mutants: $(READY) ## bugs of the protocol, put in one by one: the simulation must catch each (ARGS="two records")
	@.venv/bin/python tests/simulation/mutants.py $(ARGS)

kills: $(READY) ## real processes killed 200 times while requests stream (ARGS="--kills 20")
	@.venv/bin/python tests/faults/kills.py $(ARGS)

kills-spool: $(READY) ## a sending process killed 1,000 times: what its spool accepted is applied once (ARGS="--kills 50")
	@.venv/bin/python tests/faults/spool_kills.py $(ARGS)

kills-interrupts: $(READY) ## senders interrupted 10,000 times and forked 500 times: what `send` returned is applied once (ARGS="--forks 50")
	@.venv/bin/python tests/faults/interrupts.py $(ARGS)

fuzz: $(READY) ## a million damaged aggregates, 100,000 hostile records in whole batches, 10,000 damaged photos (ARGS="--records 5000 --seed 7")
	@.venv/bin/python tests/fuzz/run.py $(ARGS)

mutation: $(READY) ## small changes of what decides, at random: a test notices 95 of 100 (ARGS="--seed 7 --only wire")
	@.venv/bin/python tests/mutation/run.py $(ARGS)

test-browser: $(READY) ## the page and the load test's report in Chromium, on a phone and a desk, light and dark (CHROMIUM=path)
	@.venv/bin/pytest tests/browser/page.py tests/browser/report.py $(ARGS)

test-ecosystem: $(READY) ## others' clients and emulators, from npm, Maven Central and PyPI; skipped without (CHROMIUM=path TIDEMILL_DYNAMODB=url)
	@.venv/bin/pytest $(addprefix tests/ecosystem/,browsers.py clients.py libraries.py phone.py photos.py servers.py tables.py) $(ARGS)

CONNECTOR := analytics_sql/connector
CONNECTOR_JAR := $(CONNECTOR)/target/tidemill-flink-connector.jar
MVN := cd $(CONNECTOR) && MAVEN_OPTS="$${MAVEN_OPTS:--Xmx512m}" mvn -q -B
.PHONY: connector test-connector java-and-maven analytics-env test-flink java pyflink-runs
connector: $(CONNECTOR_JAR) ## the connector between Kinesis and Flink SQL, as one jar (needs a JDK of Java 17 and Maven)

test-connector: $(READY) | java-and-maven ## its tests, in Flink's own and against the local platform
	@$(MVN) package
	@.venv/bin/pytest tests/analytics_sql/connector/platform.py tests/analytics_sql/connector/test_unpacking.py $(ARGS)

analytics-env: $(ANALYTICS) ## the environment that runs the analytics stage: PyFlink, 900 MB (needs Java 17)

$(ANALYTICS): | java pyflink-runs

java:
	@command -v java >/dev/null || { echo "there is no java, and the analytics stage needs Java 17; on Debian: \
	apt-get install openjdk-17-jre-headless" >&2; exit 1; }

pyflink-runs: $(READY)
	@.venv/bin/python -c 'import sys; sys.exit(sys.version_info >= (3, 13))' || { echo "PyFlink runs on Python 3.11 and \
	3.12, and .venv has a later one; make it again: rm -rf .venv && make PYTHON=python3.12 analytics-env" >&2; exit 1; }

test-flink: $(READY) $(ANALYTICS) $(CONNECTOR_JAR) ## the analytics stage in Flink: its SQL on files, its package on a cluster, and `tidemill analytics run`
	@.venv/bin/pytest tests/analytics_sql/stream/stages.py tests/analytics_sql/stream/packaged.py tests/analytics_sql/stream/platform.py $(ARGS)

java-and-maven:
	@for tool in javac mvn; do command -v $$tool >/dev/null || { echo "there is no $$tool, and the connector for Flink \
	needs it; on Debian: apt-get install openjdk-17-jdk-headless maven" >&2; exit 1; }; done

$(CONNECTOR_JAR): $(CONNECTOR)/pom.xml $(shell find $(CONNECTOR)/src -type f) | java-and-maven
	@$(MVN) -DskipTests package

package-check: $(READY) ## the functions' packages made for Lambda, and started by AWS's runtime client; skipped without PyPI
	@.venv/bin/pytest tests/ecosystem/packages.py $(ARGS)

perf: $(READY) ## benchmarks, as ratios in one run: a table and build/perf.json (options: ARGS="--help")
	@.venv/bin/python tests/perf/run.py $(ARGS)

RESOLVE = $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-emit-find-links --custom-compile-command "make lock" --quiet

lock: ## resolve requirements.lock again from pyproject.toml, and the tools' locks in .ci
	@test -x $(UV) || $(MAKE) --no-print-directory $(UV)
	$(RESOLVE) pyproject.toml --all-extras --group dev --output-file requirements.lock
	$(RESOLVE) .ci/checkov.in --output-file .ci/checkov.lock
	$(RESOLVE) .ci/sam.in --output-file .ci/sam.lock
	$(RESOLVE) .ci/analytics.in --output-file .ci/analytics.lock
	for extra in $(FUNCTIONS_EXTRAS); do $(RESOLVE) pyproject.toml --extra $$extra --constraint requirements.lock \
	  --no-annotate --output-file infra/tidemill_deploy/packaging/locks/$$extra.lock; done

clean: ## remove what the tasks above made
	rm -rf $(CONNECTOR)/target .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tidemill needs Python 3.11 or later; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "making .venv (once) ..."
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check uv

$(READY): requirements.lock pyproject.toml
	@test -x $(UV) || $(MAKE) --no-print-directory $(UV)
	@$(UV) pip sync --quiet --python .venv/bin/python requirements.lock
	@$(UV) pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv/%/.ready: .ci/%.lock | $(READY)
	@$(UV) venv --quiet --clear --python .venv/bin/python .venv/$*
	@$(UV) pip sync --quiet --require-hashes --python .venv/$*/bin/python .ci/$*.lock
	@touch $@
