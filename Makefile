# Everything that is done with this repository. `make` lists the targets; each sets itself up.
#
# Needed beforehand: make, Python 3.11 or later with venv, and a way to install Python packages.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= $(or $(shell command -v python3.11),python3)
VENV ?= .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
READY := $(VENV)/.ready
FUZZ_READY := $(VENV)/.ready-fuzz
BACKENDS_READY := $(VENV)/.ready-backends
TORCH ?= torch==2.13.0

JOBS ?= 2
FUZZ_SECONDS ?= 20

# TensorFlow as an oracle: on the CPU, without its log.
export TF_CPP_MIN_LOG_LEVEL := 3
export CUDA_VISIBLE_DEVICES :=
export TF_ENABLE_ONEDNN_OPTS := 0

define say
@printf '\n== %s\n' '$(1)'
endef

.PHONY: help
help: ## List the targets
	@echo 'make demo and make test are all that is needed; the rest is for development.'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## Make .venv with the package and all that its tests need

$(READY): pyproject.toml
	$(call say,Setting up $(VENV) (once; TensorFlow is a large download))
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed") if sys.version_info < (3, 11) else 0'
	@$(PYTHON) -m venv $(VENV) || { echo 'No venv: on Debian, apt install python3-venv' >&2; exit 1; }
	$(PY) -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(PY) -m pip install --quiet --editable . --group lint --group test
	@touch $@

$(FUZZ_READY): $(READY)
	$(call say,Adding Atheris to $(VENV))
	$(PY) -m pip install --quiet --group fuzz
	@touch $@

$(BACKENDS_READY): $(READY)
	$(call say,Adding Torch to $(VENV) (a large download))
	$(PY) -m pip install --quiet '$(TORCH)' --group backends
	@touch $@

.PHONY: demo
demo: $(READY) ## Train a small model, save it in every format, pack all, get all back
	$(call say,Demo: one model in every native format in one bundle)
	$(PY) reference/examples/demo.py

.PHONY: test
test: lint types generated tests ## All that CI runs: lint, strict types, generated files, tests

.PHONY: lint
lint: $(READY) ## Check style (ruff)
	$(call say,Style)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check reference

.PHONY: types
types: $(READY) ## Check types (mypy --strict)
	$(call say,Types)
	$(BIN)/mypy

.PHONY: generated
generated: $(READY) ## Check that generated files are current
	$(call say,Generated files)
	$(PY) reference/tools/rule_table.py --check
	$(PY) reference/tools/variable_table.py --check
	$(PY) conformance/generate.py --check

.PHONY: tests
tests: $(READY) ## Run the tests: sources against their native libraries, spec examples, rule coverage
	$(call say,Tests)
	$(PY) -m pytest -n $(JOBS) --dist loadscope -m 'not real and not backends'

.PHONY: test-backends
test-backends: $(BACKENDS_READY) ## Capture, restore and resume Keras models on JAX and Torch too
	$(call say,Keras on JAX and Torch)
	$(PY) -m pytest -n $(JOBS) --dist loadscope -m backends

.PHONY: conformance
conformance: $(READY) ## Hold the reference against all conformance cases; report in build/conformance
	$(call say,Conformance of the reference at level Full)
	cd conformance && $(CURDIR)/$(PY) -m modelbundle_conformance run --persistent --level full --jobs $(JOBS) \
	  --tool '$(CURDIR)/$(PY) implementations/reference/adapter.py' --report $(CURDIR)/build/conformance

# What the GPU suite needs beside JAX and Torch; all of them small.
GPU_PACKAGES := msgpack rfc8785 jsonschema jsonschema-specifications referencing rpds-py attrs \
  google-crc32c fsspec click rich markdown-it-py mdurl pygments typing-extensions packaging \
  'keras>=3.15,<3.16' absl-py namex optree h5py
GPU_PYTHON ?= python3
GPU_PYTHON_VERSION ?= 3.11
DEVICE ?= gpu:0

.PHONY: conformance-gpu-bundles
conformance-gpu-bundles: $(BACKENDS_READY) ## Make in build/gpu what conformance-gpu needs, for a machine without TensorFlow
	$(call say,Bundles with golden vectors; packages for Python $(GPU_PYTHON_VERSION))
	$(PY) conformance/gpu/prepare.py build/gpu/bundles
	$(PY) -m pip install --quiet --upgrade --no-deps --only-binary=:all: \
	  --python-version $(GPU_PYTHON_VERSION) --target build/gpu/packages $(GPU_PACKAGES)

.PHONY: conformance-gpu
conformance-gpu: ## Run the GPU suite with GPU_PYTHON, which has JAX and Torch; report in conformance/reports
	$(call say,The suite of a GPU: golden vectors and speed and loading)
	env -u CUDA_VISIBLE_DEVICES $(GPU_PYTHON) conformance/gpu/run.py --device $(DEVICE)

