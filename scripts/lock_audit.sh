#!/usr/bin/env bash
# Pins bandit and pip-audit with the hashes of their files into constraints-audit.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q pip-tools
printf 'bandit\npip-audit\n' > "$work/audit.in"
"$work/venv/bin/pip-compile" -q --generate-hashes --allow-unsafe --strip-extras --no-header \
  --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
  --no-emit-options --output-file "$work/audit.txt" "$work/audit.in"
{
  echo "# bandit and pip-audit, for make audit in an environment of their own: bash scripts/lock_audit.sh"
  cat "$work/audit.txt"
} > constraints-audit.txt
