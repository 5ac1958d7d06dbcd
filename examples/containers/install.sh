#!/bin/sh
# Install the source in the folder of this repository into /opt/coldal-tui, on Debian 12 or later;
# both recipes beside this file call it. Needs root, Debian's packages and PyPI.
set -eu
cd "$(dirname "$0")/../.."
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --yes --no-install-recommends python3 python3-venv ca-certificates less man-db >/dev/null
python3 -m venv /opt/coldal-tui
pip="/opt/coldal-tui/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check"
$pip -r constraints-torch.txt
$pip --no-deps --require-hashes -r constraints.txt
$pip --no-deps --no-build-isolation .
/opt/coldal-tui/bin/python -m pip check --disable-pip-version-check
ln -sf /opt/coldal-tui/bin/coldal-tui /usr/local/bin/coldal-tui
rm -rf /var/lib/apt/lists/*
