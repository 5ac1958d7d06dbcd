"""The pages of docs/labelers: their commands are run as they stand, the program is played between.

Each page hands out one scan; what its program writes is made by other packages (third_party); then
the page's import must end well and the label equal the drawing in every voxel.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
from PIL import Image

from tests.support import dicom_files
from tests.support.lab import Lab
from tests.support.places import ROOT
from tests.support.small_projects import Call
from tests.support.third_party import CLASSES, WRITERS, Drawing, write_nnunet

PAGES = ROOT / "docs" / "labelers"
COMMANDS = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHAPES = {"oblique": (5, 6, 4), "grey": (6, 9), "ct-s1": (9, 6, 5)}
TURN = np.array([[-0.7, 0.2, 0, 31], [0.3, -1.1, 0.1, 12], [0, 0.1, 4, 80], [0, 0, 0, 1.0]])

Draw = Callable[[Path, str, Drawing], None]
"""Plays the program: gets the project's folder, the scan and what to draw."""


def commands(page: Path) -> list[list[str]]:
    lines = [line for block in COMMANDS.findall(page.read_text()) for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.strip()]


def row_of(out: Path) -> dict:
    (row,) = json.loads((out / "manifest.json").read_text())["items"]
    return row


def by(fmt: str) -> Draw:
    def draw(root: Path, _scan: str, drawing: Drawing) -> None:
        WRITERS[fmt](root / "to-label", row_of(root / "to-label"), drawing)

    return draw


def mitk(root: Path, scan: str, drawing: Drawing) -> None:
    """MITK 2023 and later: the labels as JSON in the header, numbered in another order."""
    image = nib.load(root / f"to-label/images/{scan}.nii.gz")
    lps = np.diag([-1.0, -1, 1, 1]) @ image.affine
    labels = [{"name": "tumour", "value": 1}, {"name": "organ", "value": 2}]
    header = {
        "space": "left-posterior-superior",
        "space directions": lps[:3, :3].T,
        "space origin": lps[:3, 3],
        "modality": "org.mitk.multilabel.segmentation",
        "org.mitk.multilabel.segmentation.labelgroups": json.dumps([{"labels": labels}]),
    }
    values = np.array([0, 2, 1], np.uint8)[drawing.on(image.shape[:3], image.affine)]
    nrrd.write(str(root / f"to-label/masks/{scan}.nrrd"), values, header)


def cvat(root: Path, scan: str, drawing: Drawing) -> None:
    """CVAT's export is a zip file."""
    by("cvat")(root, scan, drawing)
    returned = root / "to-label" / "returned"
    with zipfile.ZipFile(returned / "task_1_annotations_cvat for images 1.1.zip", "w") as archive:
        archive.write(returned / "annotations.xml", "annotations.xml")
    (returned / "annotations.xml").unlink()


def labelme(root: Path, scan: str, drawing: Drawing) -> None:
    """LabelMe 5: mask shapes, a PNG of their box."""
    shapes = []
    rows, columns = drawing.values.shape
    for value, name in enumerate(CLASSES, start=1):
        stream = io.BytesIO()
        Image.fromarray(drawing.values == value).save(stream, "PNG")
        shapes.append(
            {
                "label": name,
                "points": [[0, 0], [columns - 1, rows - 1]],
                "group_id": None,
                "shape_type": "mask",
                "flags": {},
                "mask": base64.b64encode(stream.getvalue()).decode(),
            }
        )
    document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imageData": None}
    document |= {"imagePath": f"../images/{scan}.png", "imageHeight": rows, "imageWidth": columns}
    (root / f"to-label/masks/{scan}.json").write_text(json.dumps(document))


def nnunet(root: Path, scan: str, drawing: Drawing) -> None:
    """A corrected mask of another shape in labelsTs, and the predictions, which are read last."""
    out = root / "to-label"
    corrected = Drawing(np.roll(drawing.values, 1, axis=0), drawing.affine)
    write_nnunet(out, row_of(out), corrected)
    predictions = root / "predictions"
    predictions.mkdir()
    shutil.copy(out / "dataset.json", predictions)
    (predictions / "plans.json").write_text("{}")
    image = nib.load(out / f"imagesTs/{scan}_0000.nii.gz")
    mask = nib.Nifti1Image(drawing.on(image.shape, image.affine), image.affine)
    nib.save(mask, predictions / f"{scan}.nii.gz")


