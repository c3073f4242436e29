# scenebench: `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

# make demo
SUITE ?= demo
CORES ?= 2
DATA ?=
ANNOTATIONS ?=
TEST_ANNOTATIONS ?=
OUT ?= results/$(SUITE)$(if $(DATA),-$(notdir $(patsubst %/,%,$(DATA))))

# make reproduce
SIZE ?= paper
EXECUTOR ?=
PARTITION ?=
PROFILE ?=
GPUS ?=
RETRIES ?=
PLAN ?=
REPRODUCED = $(if $(filter file,$(origin OUT)),results/papers_$(SIZE),$(OUT))
RUN_OPTIONS = --size $(SIZE) --cores $(CORES) $(if $(DATA),--data "$(DATA)") \
	$(if $(ANNOTATIONS),--annotations "$(ANNOTATIONS)") $(if $(TEST_ANNOTATIONS),--test-annotations "$(TEST_ANNOTATIONS)") \
	$(if $(EXECUTOR),--executor $(EXECUTOR)) $(if $(PARTITION),--partition $(PARTITION)) \
	$(if $(PROFILE),--profile "$(PROFILE)") $(if $(GPUS),--gpus $(GPUS)) $(if $(RETRIES),--retries $(RETRIES)) \
	$(if $(PLAN),--plan)

# make leaderboard
RECORDS ?= results/records
BOARD = $(if $(filter file,$(origin OUT)),results/leaderboard,$(OUT))

# make bench-pretrain
PHOTOGRAPHS ?= $(wildcard ../shared/data/fruits_nuts_coco)

# make bench-eval
PARTS ?=

# make ci-evaluate: any checkpoint by a suite
BACKBONE ?=
EXPECTED ?=
SUBMITTED = $(if $(filter file,$(origin OUT)),results/submitted,$(OUT))

# make mmcv-ops: what is built stays with the environment, and serves as long as torch stays the same
OPS := $(VENV)/mmcv-ops
TORCH := $(shell sed -n 's/^torch==\([0-9.]*\).*/\1/p' requirements/packages.lock)
OPS_WHEEL := $(OPS)/built-for-torch-$(TORCH)

.PHONY: help setup demo reproduce status mmcv-ops test test-slow test-reproduce test-browser test-slurm lint format docs
.PHONY: tables leaderboard ci-evaluate bench-pretrain bench-eval bench-transfer bench-leaderboard lock clean
.PHONY: docker-image docker-evaluate test-image

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## Create .venv with every package at its locked version

demo: $(VENV)/.ready ## Pretrain, transfer, benchmark and print the tables (DATA=, ANNOTATIONS= for your own images)
	@$(BIN)/scenebench run $(SUITE) --out "$(OUT)" --cores $(CORES) \
		$(if $(DATA),--data "$(DATA)") $(if $(ANNOTATIONS),--annotations "$(ANNOTATIONS)") \
		$(if $(TEST_ANNOTATIONS),--test-annotations "$(TEST_ANNOTATIONS)")

reproduce: $(VENV)/.ready ## Every table of both papers (DATA=, SIZE=mini|demo, PLAN=1, EXECUTOR=slurm PARTITION=)
	@$(BIN)/scenebench run papers $(RUN_OPTIONS) --out "$(REPRODUCED)"

reproduce-%: $(VENV)/.ready
	@$(BIN)/scenebench run $(subst -,_,$*) $(RUN_OPTIONS) --out "$(if $(filter file,$(origin OUT)),results/$(subst -,_,$*)_$(SIZE),$(OUT))"

status: $(VENV)/.ready ## How far the reproduction is: done, running, failed, time left (OUT=results/FOLDER)
	@$(BIN)/scenebench status "$(REPRODUCED)"

leaderboard: $(VENV)/.ready ## The leaderboard's pages from records (RECORDS=results/records, OUT=results/leaderboard)
	@$(BIN)/scenebench leaderboard "$(RECORDS)" --out "$(BOARD)" --overwrite

