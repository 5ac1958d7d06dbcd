#!/usr/bin/env bash
# Have other programs read this project's exports, and keep what they saw in
# tests/exchange/golden/exports.json. They are too heavy for the project's own environment, so each
# group gets one of its own in a temporary folder. Run it after a change of what an export says.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3.11}     # has the project installed with its dev extra
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
here=scripts/golden_exports

"$python" "$here/make.py" "$work/exports"

"$python" -m venv "$work/volumes"
"$work/volumes/bin/pip" install -q highdicom==0.28.2 slicerio==1.4.0 dcmqi==1.5.7 \
  pycocotools==2.0.11 SimpleITK pynrrd dicom-anonymizer==2.1.0
PATH="$work/volumes/bin:$PATH" "$work/volumes/bin/python" "$here/read.py" \
  "$work/exports" "$work/1.json" slicerio highdicom dcmqi pycocotools dicom-anonymizer

"$python" -m venv "$work/pictures"
"$work/pictures/bin/pip" install -q datumaro==1.13.12 protobuf label-studio-sdk==2.1.2 \
  cvat-sdk==2.80.0
"$work/pictures/bin/python" "$here/read.py" \
  "$work/exports" "$work/2.json" datumaro label-studio-sdk cvat-sdk

# MONAI Label needs torch and monai, which the project's environment has.
"$python" -m pip install -q --target "$work/monai" --no-deps monailabel==0.8.5 expiring_dict \
  watchdog pydantic pydantic-core pydantic-settings annotated-types typing-inspection \
  python-dotenv cachetools passlib sortedcontainers requests requests-toolbelt schedule bcrypt
PYTHONPATH="$work/monai" "$python" -W ignore "$here/read.py" \
  "$work/exports" "$work/3.json" monailabel

"$python" "$here/join.py" "$work/exports/contents.json" "$work"/[123].json \
  > tests/exchange/golden/exports.json
