# Set-up, demo and checks. Everything lives in .venv, made from pyproject.toml and the pinned,
# hashed constraints; nothing but Python 3.11 has to be there before.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made
DEMO_DIR ?= build/demo
WORKERS ?= 2

.PHONY: venv extras servers monai-label demo test quick lint types docs bench fuzz gpu-check soak lock clean

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt constraints-torch.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r constraints-torch.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q coldal_tui backends  # who can't write here need not compile at each start
	$(BIN)/python -m pip check --disable-pip-version-check
	touch $(STAMP)

# Ray, Slurm, ONNX and the encoders of transformers, for the tests that skip without them.
extras: $(VENV)/.extras

$(VENV)/.extras: $(STAMP) constraints-extras.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r constraints-extras.txt
	$(BIN)/python -m pip check --disable-pip-version-check
	touch $@

# Label Studio, in an environment of its own (1 GB), for the tests that skip without it.
LABEL_STUDIO := .servers/label-studio
servers: $(LABEL_STUDIO)/.made

$(LABEL_STUDIO)/.made: constraints-label-studio.txt
	$(PYTHON) -m venv --clear $(LABEL_STUDIO)
	$(LABEL_STUDIO)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r constraints-label-studio.txt
	touch $@

# MONAI Label, without models, for the tests that skip without it; torch, MONAI and more are those of
# .venv, and pydicom is the older one that it needs.
MONAI_LABEL := .servers/monai-label
monai-label: $(MONAI_LABEL)/.made

$(MONAI_LABEL)/.made: $(VENV)/.extras constraints-monai-label.txt
	$(PYTHON) -m venv --clear $(MONAI_LABEL)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$$($(MONAI_LABEL)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch.pth"
	$(MONAI_LABEL)/bin/python -m pip install --quiet --disable-pip-version-check --ignore-installed --no-deps --require-hashes -r constraints-monai-label.txt
	touch $@

demo: venv
	rm -rf $(DEMO_DIR)
	$(BIN)/coldal-tui demo $(DEMO_DIR)

test: venv
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

# What a change needs while it is made: the tests that train nothing, start no long worker and draw
# no whole screen.
QUICK := $(filter-out tests/test_sample_data.py,$(wildcard tests/test_*.py)) tests/api tests/cli tests/encoders tests/exchange/incoming \
  tests/exchange/masks tests/imaging tests/jobs tests/plugins tests/project tests/selection \
  tests/simulation tests/tui/drawing
NOT_QUICK := --ignore tests/simulation/test_planted.py --ignore tests/selection/test_published.py \
  --ignore tests/selection/test_projection.py

quick: venv
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not e2e and not real" $(QUICK) $(NOT_QUICK)

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv
	$(BIN)/mypy

# The documentation as a site, in build/site; a link that leads nowhere is an error.
docs: extras
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# Every benchmark; --quick in BENCH takes small sizes. Figures: docs/benchmarks.md.
bench: venv
	$(BIN)/python benchmarks/all.py $(BENCH)

# A GPU measured in at most 8 minutes. GPU_PYTHON is a Python whose torch sees the GPU: what else is
# needed comes into an environment of its own over it. WHEELS names a folder of wheels, for a machine
# without a network. Without a GPU the same path runs on the CPU, and says that it saw none.
GPU_PYTHON ?= $(PYTHON)
GPU_VENV := build/gpu-venv
WHEELS ?=
GPU_PIP := -m pip install --quiet --disable-pip-version-check --no-deps $(if $(WHEELS),--no-index --find-links $(WHEELS))
gpu-check:
	if $(GPU_PYTHON) -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then \
	  set -e; $(GPU_PYTHON) -m venv --system-site-packages $(GPU_VENV); \
	  $(GPU_VENV)/bin/python $(GPU_PIP) --require-hashes -r constraints.txt; \
	  $(GPU_VENV)/bin/python $(GPU_PIP) --no-build-isolation --editable .; \
	  $(GPU_VENV)/bin/python benchmarks/gpu_check.py $(GPU_CHECK); \
	else $(MAKE) venv && $(BIN)/python benchmarks/gpu_check.py $(GPU_CHECK); fi

# Known holes: bandit and pip-audit, in an environment of their own. Without a network: skipped.
AUDIT := build/audit
audit:
	$(PYTHON) -m venv $(AUDIT)
	if $(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r constraints-audit.txt; \
	then $(AUDIT)/bin/python scripts/audit.py; \
	else echo "audit skipped: its tools could not be installed"; fi

# Fuzzing needs atheris, in an environment of its own that sees the packages of .venv.
FUZZ := build/fuzz
FUZZ_SECONDS ?= 600
fuzz: venv
	$(PYTHON) -m venv $(FUZZ)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $(FUZZ)/packages.pth
	mv $(FUZZ)/packages.pth $$($(FUZZ)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	if $(FUZZ)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r constraints-fuzz.txt; \
	then PYTHONPATH=.:backends $(FUZZ)/bin/python scripts/soak_fuzz.py --seconds $(FUZZ_SECONDS) --out docs/soak/fuzz.md; \
	else echo "fuzzing skipped: atheris could not be installed"; fi

soak: venv fuzz
	$(BIN)/python scripts/calibration.py --out docs/soak
	$(BIN)/python scripts/soak_jobs.py --kills 100 --out docs/soak
	$(BIN)/python scripts/soak_hostile.py --cases 1000 --out docs/soak/hostile.md
	$(BIN)/python scripts/soak_faults.py --out docs/soak/faults.md
	$(BIN)/python scripts/soak_crowd.py --out docs/soak/crowd.md
	$(BIN)/python scripts/soak_packs.py --out docs/soak/packs.md

lock:
	scripts/lock.sh
	bash scripts/lock_audit.sh

clean:
	rm -rf $(VENV) .servers build
