"""Makes the sample data: chest pictures and brain crops of patients who never existed.

    python scripts/make_sample_data.py [--out sample_data] [--only 'cxr_p00*']

Needs numpy, scipy, Pillow and nibabel. Every file has its own seed, so that a file comes out the
same whether it is made alone or with the others; with the same library versions, to the byte.
"""

from __future__ import annotations

import argparse
import csv
import fnmatch
import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from phantoms.acquisition import STYLES, take_picture
from phantoms.brain import make_volume
from phantoms.cohort import SEED, ChestScan, chest_cohort
from PIL import Image

VOLUMES = 12
DEEP_WHITE = 4095


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files that match ``--only`` below ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    repository = Path(__file__).resolve().parents[1]
    parser.add_argument("--out", type=Path, default=repository / "sample_data")
    parser.add_argument("--only", default="*", help="make only the files of this name pattern")
    options = parser.parse_args(arguments)
    for folder in ("cxr/images", "cxr/masks", "volumes/images", "volumes/labels"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    cohort = chest_cohort()
    for scan in cohort:
        if fnmatch.fnmatch(scan.filename, options.only):
            write_chest(scan, options.out / "cxr")
    if fnmatch.fnmatch("metadata.csv", options.only):
        write_metadata(cohort, options.out / "cxr" / "metadata.csv")
    for number in range(1, VOLUMES + 1):
        name = f"brain_{number:02d}.nii.gz"
        if fnmatch.fnmatch(name, options.only):
            write_volume(number, options.out / "volumes", name)


def write_chest(scan: ChestScan, folder: Path) -> None:
    """Write one picture to ``images`` and its mask to ``masks``, both PNG."""
    grey, mask = take_picture(
        scan.style, scan.sex == "F", [SEED, 1, scan.patient], [SEED, 1, scan.patient, scan.scan]
    )
    if scan.deep:
        stored = Image.fromarray(np.rint(grey * (DEEP_WHITE / 255.0)).astype(np.uint16))
    else:
        stored = Image.fromarray(np.rint(grey).astype(np.uint8))
    stored.save(folder / "images" / scan.filename, optimize=True)
    Image.fromarray(mask).save(folder / "masks" / scan.filename, optimize=True)


def write_metadata(cohort: Sequence[ChestScan], path: Path) -> None:
    """Write one row per chest picture."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["filename", "patient_id", "site", "sex", "age", "view"])
        for scan in cohort:
            view = STYLES[scan.style].view
            rows.writerow([scan.filename, scan.patient_id, scan.site, scan.sex, scan.age, view])


def write_volume(number: int, folder: Path, name: str) -> None:
    """Write one volume to ``images`` and its label map to ``labels``, both NIfTI."""
    volume = make_volume(number)
    nifti: Any = nib.Nifti1Image
    for part, voxels in (("images", volume.voxels), ("labels", volume.labels)):
        image = nifti(voxels, volume.affine)
        image.header.set_xyzt_units("mm")
        image.set_sform(volume.affine, code=1)
        image.set_qform(volume.affine, code=1)
        packed = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as stream:
            stream.write(image.to_bytes())
        (folder / part / name).write_bytes(packed.getvalue())


if __name__ == "__main__":
    main()
