"""Makes ``dcmqi_seg.dcm``: a segmentation that dcmqi (ITK and DCMTK) wrote for the tests' series.

Run with dcmqi and the project installed: ``python make_dcmqi_seg.py``. The series is that of
``dicom_files.write_series``; what is drawn is ``DRAWN``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.support import dicom_files as made  # noqa: E402

DRAWN = {
    "organ": [((2, 6), (1, 4), (1, 2)), ((0, 1), (0, 1), (1, 2)), ((3, 8), (2, 5), (3, 4))],
    "tumour": [((4, 7), (2, 6), (3, 4)), ((8, 9), (5, 6), (4, 5))],
}
"""Boxes (first, last + 1) along i, j and k by segment; nothing lies on slices 0 and 2."""


def voxels(name: str) -> np.ndarray:
    """A segment on the grid of the series, (i, j, k)."""
    drawn = np.zeros((made.COLUMNS, made.ROWS, made.SLICES), np.uint8)
    for box in DRAWN[name]:
        drawn[tuple(slice(*edge) for edge in box)] = 1
    return drawn


def _code(value: str, meaning: str) -> dict[str, str]:
    return {"CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning}


def _segment(name: str) -> dict[str, object]:
    return {
        "labelID": 1,
        "SegmentDescription": name,
        "SegmentLabel": name,
        "SegmentAlgorithmType": "MANUAL",
        "SegmentedPropertyCategoryCodeSequence": _code("123037004", "Anatomical Structure"),
        "SegmentedPropertyTypeCodeSequence": _code("10200004", "Liver"),
        "recommendedDisplayRGBValue": [221, 130, 101],
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        affine = np.asarray(made.write_series(root / "ct").target.affine)
        for name in DRAWN:
            nib.save(nib.Nifti1Image(voxels(name), affine), root / f"{name}.nii.gz")
        meta = {
            "ContentCreatorName": "Rater^Ann",
            "ClinicalTrialSeriesID": "1",
            "ClinicalTrialTimePointID": "1",
            "SeriesDescription": "Segmentation",
            "SeriesNumber": "300",
            "InstanceNumber": "1",
            "ContentLabel": "SEGMENTATION",
            "ContentDescription": "x",
            "ClinicalTrialCoordinatingCenterName": "x",
            "segmentAttributes": [[_segment(name)] for name in DRAWN],
        }
        (root / "meta.json").write_text(json.dumps(meta))
        images = ",".join(str(root / f"{name}.nii.gz") for name in DRAWN)
        arguments = {
            "--inputImageList": images,
            "--inputDICOMDirectory": str(root / "ct"),
            "--inputMetadata": str(root / "meta.json"),
            "--outputDICOM": str(HERE / "dcmqi_seg.dcm"),
        }
        words = [word for pair in arguments.items() for word in pair]
        subprocess.run(["itkimage2segimage", *words, "--skip"], check=True)


if __name__ == "__main__":
    main()
