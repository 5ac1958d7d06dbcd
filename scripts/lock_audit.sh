#!/usr/bin/env bash
# Pins bandit and pip-audit into constraints-audit.txt, and atheris into constraints-fuzz.txt, with
# the hashes of their files.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q pip-tools
lock() {  # FILE COMMENT PACKAGE...
  local file=$1 comment=$2
  shift 2
  printf '%s\n' "$@" > "$work/wanted.in"
  "$work/venv/bin/pip-compile" -q --generate-hashes --allow-unsafe --strip-extras --no-header \
    --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
    --no-emit-options --output-file "$work/wanted.txt" "$work/wanted.in"
  { echo "# $comment: bash scripts/lock_audit.sh"; cat "$work/wanted.txt"; } > "$file"
  rm "$work/wanted.txt"
}
lock constraints-audit.txt "bandit and pip-audit, for make audit in an environment of their own" \
  bandit pip-audit
lock constraints-fuzz.txt "atheris, for make fuzz in an environment of its own (Linux)" atheris