.PHONY: javascript
javascript: $(READY) ## Test the JavaScript implementation, at level Full (needs Node 20 and npm)
	$(call say,The JavaScript implementation: types and tests and all cases)
	cd conformance/implementations/javascript && npm ci --silent && npm run check && npm test
	MODELBUNDLE_NODE=node $(PY) -m pytest -q conformance/tests/test_two_writers.py
	cd conformance && $(CURDIR)/$(PY) -m modelbundle_conformance run --persistent --level full --jobs $(JOBS) \
	  --tool 'node implementations/javascript/cli.js' --report $(CURDIR)/build/conformance-javascript

.PHONY: javascript-run
javascript-run: ## Test the runner in JavaScript: TensorFlow.js and ONNX Runtime Web against golden vectors (needs Node 20 and npm)
	$(call say,The runner in JavaScript)
	cd conformance/implementations/javascript && npm ci --silent
	cd conformance/implementations/javascript/run && npm ci --silent && npm run --silent check && npm test

.PHONY: matrix
matrix: $(READY) ## Let the reference and JavaScript read what each wrote; report in build/matrix (needs Node 20 and npm)
	$(call say,Writers and readers)
	cd conformance/implementations/javascript && npm ci --silent
	cd conformance && $(CURDIR)/$(PY) -m modelbundle_conformance matrix --persistent --report $(CURDIR)/build/matrix \
	  --implementation 'reference=$(CURDIR)/$(PY) implementations/reference/adapter.py' \
	  --implementation 'javascript=node implementations/javascript/cli.js'

.PHONY: page
page: ## Build the page that shows a bundle: build/page/modelbundle.html (needs Node 20 and npm)
	$(call say,The page)
	@command -v npm >/dev/null || { echo 'Node 20 with npm is needed: on Debian, apt install nodejs npm' >&2; exit 1; }
	cd conformance/implementations/javascript && npm ci --silent
	cd conformance/implementations/javascript/page && npm ci --silent && npm run --silent build

.PHONY: page-full
page-full: page ## Build the page with engines, for the golden check: build/page/modelbundle-full.html
	$(call say,The page with engines)
	cd conformance/implementations/javascript/run && npm ci --silent
	cd conformance/implementations/javascript/page && npm run --silent build-full

.PHONY: page-test
page-test: page-full ## Test the page in headless Chromium (needs Chromium too; its path in CHROMIUM)
	$(call say,The page in a browser)
	@test -x "$${CHROMIUM:-/usr/bin/chromium}" || { echo 'Chromium is needed: on Debian, apt install chromium; or name it in CHROMIUM' >&2; exit 1; }
	cd conformance/implementations/javascript/page && npm run --silent check && npm test

.PHONY: rules
rules: $(READY) ## Write spec/rules.md, spec/rules.json and the annex anew from the text and the schemas
	$(call say,Rule table)
	$(PY) reference/tools/rule_table.py
	$(PY) reference/tools/keras_annex.py

.PHONY: cases
cases: $(READY) ## Write the conformance cases anew
	$(call say,Conformance cases)
	$(PY) conformance/generate.py

.PHONY: format
format: $(READY) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format reference

.PHONY: bench
bench: $(READY) ## Measure speed and memory against the limits, side by side with cp and sha256sum
	$(call say,Benchmarks (some minutes; about 4 GB of disk))
	PYTHONPATH=reference $(PY) -m benchmarks

.PHONY: calibrate
calibrate: $(BACKENDS_READY) ## Hold clean engines and faults against the tolerances of chapter 18 (about 15 min)
	$(call say,Calibration study)
	$(PY) conformance/calibration/study.py

.PHONY: fuzz
fuzz: $(FUZZ_READY) ## Fuzz each parser for FUZZ_SECONDS (20)
	$(call say,Fuzzing each parser for $(FUZZ_SECONDS) s)
	PYTHONPATH=reference $(PY) -m fuzz --seconds $(FUZZ_SECONDS)

.PHONY: revive-report
revive-report: $(BACKENDS_READY) ## Revive the old models of public packages, print what came of each
	$(call say,Revive (an hour; `make real` downloads the models))
	PYTHONPATH=reference $(PY) reference/tools/revive_report.py

.PHONY: real
real: $(READY) ## Pack models that public packages ship (downloads them)
	$(call say,Real artifacts)
	$(PY) reference/tools/real_artifacts.py
	$(PY) -m pytest -m real -rs

.PHONY: clean
clean: ## Remove what make made, .venv too
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find reference conformance -name __pycache__ -prune -exec rm -rf {} +
