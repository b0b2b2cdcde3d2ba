# Every target makes the environment it needs (.venv) on its first run; later runs find it there.
#   make train     train a small network on digits and plot its curves into result/
#   make test      run every test that this machine can run, with a summary by part
#   make test-gpu  those of them that use CuPy: on the GPU where there is one, otherwise on its stand-in
#   make kernels   compile all CUDA kernels by NVIDIA's compiler, with registers and spills (ARCH=all, or 75, 80, ...)
#   make check     formatting, lint, import floors, types
#   make bench     time it, beside Chainer and PyTorch where they are found
#   make docs      the reference, from the docstrings, into build/docs
#   make lines     lines of code by area, and the longest functions

# The first Python on the path that is new enough and can make environments.
USABLE = -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
PYTHON ?= $(or $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do \
	$$p $(USABLE) && echo $$p && break; done),python3)
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
# Tests run side by side, one per core: each keeps its matrix products on its own core.
ONE_THREAD = OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
unexport PYTHONPATH PYTHONHOME

.PHONY: train test test-gpu kernels check format bench docs lines clean
.DEFAULT_GOAL = test

train: $(VENV)/.train
	$(BIN)/python examples/mnist/train_lenet.py $(ARGS)

test: $(VENV)/.test-gpu
	$(ONE_THREAD) $(BIN)/python scripts/run_tests.py $(TESTS) $(ARGS)

test-gpu: $(VENV)/.test-gpu
	$(ONE_THREAD) $(BIN)/python scripts/run_tests.py --only gpu $(TESTS) $(ARGS)

ARCH ?= 90

ARCHITECTURES = $(if $(filter all,$(ARCH)),sm_75 sm_80 sm_90 sm_100,$(ARCH:%=sm_%))

kernels: $(VENV)/.test-gpu
	$(BIN)/python scripts/compile_kernels.py $(ARCHITECTURES)
	$(BIN)/python scripts/compile_updates.py $(ARCHITECTURES)
	$(if $(wildcard /dev/nvidiactl),,CHAINLITE_CUDA_ON_CPU=1 $(BIN)/python scripts/compile_equations.py $(ARCHITECTURES))

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(ONE_THREAD) $(BIN)/python -m pytest -q tests/test_floors.py

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.test
	$(BIN)/python benchmarks/run.py $(ARGS)
	$(if $(ARGS),,$(BIN)/python benchmarks/memory.py)

docs: $(VENV)/.docs
	$(BIN)/python -W ignore -m pdoc chainlite --output-directory build/docs

lines:
	@$(PYTHON) scripts/count_lines.py

clean:
	rm -rf $(VENV) build dist *.egg-info result

# ---- the environment

$(VENV)/.base:
	@$(PYTHON) $(USABLE) || { echo 'chainlite' \
	    'needs Python 3.10 or later with its venv module (Debian, Ubuntu: apt install python3 python3-venv):' \
	    'install it, or name it by PYTHON=...'; exit 1; }
	@command -v $${CXX:-c++} >/dev/null || echo 'note: no C++ compiler found (Debian, Ubuntu: apt install g++);' \
	    'tests of the GPU that run on a CPU need one and are skipped without it'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.train: $(VENV)/.base setup.py
	$(PIP) install -e '.[demo,plot,onednn]'
	@touch $@

$(VENV)/.docs: $(VENV)/.base setup.py
	$(PIP) install -e '.[docs]'
	@touch $@

$(VENV)/.test: $(VENV)/.base setup.py
	$(PIP) install -e '.[test]'
	@touch $@

$(VENV)/.test-gpu: $(VENV)/.test
	$(PIP) install -e '.[test,stand-in]'
	$(BIN)/python tests/cuda_on_cpu
	@touch $@
