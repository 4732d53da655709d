# Every target sets up what it needs by itself, asks nothing, and can be run again.
# `make help` lists them. Variables: VENV (.venv), PYTHON (which interpreter makes it), ARGS (passed on).

VENV ?= .venv
JOBS ?= 2
ARGS ?=
PY := $(VENV)/bin/python
RUN := $(VENV)/bin
export VENV PYTHON
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export NO_MKDOCS_2_WARNING := 1
MAKEFLAGS += --no-print-directory

SOURCES := edgeguard hil bench models/*.py models/*/*.py
# The rooms that decide who may act: every line and every branch.
FULLY_COVERED := edgeguard/decider.py,edgeguard/decision/*,edgeguard/gate/*,edgeguard/link/*

.PHONY: help demo campaign test lint format pytest coverage docs bench bench-policy bench-link jitter injections soak faster \
    differential fuzz-policy fuzz-admission bench-admission mutate-admission mutation models sign lock clean compiler firmware-tools trust-tools coverage-firmware firmware-size misra \
    prove-firmware fuzz-firmware mutate-firmware compare-machines flip-bits line-faults mcu-faults vectors

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed-demo compiler  ## the guarded vehicle against the unguarded one, live, then a report
	@$(PY) -m hil demo $(ARGS)

campaign: $(VENV)/.installed-demo compiler  ## the demo's scenarios with 20 seeds each
	@$(PY) -m hil campaign $(ARGS)

test: lint docs pytest coverage coverage-firmware  ## every check there is

lint: $(VENV)/.installed-dev  ## style, types, the order of imports, the Python floor
	@$(RUN)/ruff check --quiet --output-format=concise .
	@$(RUN)/ruff format --check --output-format=concise --quiet . || { echo "run: make format"; exit 1; }
	@$(RUN)/mypy --no-error-summary
	@$(RUN)/lint-imports --no-logo > .import_linter.log 2>&1 || { cat .import_linter.log; exit 1; }
	@$(RUN)/vermin --quiet --target=3.10- --no-tips --violations $(SOURCES) > .vermin.log || { cat .vermin.log; exit 1; }
	@echo "lint: ruff, mypy, import-linter and vermin found nothing"

format: $(VENV)/.installed-dev  ## let ruff lay out the code
	@$(RUN)/ruff check --quiet --fix .
	@$(RUN)/ruff format --quiet .

pytest: $(VENV)/.installed-dev compiler
	@rm -f .coverage .coverage.*
	@$(RUN)/pytest -q -n $(JOBS) --dist=loadfile --cov --cov-report= $(ARGS)

coverage: pytest
	@echo "coverage of decision, gate and link: 100 % of lines and branches"
	@$(RUN)/coverage report --include='$(FULLY_COVERED)' --fail-under=100
	@echo "coverage of the package: at least 90 %"
	@$(RUN)/coverage report --include='edgeguard/*' --fail-under=90
	@echo "coverage of the rigs, for information"
	@$(RUN)/coverage report --include='hil/*' --fail-under=0

docs: $(VENV)/.installed-dev  ## the documentation site, in site/, with warnings as errors
	@$(RUN)/mkdocs build --strict > .mkdocs.log 2>&1 || { grep -v '^INFO' .mkdocs.log; exit 1; }
	@echo "docs: site/index.html"

bench: $(VENV)/.installed-dev  ## a frame: bare, wired by hand, and every setting of edgeguard, in one run
	@$(PY) -m bench.frame $(ARGS)

jitter: $(VENV)/.installed-dev  ## how even a frame's time is, with and without load and real-time options
	@$(PY) -m bench.jitter $(ARGS)

injections: $(VENV)/.installed-dev  ## a worker that runs attacker's code, COUNT (1000) times in each way
	@$(PY) -m bench.injections --count $(or $(COUNT),1000) $(ARGS)

soak: $(VENV)/.installed-dev  ## an isolated guard for MINUTES (60), a worker killed every minute
	@$(PY) -m bench.soak --minutes $(or $(MINUTES),60) $(ARGS)

faster: $(VENV)/.installed-dev  ## 8-bit, fused and compiled forms of the demo's models, in out/build/
	@tools/build-demo

bench-policy: $(VENV)/.installed-dev  ## a policy's step, load and proof, beside another engine
	@$(PY) -m bench.policy $(ARGS)

differential: $(VENV)/.installed-dev  ## the policy engine against Google's CEL, its second engine and the page, at length
	@EDGEGUARD_CEL_EVALUATIONS=400000 EDGEGUARD_REFERENCE_STEPS=1000000 EDGEGUARD_TRIAL_EXAMPLES=1500 $(RUN)/pytest -q -s \
	    tests/policy/test_cel.py tests/desk/reference tests/desk/test_trial.py tests/desk/page $(ARGS)

fuzz-policy: $(VENV)/.installed-dev  ## hostile policies for SECONDS (600), seeded
	@tools/fuzz-policy --seconds $(or $(SECONDS),600) $(ARGS)

fuzz-admission: $(VENV)/.installed-dev  ## hostile bundles, certificates and models for SECONDS (1800), seeded
	@tools/fuzz-admission --seconds $(or $(SECONDS),1800) $(ARGS)

bench-admission: $(VENV)/.installed-dev  ## admission of large bundles beside SHA-256 alone and the reference verifier
	@$(PY) -m bench.admission $(ARGS)

mutate-admission: $(VENV)/.installed-dev  ## break the core of admission in every small way, and see a test fail each time
	@tools/mutate-admission $(ARGS)

mutation: $(VENV)/.installed-dev  ## break what decides in every small way, and see a test fail each time
	@$(RUN)/mutmut run --max-children $(JOBS) $(ARGS)
	@$(RUN)/mutmut results

firmware-tools:  ## Debian's packages for the targets below: ARM compiler, emulator, cppcheck, clang, node
	@tools/setup firmware

trust-tools:  ## Debian's packages for the tests of keys and versions: a TPM and a security token in software
	@tools/setup trust

coverage-firmware: $(VENV)/.installed-dev compiler  ## lines and branches of the firmware that the tests reach
	@$(PY) tools/coverage-firmware $(ARGS)

firmware-size: $(VENV)/.installed-dev  ## code, data and the deepest stack of the ARM firmware
	@$(PY) tools/firmware-size $(ARGS)

misra: $(VENV)/.installed-dev  ## the firmware against MISRA C, by cppcheck; every deviation has a reason
	@$(PY) tools/misra $(ARGS)

prove-firmware: $(VENV)/.installed-dev  ## envelope, slew, stop, deadlines and modes, for every table in policies/, by ESBMC
	@$(PY) tools/prove-firmware $(ARGS)

fuzz-firmware: $(VENV)/.installed-dev compiler  ## framing and session under libFuzzer for SECONDS (600) a target
	@tools/fuzz-firmware --seconds $(or $(SECONDS),600) $(ARGS)

mutate-firmware: $(VENV)/.installed-dev compiler  ## break the core in every small way, and see a test fail each time
	@tools/mutate-firmware $(ARGS)

compare-machines: $(VENV)/.installed-dev compiler  ## the core in C against its second implementation, TRACES (1000000)
	@$(PY) tools/compare-machines --traces $(or $(TRACES),1000000) $(ARGS)

flip-bits: $(VENV)/.installed-dev  ## COUNT (10000) bit flips in memory and registers of the real ARM firmware
	@tools/flip-bits --count $(or $(COUNT),10000) $(ARGS)

line-faults: $(VENV)/.installed-dev compiler  ## every fault of the line, COUNT (100000) tries each
	@$(PY) tools/line-faults --count $(or $(COUNT),100000) $(ARGS)

mcu-faults: $(VENV)/.installed-dev  ## hosts that are killed, hang, flood or mismatch, COUNT (100) times each, under QEMU
	@$(PY) -m bench.mcu_faults --count $(or $(COUNT),100) $(ARGS)

vectors: $(VENV)/.installed-dev compiler  ## write the vectors of the link and of bundles anew, and ask other readers
	@tools/link-vectors
	@tools/bundle-vectors
	@$(RUN)/pytest -q tests/link/test_vectors*.py tests/link/test_protocol_page.py tests/admission/test_bundle_vectors.py \
	    $(ARGS)
	@tools/check-wire-with-node

bench-link: $(VENV)/.installed-dev compiler  ## the line: round trips, throughput, and what a command costs
	@$(PY) -m bench.link $(ARGS)

models: $(VENV)/.installed-demo  ## train the demo's models anew, then sign and calibrate them
	@tools/train $(ARGS)
	@$(MAKE) sign

sign: $(VENV)/.installed-demo  ## sign the demo's models, calibration and policy with keys/demo.key, made if absent
	@tools/sign-demo $(ARGS)

lock: pyproject.toml requirements/build.in  ## resolve the lock files anew, for every supported Python at once
	@tools/lock

clean:  ## remove what the targets above made, but keep keys
	@rm -rf $(VENV) .venv-lock build dist site out htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	    .import_linter_cache .import_linter.log .vermin.log .mkdocs.log .coverage .coverage.*
	@find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

compiler:
	@tools/setup compiler

$(VENV)/.installed-demo: requirements/demo.txt pyproject.toml tools/setup
	@tools/setup demo

$(VENV)/.installed-dev: requirements/dev.txt pyproject.toml tools/setup
	@tools/setup dev