def totalsegmentator(root: Path, scan: str, drawing: Drawing) -> None:
    """One file per class, also of classes that the project lacks."""
    image = nib.load(root / f"to-label/images/{scan}.nii.gz")
    values = drawing.on(image.shape, image.affine)
    folder = root / "segmentations" / scan
    folder.mkdir(parents=True)
    for number, name in enumerate((*CLASSES, "aorta"), start=1):
        drawn = (values == number).astype(np.uint8)
        drawn[0, 0, 0] |= name == "aorta"
        nib.save(nib.Nifti1Image(drawn, image.affine), folder / f"{name}.nii.gz")


def rtstruct(root: Path, _scan: str, _drawing: Drawing) -> None:
    """BOXES as contours between voxel centres, and a couch that leaves the scan."""
    structures = {
        name: [_box(k, *box) for k in slices] for name, (slices, box) in BOXES.items()
    } | {"Couch": [_box(2, -40, 90, -40, 90)]}
    dataset = dicom_files.structure_set(structures)
    dicom_files.save(dataset, root / "to-label/masks/RS.dcm")


BOXES = {"organ": ((1, 2, 3), (1, 4, 2, 7)), "tumour": ((2,), (4, 6, 0, 2))}
"""Slices, and rows and columns from, to."""


def _box(k: int, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    rows, columns = (top - 0.5, bottom - 0.5), (left - 0.5, right - 0.5)
    corners = [(rows[0], columns[0]), (rows[0], columns[1]), (rows[1], columns[1]),
               (rows[1], columns[0])]  # fmt: skip
    return np.array([dicom_files.position(k, row, column) for row, column in corners])


def boxes_drawn() -> np.ndarray:
    drawn = np.zeros(SHAPES["ct-s1"], np.uint8)
    for value, (slices, (top, bottom, left, right)) in enumerate(BOXES.values(), start=1):
        drawn[left:right, top:bottom, list(slices)] = value
    return drawn


PLAYED: dict[str, tuple[str, Draw]] = {
    "itk-snap": ("oblique", by("nifti")),
    "slicer": ("oblique", by("slicer")),
    "mitk": ("oblique", mitk),
    "monai-label": ("oblique", by("monai-label")),
    "ohif": ("ct-s1", by("dicom-seg")),
    "cvat": ("grey", cvat),
    "label-studio": ("grey", by("label-studio")),
    "labelme": ("grey", labelme),
    "nnunet": ("oblique", nnunet),
    "totalsegmentator": ("oblique", totalsegmentator),
    "rtstruct": ("ct-s1", rtstruct),
}


def test_every_page_is_played_and_linked():
    pages = {page.stem for page in PAGES.glob("*.md")}
    linked = set(re.findall(r"\(labelers/([\w-]+)\.md\)", (ROOT / "docs/formats.md").read_text()))
    assert pages == set(PLAYED) == linked


@pytest.mark.parametrize("name", PLAYED)
def test_the_commands_of_a_page_bring_the_drawing_home(name: str, call: Call, tmp_path: Path):
    scan, draw = PLAYED[name]
    root, affine = make_project(tmp_path, scan)
    random = np.random.default_rng(5).choice(3, SHAPES[scan], p=(0.7, 0.2, 0.1)).astype(np.uint8)
    drawing = Drawing(boxes_drawn() if name == "rtstruct" else random, affine)
    export, *imports = commands(PAGES / f"{name}.md")
    assert export[:2] == ["coldal-tui", "export-queue"]
    assert {words[1] for words in imports} == {"import-masks"}

    assert call(*export[1:], cwd=root).status == 0
    draw(root, scan, drawing)
    for words in imports:
        done = call(*words[1:], cwd=root)
        assert done.status == 0, (words, done.out, done.err)

    if affine is None:
        label = np.asarray(Image.open(root / f"labels/{scan}.png"))
    else:
        stored = nib.load(root / f"labels/{scan}.nii.gz")
        label = Drawing(np.asarray(stored.dataobj), stored.affine).on(SHAPES[scan], affine)
    np.testing.assert_array_equal(label, drawing.values)


def make_project(folder: Path, scan: str) -> tuple[Path, np.ndarray | None]:
    """A project of two classes with this one scan in its queue; the scan's affine."""
    lab = Lab(folder)
    affine = None
    if scan == "grey":
        lab.picture("grey.png")
    elif scan == "oblique":
        affine = TURN
        lab.volume("oblique.nii.gz", affine, SHAPES[scan])
    else:
        affine = np.array(dicom_files.write_series(lab.images / "ct").target.affine)
    project = lab.start(f"[classes]\nnames = {json.dumps(CLASSES)}\n")
    lab.embed(project)
    lab.map(project, {scan: (0.0, 0.0)})
    lab.select(project, [(scan, "medoid")], {scan: 0})
    lab.close()
    return lab.root, affine
