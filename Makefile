# Each command sets up what it needs: a virtual environment in .venv, with the exact versions that were tested.
#
#   make lab        open JupyterLab on the first notebook      (BROWSER=no: print its address instead)
#   make workflow   all five steps, from hyper-parameters to a bundle      (ARGS="--data digits": options)
#   make test       everything that CI checks: make check, all tests, and coverage     (ARGS=tests/cli: some of them)
#   make check      style, types and the direction of imports
#   make stress     the long tests: kills, altered files, soaks
#   make bench      the races of benchmarks/README.md, for hours      (PEERS=PYTHON: one with the rivals installed)
#   make setup      only the set-up      (TORCH=cpu: PyTorch's CPU build, 1 GB instead of 6)
#   make clean      remove .venv and the tools' caches; data and runs stay

TORCH ?= $(firstword $(patsubst .venv/.ready-%,%,$(wildcard .venv/.ready-*)) default)
READY := .venv/.ready-$(TORCH)
STALE  = $(filter-out $(READY),$(wildcard .venv/.ready-*))
BIN   := .venv/bin

# A Python that can make environments: Debian and Ubuntu ship ensurepip separately, in python3-venv.
PYTHON = $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
           $$p -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
NONE  := Python 3.11 or newer with its venv module is needed, and none was found. Install one, then run make again: \
         sudo apt install python3-venv (Debian, Ubuntu), brew install python (macOS), or www.python.org.
SOUND  = $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
# compat: a plain path entry, so that a script beside a clone named workbench imports the package, not the folder.
WHAT  := -c constraints.txt -C editable_mode=compat -e '.[lab,serve,test]'
# uv knows PyTorch's builds by name: cpu, auto, cu126, cu130, rocm6.4 ... pip needs the index of that build.
# Compiled on installation, as pip does: otherwise the first import compiles, or every import if it may not write.
BY_UV  = $(BIN)/uv pip install --compile-bytecode --python $(BIN)/python $(if $(filter-out default,$(TORCH)),--torch-backend=$(TORCH)) $(WHAT)
BY_PIP = $(BIN)/python -m pip install $(if $(filter-out default auto,$(TORCH)),--extra-index-url https://download.pytorch.org/whl/$(TORCH)) $(WHAT)

RACES  = training overhead ablation inference loading start search gpu serving dashboard explorer slider devices
OPTIONS_start    = --lab --notebooks
OPTIONS_training = $(if $(PEERS),--peers $(PEERS))
OPTIONS_serving  = $(if $(PEERS),--peers $(PEERS))

.PHONY: help setup lab workflow test check stress bench constraints clean

help:
	@sed -n 's/^#   //p' Makefile

setup: $(READY)

lab: $(READY)
	@$(BIN)/workbench lab $(if $(filter no,$(BROWSER)),--no-browser)

workflow: $(READY)
	@$(BIN)/workbench workflow $(ARGS)

# With ARGS only some tests run; what they leave uncovered, others cover.
test: check
ifeq ($(ARGS),)
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
else
	$(BIN)/python -m pytest $(ARGS)
endif

# Biome checks JavaScript and CSS. Its only wheel is for Linux on x86-64.
check: $(READY)
	@if [ -x $(BIN)/biome ]; then $(BIN)/biome ci; \
	 else echo 'Biome is not installed: JavaScript and CSS go unchecked.'; test "$$CI" != true; fi
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

stress: $(READY)
	WORKBENCH_STRESS=1 $(BIN)/python -m pytest -m stress $(ARGS)

# A race that cannot be run here says why, and the next one starts.
bench: $(READY)
	@$(foreach race,$(RACES),echo; echo '== $(race)'; $(BIN)/python -m benchmarks $(race) $(OPTIONS_$(race)) || echo '$(race): not measured';)

# The newest versions that every supported Python accepts. `make test` then installs and tests them.
constraints: $(READY)
	{ sed -n '/^#/p' constraints.txt; echo uv | $(BIN)/uv pip compile --quiet --upgrade --no-annotate --no-header \
	  --python-version 3.11 --extra lab --extra serve --extra test pyproject.toml - | sed 's/+[a-z0-9.]*$$//'; } > $(BIN)/constraints.new
	mv $(BIN)/constraints.new constraints.txt

clean:
	rm -rf .venv build workbench.egg-info .coverage .coverage.* .ruff_cache .mypy_cache .pytest_cache .hypothesis .import_linter_cache
	find workbench tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@$(if $(STALE),rm -rf .venv,rm -f $@)
	@$(SOUND) || test -n "$(PYTHON)" || { echo '$(NONE)' >&2; exit 1; }
	@$(SOUND) || $(PYTHON) -m venv --clear .venv
	@echo 'Installing into .venv$(if $(filter default,$(TORCH)), (about 6 GB on Linux; without an NVIDIA GPU, "make setup TORCH=cpu" needs 1 GB))'
	@$(BIN)/python -m pip install --quiet -c constraints.txt uv || echo 'uv is not available here; pip does the same, more slowly.'
	@$(BY_UV) || $(BY_PIP)
	@touch $@
