"""What other programs saw in our exports: every voxel where it belongs, every name as it is.

``scripts/golden_exports.sh`` had them read the exports of ``golden_scans``; the exports made here
say the same, so what they saw holds.
"""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from coldal_tui.exchange.deidentify.dicom import Removed, cleaned
from coldal_tui.exchange.deidentify.keys import Keys
from coldal_tui.exchange.exporters import seg_object
from coldal_tui.imaging.labelfile import read_label
from tests.support import golden_scans
from tests.support import labelled_scans as scans
from tests.support.places import ROOT

GOLDEN = json.loads((ROOT / "tests" / "exchange" / "golden" / "exports.json").read_text())
CLASSES = {"organ": 1, "tumour": 2}


def saw(program: str) -> dict:
    return GOLDEN["programs"][program]["saw"]


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden") / "exports"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seg_object, "__version__", "0")
        golden_scans.write_exports(folder)
    return folder


@pytest.mark.parametrize("fmt", golden_scans.READ)
def test_the_exports_still_say_what_the_programs_read(exports, fmt):
    """Where this fails, run scripts/golden_exports.sh and look at what changed."""
    contents = json.loads((exports / "contents.json").read_text())
    assert contents[fmt] == GOLDEN["contents"][fmt]


def sorted_points(points: np.ndarray) -> np.ndarray:
    return np.array(sorted(np.round(points, 2).tolist()))


@pytest.mark.parametrize("name", CLASSES)
def test_slicerio_sees_every_voxel_in_its_place(name):
    image = scans.oblique()
    at = np.argwhere(scans.ring(scans.SHAPE) == CLASSES[name])
    points = [image.TransformIndexToPhysicalPoint([int(n) for n in one]) for one in at]
    np.testing.assert_allclose(saw("slicerio")[name], sorted_points(np.array(points)), atol=0.011)


@pytest.mark.parametrize("program", ["highdicom", "dcmqi"])
@pytest.mark.parametrize("name", CLASSES)
def test_dicom_readers_see_every_voxel_in_its_place(exports, program, name):
    item = scans.ct_series(exports.parent / f"{program}-{name}")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(list(item.ref.files))
    series = reader.Execute()
    at = np.argwhere(read_label(item.prelabel) == CLASSES[name])
    points = [series.TransformIndexToPhysicalPoint([int(n) for n in one]) for one in at]
    np.testing.assert_allclose(saw(program)[name], sorted_points(np.array(points)), atol=0.011)


def pictures() -> dict[str, np.ndarray]:
    """The labels of the pictures as a person sees them, worked out without the exporters.

    The oblique volume is cut across k; along i the patient's left comes first, along j the front.
    """
    volume = scans.ring(scans.SHAPE)
    matrix = np.array(scans.oblique().GetDirection()).reshape(3, 3)
    across = volume if matrix[0, 0] > 0 else volume[::-1]
    upright = across if matrix[1, 1] > 0 else across[:, ::-1]
    found = {f"brain__z000{k}.png": upright[:, :, k].T for k in range(5)}
    return found | {"photo.png": scans.ring((7, 9))}


FLAT = {
    "pycocotools": lambda: saw("pycocotools"),
    "datumaro, COCO": lambda: saw("datumaro")["coco"],
    "datumaro, CVAT": lambda: saw("datumaro")["cvat"],
    "cvat-sdk": lambda: saw("cvat-sdk"),
    "label-studio-sdk": lambda: saw("label-studio-sdk"),
}


@pytest.mark.parametrize("program", FLAT)
def test_picture_readers_see_every_pixel(program):
    expected = {
        file: {
            name: np.argwhere(label == value).tolist()
            for name, value in CLASSES.items()
            if (label == value).any()
        }
        for file, label in pictures().items()
    }
    assert FLAT[program]() == expected


def test_monai_label_finds_images_and_proposals_and_nothing_final():
    assert saw("monailabel") == {
        "images": ["brain", "photo"],
        "unlabelled": ["brain", "photo"],
        "proposals": {"brain": "brain.nii.gz", "photo": "photo.png"},
        "final": [],
        "names": [{"name": "organ", "idx": 1}, {"name": "tumour", "idx": 2}],
    }


def test_what_another_anonymizer_takes_out_is_taken_out_here(exports):
    keys = Keys()
    source = exports / "sources" / "telling.dcm"
    before = pydicom.dcmread(source)
    path = exports / "cleaned.dcm"
    path.write_bytes(cleaned(source, keys.scan("ct", "p1"), keys, Removed()))
    after = pydicom.dcmread(path)
    other = saw("dicom-anonymizer")
    assert [key for key in other["removed"] if key in after and after[key].value] == []
    assert [key for key in other["changed"] if key in after and after[key] == before[key]] == []
    assert [key for key in other["kept"] if key not in after or after[key] != before[key]] == []
