# Every target works from nothing but Python 3.11 or newer, and is quick the second time.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# On Linux, PyPI's torch brings gigabytes of CUDA; this index has the CPU build. `make TORCH_INDEX= ...` takes PyPI's.
TORCH_INDEX ?= $(if $(filter Linux,$(shell uname -s)),$(if $(shell command -v nvidia-smi),,https://download.pytorch.org/whl/cpu))
DATA ?= $(MONOBODY_DATA)
MINUTES ?= 9
TEST_PROCESSES ?= 2

.PHONY: demo test test-fast check format bench train-device pack-device clean help

help:
	@echo "make demo          bodies over the sample photos, in out/demo/"
	@echo "make test          the whole test suite;  make test-fast leaves the slow ones out"
	@echo "make check         ruff and basedpyright;  make format mends what ruff can"
	@echo "make bench         timings side by side with what you might use instead"
	@echo "make pack-device   DATA=folder  packs what training needs into device_pack/"
	@echo "make train-device  MINUTES=9    trains from device_pack/ with the system's Python, and resumes"

# The core alone is enough to predict; developers' tools come on top of it.
$(VENV)/core: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "monobody needs Python 3.11 or newer: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --retries 1 -c constraints.txt \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/dev: $(VENV)/core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/core
	$(BIN)/monobody predict samples -o out/demo --save overlay,side,glb,json --overwrite
	@echo "Look at out/demo/*_overlay.png, and open out/demo/*.glb in Blender."

# Files of tests side by side, one thread each: two pools of threads on one processor are slower than one.
PYTEST = OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile

test: $(VENV)/dev
	$(PYTEST)

test-fast: $(VENV)/dev
	$(PYTEST) -m "not slow"

check: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

pack-device: $(VENV)/dev
	$(BIN)/python scripts/pack_for_device.py --data "$(DATA)"

# On a bare GPU machine there is no .venv: the system's Python has torch, and nothing is installed.
train-device:
	test -d device_pack || $(MAKE) pack-device
	PYTHONPATH=src $(PYTHON) -m monobody.train.device --pack device_pack --out runs/device --minutes $(MINUTES)

clean:
	rm -rf $(VENV) out runs dist build