# The same command as the image's entrypoint. Its exit codes: 0; 1, below an expected value; 2, bad input. make itself ends
# with 2 whenever a command fails, and says which code it was: where the code matters, call scenebench.
ci-evaluate: $(VENV)/.ready ## Evaluate a checkpoint by a suite (BACKBONE=, SUITE=, DATA=, EXPECTED=values.yaml, OUT=)
	@[ -n "$(BACKBONE)" ] || { echo "name the checkpoint: make ci-evaluate BACKBONE=FILE SUITE=$(SUITE) OUT=FOLDER" >&2; exit 2; }
	@$(BIN)/scenebench submit "$(BACKBONE)" --suite "$(SUITE)" --out "$(SUBMITTED)" --cores $(CORES) --leaderboard \
		$(if $(DATA),--data "$(DATA)") $(if $(ANNOTATIONS),--annotations "$(ANNOTATIONS)") \
		$(if $(TEST_ANNOTATIONS),--test-annotations "$(TEST_ANNOTATIONS)") $(if $(EXPECTED),--expected "$(EXPECTED)")

mmcv-ops: $(VENV)/.ready $(OPS)/.installed ## Build mmcv's compiled operators, for MMDetection and PSANet (minutes, once)
	@echo "mmcv's compiled operators and MMDetection are installed."

docker-image: ## Build the image that evaluates a checkpoint (VARIANT=cuda, or cpu with TORCH_LOCK= PIP_CONF=; ENGINE=, MMCV_OPS=0)
	@docker/image.sh

docker-evaluate: ## Evaluate a checkpoint in the image (BACKBONE=model.pth SUITE=mini OUT=results/mine, VARIANT=, DATA=)
	@SUITE="$(if $(filter file,$(origin SUITE)),,$(SUITE))" OUT="$(if $(filter file,$(origin OUT)),,$(OUT))" docker/evaluate.sh

test: lint ## Lint, type-check and run the tests
	@$(BIN)/python -m pytest -n $(CORES) --dist loadfile

test-slow: $(VENV)/.ready ## Run the tests that take longer
	@$(BIN)/python -m pytest -m slow

test-reproduce: $(VENV)/.ready ## Reproduce both papers at demo size, then again killed five times, and compare the tables
	@SCENEBENCH_REPRODUCE=papers $(BIN)/python -m pytest -s -rs -m slow tests/benchmarks/workflow/test_killed_reproduction.py

test-browser: $(VENV)/.ready ## Test the leaderboard in headless Chromium (needs chromium, node and npm)
	@cd tests/browser && npm ci --silent
	@$(BIN)/python -m pytest -rs tests/benchmarks/report/test_leaderboard_browser.py

test-slurm: $(VENV)/.ready ## Run the workflow on a one-node Slurm (root; apt-get install slurm-wlm munge)
	@$(BIN)/python -m pytest -s -rs -m slow tests/benchmarks/workflow/test_slurm.py

test-image: $(VENV)/.ready ## Build the image with buildah and evaluate a checkpoint in it (root; buildah podman runc debootstrap)
	@$(BIN)/python -m pytest -s -rs -m slow tests/docker/test_image.py

lint: $(VENV)/.ready ## ruff, mypy and the rules on imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/.ready ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(VENV)/.ready ## Write the pages that are made from the code's own tables
	@$(BIN)/python -m docs.generate.moving_weights docs/moving-weights.md
	@$(BIN)/scenebench protocol page > docs/protocols.md.part && mv docs/protocols.md.part docs/protocols.md

tables: $(VENV)/.ready ## Write results/README.md and results/tables from the records kept under results/
	@$(BIN)/python -m docs.generate.results results
	@$(BIN)/python -m docs.generate.mini_settings results docs/mini-settings.md

