"""Every export format × kind of scan × way of handing out: what is drawn comes back exactly.

Each cell exports one scan, lets another program's writer draw on it, imports the folder, and
compares the label in every voxel. The cells share one project; each draws something else.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.exporters import export_formats
from coldal_tui.exchange.exporters.choices import SliceChoice
from coldal_tui.exchange.incoming.conflicts import ConflictRule
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.imaging.labelfile import IGNORE_LABEL
from coldal_tui.project.export.exporting import ExportReport, Wanted, export_queue
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project
from tests.support import dicom_files
from tests.support.lab import Lab
from tests.support.third_party import CLASSES, WRITERS, Drawing

KINDS = ("grey", "colour", "deep", "oblique", "ct-s1")
WAYS = ("one person", "two people", "de-identified", "slices")
FLAT = ("cvat", "label-studio", "coco")
SHAPES = {"oblique": (5, 6, 4), "ct-s1": (9, 6, 5)}
EVERY = 2

TURN = np.array(
    [
        [0.6687, -0.3251, 0.3, -31],
        [0.2069, 1.0509, -0.4, 12],
        [0.01, 0.11, 3.9, 80],
        [0, 0, 0, 1.0],
    ]
)
NEEDS_DICOM = "a DICOM segmentation needs DICOM images, and these scans are none: "


@dataclass
class Shared:
    """The project of all cells, and the grids of its volumes."""

    project: Project
    folder: Path
    affines: dict[str, np.ndarray]
    cells: itertools.count

    def drawing(self, kind: str, seed: int) -> Drawing:
        """Random, so no symmetry hides a turn; a tenth organ, a tenth tumour."""
        shape = SHAPES.get(kind, (6, 9))
        drawn = np.random.default_rng(seed).choice(3, shape, p=(0.8, 0.1, 0.1)).astype(np.uint8)
        drawn[(0,) * len(shape)], drawn[(-1,) * len(shape)] = 1, 2
        return Drawing(drawn, self.affines.get(kind))

    def hand_out(self, fmt: str, kind: str, way: str) -> ExportReport:
        """Export one scan, as if it had never been handed out."""
        with self.project.store.action("test"):
            self.project.store.execute("UPDATE queue SET status = 'queued', assignee = NULL")
        wanted = Wanted(
            cluster=KINDS.index(kind),
            people=("ana", "ben") if way == "two people" else (),
            overlap=1 if way == "two people" else 0,
            slices=SliceChoice(EVERY if way == "slices" else 1),
            deidentify="remove" if way == "de-identified" else None,
        )
        out = self.folder / f"out-{next(self.cells)}"
        return export_queue(self.project, format=fmt, out=out, wanted=wanted)

    def label(self, kind: str) -> np.ndarray:
        """The stored label on the grid of the scan's source."""
        path = self.project.layout.labels / f"{kind}.png"
        if kind not in SHAPES:
            return np.asarray(Image.open(path))
        stored = nib.load(self.project.layout.labels / f"{kind}.nii.gz")
        mine = Drawing(np.asarray(stored.dataobj, np.uint8), stored.affine)
        return mine.on(SHAPES[kind], self.affines[kind])


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    lab = Lab(folder)
    lab.picture("grey.png")
    random = np.random.default_rng(1)
    Image.fromarray(random.integers(1, 255, (6, 9, 3), dtype=np.uint8)).save(
        lab.images / "colour.png"
    )
    Image.fromarray(random.integers(1, 60000, (6, 9), dtype=np.uint16)).save(
        lab.images / "deep.png"
    )
    lab.volume("oblique.nii.gz", TURN, SHAPES["oblique"])
    series = dicom_files.write_series(lab.images / "ct")
    project = lab.start(f"[classes]\nnames = {json.dumps(CLASSES)}\n")
    lab.embed(project)
    lab.map(project, {name: (float(n), 0.0) for n, name in enumerate(KINDS)})
    picks = [(name, "medoid") for name in KINDS]
    lab.select(project, picks, {name: n for n, name in enumerate(KINDS)})
    affines = {"oblique": TURN, "ct-s1": np.array(series.target.affine)}
    yield Shared(project, folder, affines, itertools.count())
    lab.close()


def rows_of(folder: Path) -> list[dict]:
    return json.loads((folder / "manifest.json").read_text())["items"]


@pytest.mark.filterwarnings("ignore:The string:UserWarning:highdicom")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fmt", export_formats())
def test_what_is_drawn_comes_back(shared, fmt, kind, way):
    if fmt == "dicom-seg" and kind != "ct-s1":
        with pytest.raises(ColdalError) as refused:
            shared.hand_out(fmt, kind, way)
        assert refused.value.code == "wrong-format"
        assert refused.value.what.startswith(NEEDS_DICOM)
        assert refused.value.remedy == "Use --to slicer or --to nifti for them."
        return
    report = shared.hand_out(fmt, kind, way)
    seed = next(shared.cells)
    names = report.pseudonyms if way == "de-identified" else {}
    people = ("ana", "ben") if way == "two people" else (None,)
    drawn = {}
    for number, person in enumerate(people):
        place = report.folder / person if person else report.folder
        (row,) = rows_of(place)
        assert row["scan_id"] == names.get(kind, kind)
        drawn[person] = shared.drawing(kind, seed + 1000 * number)
        WRITERS[fmt](place, row, drawn[person])

    options = ImportOptions(conflict=ConflictRule.parse("annotator:ben"))
    taken = import_masks(shared.project, report.folder, options=options)

    assert [v.message for v in (*taken.quarantined, *taken.unmatched)] == []
    assert [v.scan_id for v in taken.accepted] == [kind]
    assert len(taken.kept) == len(people) - 1
    if way == "two people":
        authors = [v.author for v in (*taken.accepted, *taken.kept)]
        assert authors == ["ben", "ana"]
    expected = drawn[people[-1]].values.copy()
    if way == "slices" and fmt in FLAT and kind in SHAPES:
        view = row["slices"]
        out = [one["index"] for one in view["files"]]
        away = [n for n in range(expected.shape[view["axis"]]) if n not in out]
        assert len(away) >= len(out) - 1
        np.moveaxis(expected, view["axis"], 0)[away] = IGNORE_LABEL
    np.testing.assert_array_equal(shared.label(kind), expected)
