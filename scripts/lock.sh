#!/usr/bin/env bash
# Resolve pyproject.toml anew: every package pinned, with the hashes of its files, into
# constraints.txt (what everybody needs, and its tests) and constraints-extras.txt (what the extras
# add to that; no package is in both). torch stands apart in constraints-torch.txt without hashes,
# because its builds (CPU, CUDA) are different files under one version.
#
#   scripts/lock.sh           both
#   scripts/lock.sh extras    the extras alone, beside the constraints.txt that is there
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3.11}
extras=(cvat docs encoders onnx published ray slurm)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install -q pip-tools "$(cat constraints-torch.txt)"

# resolve OUTPUT OPTION...
resolve() {
  "$work/venv/bin/pip-compile" -q "${@:2}" --generate-hashes --allow-unsafe \
    --strip-extras --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
    --no-emit-trusted-host --no-emit-options --output-file "$1" pyproject.toml
}

# pinned RESOLVED LEFT_OUT: the blocks of RESOLVED, without torch and what only a GPU build of it
# needs, and without the packages that the file LEFT_OUT pins.
pinned() {
  echo "# Made by scripts/lock.sh from pyproject.toml; do not edit."
  "$work/venv/bin/python" - "$@" <<'PY'
import re
import sys


def blocks(path):
    return re.split(r"\n(?=[A-Za-z0-9])", open(path).read().strip())


def name(block):
    return block.partition("==")[0].lower()


apart = re.compile(r"^(torch==|triton==|nvidia-(?!ml-py)|cuda-)", re.IGNORECASE)
there = {name(block) for block in blocks(sys.argv[2])}
kept = [block for block in blocks(sys.argv[1]) if not apart.match(block) and "==" in block]
print("\n".join(block for block in kept if name(block) not in there))
PY
}

if [ "${1:-}" != extras ]; then
  resolve "$work/all.txt" --extra dev --all-build-deps
  pinned "$work/all.txt" /dev/null > "$work/constraints.txt"
  mv "$work/constraints.txt" constraints.txt
fi
grep -hoE '^[A-Za-z0-9._-]+==[^ ;]+' constraints.txt constraints-torch.txt > "$work/pins.txt"
resolve "$work/extras.txt" "${extras[@]/#/--extra=}" --constraint "$work/pins.txt"
pinned "$work/extras.txt" constraints.txt > "$work/constraints-extras.txt"
mv "$work/constraints-extras.txt" constraints-extras.txt