bench-pretrain: $(VENV)/.ready ## Measure how fast this machine pretrains, beside torchvision and lightly (PHOTOGRAPHS=)
	@$(BIN)/scenebench bench pretraining --out results/benchmarks $(if $(PHOTOGRAPHS),--photographs "$(PHOTOGRAPHS)")

bench-eval: $(VENV)/.ready ## Measure probes, COCO's evaluation, toolboxes' start and iterations (PARTS="boxes masks")
	@$(BIN)/scenebench bench evaluation --out results/benchmarks $(if $(PARTS),--parts $(PARTS))

bench-transfer: $(VENV)/.ready ## Measure import, proof and export of a ResNet-50
	@$(BIN)/scenebench bench transfer --to torchvision timm mmseg detectron2

bench-leaderboard: $(VENV)/.ready ## Measure a leaderboard of 10,000 records: building, and sorting and filtering in Chromium
	@cd tests/browser && npm ci --silent
	@$(BIN)/python tests/browser/bench_leaderboard.py

lock: ## Pin and hash every package of requirements/*.in anew (needs uv)
	uv pip compile -q --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--override requirements/overrides.in requirements/packages.in -o requirements/packages.lock
	uv pip compile -q --python-version 3.11 --generate-hashes --no-annotate --no-header \
		requirements/bootstrap.in -o requirements/bootstrap.lock
	uv pip compile -q --python-version 3.11 --generate-hashes --no-annotate --no-header --no-deps \
		requirements/mmcv-ops.in -o requirements/mmcv-ops.lock

clean: ## Remove the environment and every generated result
	rm -rf $(VENV) results/demo* results/leaderboard

# pip comes from the system only to put the pinned pip into an empty environment: Debian's venv has none of its own.
$(VENV)/.bootstrap: requirements/bootstrap.lock
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "scenebench needs Python 3.11; name it: make setup PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "Setting up $(VENV): about 6 GB, some minutes, once."
	@$(PYTHON) -m venv --without-pip $(VENV)
	@$(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check --no-input install --quiet --no-deps \
		--require-hashes -r requirements/bootstrap.lock
	@touch $@

$(VENV)/.packages: $(VENV)/.bootstrap requirements/packages.lock requirements/detectron2.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --require-hashes -r requirements/packages.lock
	@$(PIP) install --quiet --no-deps --require-hashes --upgrade --only-binary=:all: --python-version 3.10 \
		--implementation cp --abi none --platform any \
		--target "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')" \
		-r requirements/detectron2.lock
	@touch $@

$(VENV)/.ready: $(VENV)/.packages pyproject.toml
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q scenebench pretrain transfer benchmarks
	@[ ! -e $(OPS)/.installed ] || $(MAKE) $(OPS)/.installed
	@touch $@

$(OPS)/.needs: requirements/mmcv-ops.lock | $(VENV)/.packages
	@mkdir -p $(OPS)
	@$(PIP) install --quiet --no-deps --require-hashes -r requirements/mmcv-ops.lock
	@touch $@

$(OPS_WHEEL): requirements/mmcv-source.lock requirements/build-mmcv-ops requirements/mmcv-ops-compiler | $(OPS)/.needs
	@echo "Compiling mmcv's operators (for MMDetection and PSANet): some minutes, once."
	@MAX_JOBS=$(CORES) requirements/build-mmcv-ops $(BIN)/python $(OPS)
	@touch $@

# In place of mmcv-lite, whose folder has the same name; again whenever the packages were installed anew.
$(OPS)/.installed: $(OPS_WHEEL) $(OPS)/.needs $(VENV)/.packages
	@$(PIP) uninstall --quiet --yes mmcv-lite onedl-mmcv 2>/dev/null
	@$(PIP) install --quiet --no-deps --no-index $(OPS)/onedl_mmcv-*.whl
	@$(BIN)/python -W ignore -c 'import torch, mmcv.ops, mmdet.models'
	@touch $@
