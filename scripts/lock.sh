#!/usr/bin/env bash
# Resolve pyproject.toml anew into constraints.txt: every package pinned, with the hashes of its
# files. torch stands apart in constraints-torch.txt without hashes, because its builds (CPU, CUDA)
# are different files under one version.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3.11}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install -q pip-tools "$(cat constraints-torch.txt)"
"$work/venv/bin/pip" freeze --exclude-editable > "$work/torch.txt"
"$work/venv/bin/pip-compile" -q --extra dev --all-build-deps --generate-hashes --allow-unsafe \
  --strip-extras --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
  --no-emit-trusted-host --no-emit-options \
  --output-file "$work/all.txt" pyproject.toml
# torch and what only a GPU build of it needs leave the hashed list.
"$work/venv/bin/python" - "$work/all.txt" > constraints.txt <<'PY'
import re
import sys

blocks = re.split(r"\n(?=[A-Za-z0-9])", open(sys.argv[1]).read().strip())
apart = re.compile(r"^(torch==|triton==|nvidia-(?!ml-py)|cuda-)", re.IGNORECASE)
kept = [block for block in blocks if not apart.match(block) and "==" in block]
print("# Made by scripts/lock.sh from pyproject.toml; do not edit.")
print("\n".join(kept))
PY
