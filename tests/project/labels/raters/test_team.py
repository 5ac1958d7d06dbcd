"""A team of three with different hands: figures that find each habit, and disputes that end.

Ana draws every edge a voxel wider, ben leaves every second slice out, carla swaps two classes.
"""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.incoming.rater_agreement import dice_of, hd95_of
from coldal_tui.exchange.masks.rle import decode_brush
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project import history
from coldal_tui.project.export.third_person import export_disputes
from coldal_tui.project.labels.files import unknown_files
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.labels.raters.adjudication import adjudicate, list_disputes, list_waiting
from coldal_tui.project.labels.raters.drawings import standing_of
from coldal_tui.project.labels.raters.rater_figures import read_figures
from coldal_tui.project.labels.raters.rater_words import bias_words

SHAPE = (20, 18, 8)
AFFINE = np.diag([1.0, 1.0, 3.0, 1.0])
TOML = '[classes]\nnames = ["left", "right"]\n'
TABLES = ("labels", "queue", "quarantine", "handouts", "exports")


def truth() -> np.ndarray:
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[4:9, 4:13, 1:7] = 1
    voxels[12:16, 5:11, 1:7] = 2
    return voxels


def fat(voxels: np.ndarray) -> np.ndarray:
    """Every structure a voxel wider within its slices."""
    cross = np.zeros((3, 3, 3), bool)
    cross[:, 1, 1] = cross[1, :, 1] = True
    wide = np.zeros_like(voxels)
    for value in (1, 2):
        wide[ndimage.binary_dilation(voxels == value, cross)] = value
    return wide


def gappy(voxels: np.ndarray) -> np.ndarray:
    """Every second slice left empty."""
    return np.where(np.arange(SHAPE[2]) % 2 == 0, voxels, 0).astype(np.uint8)


def swapped(voxels: np.ndarray) -> np.ndarray:
    return np.array([0, 2, 1], np.uint8)[voxels]


HANDS = {"ana": fat, "ben": gappy, "carla": swapped}
OUT = {"v0": "ana,ben", "v1": "ben,carla", "v2": "ana,carla"}


@pytest.fixture
def project(lab):
    """Three volumes, each handed to two of the three."""
    for scan in OUT:
        lab.volume(f"{scan}.nii.gz", AFFINE, SHAPE)
    opened = lab.start(TOML)
    for rank, (scan, people) in enumerate(OUT.items(), start=1):
        opened.store.insert(
            "queue", scan_id=scan, round=0, rank=rank, role="medoid", terms={}, status="exported",
            assignee=people,
        )  # fmt: skip
    return opened


def comes_back(lab, project, person: str, scan: str, drawn: np.ndarray | None = None):
    folder = lab.masks / person
    folder.mkdir(exist_ok=True)
    voxels = HANDS[person](truth()) if drawn is None else drawn
    nib.save(nib.Nifti1Image(voxels, AFFINE), folder / f"{scan}.nii.gz")
    return import_masks(project, folder / f"{scan}.nii.gz", match="{annotator}/{stem}")


def everybody(lab, project) -> None:
    for scan, people in OUT.items():
        for person in people.split(","):
            comes_back(lab, project, person, scan)


def tables(project) -> list:
    return [project.store.rows(f"SELECT * FROM {name}") for name in TABLES]


def test_the_figures_find_each_habit(lab, project):
    comes_back(lab, project, "ana", "v0")
    assert [(w.scan_id, w.back, w.missing) for w in list_waiting(project)] == [
        ("v0", "1 of 2 back", ("ben",))
    ]
    everybody(lab, project)

    figures = read_figures(project)

    assert (figures.disputed, figures.waiting) == (3, 0)
    ana, ben, carla = figures.people
    assert [(p.name, p.scans, p.shared) for p in figures.people] == [
        ("ana", 2, 2),
        ("ben", 2, 2),
        ("carla", 2, 2),
    ]
    # Ana beside ben (half the slices) and carla (the other class), counted by hand:
    volumes = {n: [int((HANDS[p](truth()) == n).sum()) for p in HANDS] for n in (1, 2)}
    fat1, gap1, swap1 = volumes[1]
    assert (fat1, gap1, swap1) == (438, 135, 144)
    assert ana.bias["left"].ratio == pytest.approx((fat1 / gap1 + fat1 / swap1) / 2)
    assert (ana.bias["left"].over, ana.bias["left"].under) == (2, 0)
    # Ben left slices 1, 3 and 5 empty on both of his scans.
    assert (ben.bias["left"].gaps, ben.bias["left"].gap_scans) == (6, 2)
    assert ana.bias["left"].gaps == carla.bias["left"].gaps == 0
    # Carla's left is others' right on both.
    assert carla.bias["left"].swaps == {"right": 2}
    assert ben.bias["left"].swaps == {"right": 1}
    assert "draws 214% more" in bias_words(ana.bias["left"])
    assert "left 6 slices empty that others drew, on 2 scans" in bias_words(ben.bias["left"])
    words = "on 2 scans, what is drawn as this class is right to others"
    assert words in bias_words(carla.bias["left"])


def test_agreement_of_two_is_dice_and_hd95_of_their_drawings(lab, project):
    everybody(lab, project)
    pair = next(p for p in read_figures(project).pairs if (p.first, p.second) == ("ana", "ben"))
    a, b = fat(truth()), gappy(truth())
    for value, name in enumerate(("left", "right"), start=1):
        dice, hd95 = pair.alike.classes[name]
        assert dice == pytest.approx(dice_of(a == value, b == value))
        assert hd95 == pytest.approx(hd95_of(a == value, b == value, (1.0, 1.0, 3.0)))
    assert (pair.alike.scans, pair.alike.unit) == (1, "mm")


def test_disputes_come_by_size_and_adjudication_ends_each(lab, project):
    everybody(lab, project)
    disputes = list_disputes(project)
    hands = {name: hand(truth()) for name, hand in HANDS.items()}
    sizes = {
        scan: int((hands[a] != hands[b]).sum())
        for scan, (a, b) in ((s, p.split(",")) for s, p in OUT.items())
    }
    assert [(d.scan_id, d.differing) for d in disputes] == sorted(
        sizes.items(), key=lambda one: (-one[1], one[0])
    )
    before = tables(project)

    assert adjudicate(project, ["v2"], "A") == {"v2": "the drawing of ana"}
    assert adjudicate(project, ["v1"], "Ben") == {"v1": "the drawing of ben"}
    assert adjudicate(project, ["v0"], "consensus") == {"v0": "majority of ana, ben"}

    assert list_disputes(project) == []
    labels = project.layout.labels
    np.testing.assert_array_equal(read_label(labels / "v2.nii.gz"), hands["ana"])
    np.testing.assert_array_equal(read_label(labels / "v1.nii.gz"), hands["ben"])
    alike = np.where(hands["ana"] == hands["ben"], hands["ana"], 255)
    np.testing.assert_array_equal(read_label(labels / "v0.nii.gz"), alike)
    statuses = project.store.tuples("SELECT DISTINCT status FROM queue")
    assert statuses == [("labelled",)]
    after = tables(project)
    for _ in range(3):
        history.undo(project, history.next_undo(project)["audit_id"])
    assert tables(project) == before
    for _ in range(3):
        history.redo(project)
    assert tables(project) == after
    assert unknown_files(project) == []


def test_in_label_studio_both_drawings_are_predictions_without_names(lab, project):
    """Slice by slice along the thickest axis: as many pixels of each class as were drawn."""
    comes_back(lab, project, "ana", "v0")
    comes_back(lab, project, "ben", "v0")

    report = export_disputes(project, ["v0"], "carla", format="label-studio")

    folder = report.folder / "carla"
    tasks = json.loads((folder / "tasks.json").read_text())
    assert len(tasks) == SHAPE[2]
    versions = [[one["model_version"] for one in task["predictions"]] for task in tasks]
    assert versions == [["drawing A", "drawing B"]] * SHAPE[2]
    for which, hand in enumerate((fat, gappy)):
        pixels = {1: 0, 2: 0}
        for task in tasks:
            for region in task["predictions"][which]["result"]:
                value = 1 + ["left", "right"].index(region["value"]["brushlabels"][0])
                size = region["original_height"], region["original_width"]
                pixels[value] += int((decode_brush(region["value"]["rle"], *size) > 0).sum())
        drawn = hand(truth())
        assert pixels == {value: int((drawn == value).sum()) for value in (1, 2)}
    ids = [one["id"] for task in tasks for p in task["predictions"] for one in p["result"]]
    assert len(set(ids)) == len(ids)
    # What went along is nobody's mask when the folder comes back untouched.
    assert import_masks(project, report.folder).accepted == ()


def test_a_third_gets_the_disputes_with_both_drawings_and_a_consensus_follows(lab, project):
    comes_back(lab, project, "ana", "v0")
    comes_back(lab, project, "ben", "v0")

    report = export_disputes(project, ["v0"], "carla")

    sent = sorted(p.name for p in (report.folder / "carla" / "drawings").iterdir())
    assert sent == ["v0.A.nii.gz", "v0.B.nii.gz"]
    for name, hand in zip(sent, (fat, gappy), strict=True):
        drawn = read_label(report.folder / "carla" / "drawings" / name)
        np.testing.assert_array_equal(drawn, hand(truth()))
    text = (report.folder / "carla" / "manifest.json").read_text()
    assert "ana" not in text
    assert "ben" not in text
    assert standing_of(project.store, "v0").back == "2 of 3 back"
    # The drawings that went along are no masks of hers.
    assert import_masks(project, report.folder).accepted == ()
    with pytest.raises(UsageError, match="not in dispute"):
        export_disputes(project, ["v0"], "dora")

    late = truth()
    nib.save(nib.Nifti1Image(late, AFFINE), report.folder / "carla" / "masks" / "v0.nii.gz")
    (third,) = import_masks(project, report.folder / "carla").disputed
    assert third.author == "carla"

    adjudicate(project, ["v0"], "consensus", rule="majority")
    images = [sitk.GetImageFromArray(one) for one in (fat(truth()), gappy(truth()), late)]
    voting = sitk.LabelVotingImageFilter()
    voting.SetLabelForUndecidedPixels(255)
    voted = sitk.GetArrayFromImage(voting.Execute(images))
    np.testing.assert_array_equal(read_label(project.layout.labels / "v0.nii.gz"), voted)

    adjudicate(project, ["v0"], "consensus", rule="staple")
    made = read_label(project.layout.labels / "v0.nii.gz")
    likely = []
    for value in (1, 2):
        tool = sitk.STAPLEImageFilter()
        tool.SetForegroundValue(value)
        tool.SetMaximumIterations(5000)
        likely.append(sitk.GetArrayFromImage(tool.Execute(images)))
    stack = np.stack(likely)
    expected = np.where(stack.max(axis=0) > 0.5, stack.argmax(axis=0) + 1, 0)
    np.testing.assert_array_equal(made, expected)


def test_a_late_fourth_reopens_what_a_person_decided_and_the_label_stays(lab, project):
    everybody(lab, project)
    adjudicate(project, ["v0"], "ana")
    (lab.masks / "dora").mkdir()
    nib.save(nib.Nifti1Image(truth(), AFFINE), lab.masks / "dora" / "v0.nii.gz")

    report = import_masks(project, lab.masks / "dora", match="{annotator}/{stem}")

    assert [v.message for v in report.disputed] == [
        "dora differs from the label by ana that a person decided on, which stays"
    ]
    np.testing.assert_array_equal(read_label(project.layout.labels / "v0.nii.gz"), fat(truth()))
    assert [(d.people, d.label_by) for d in list_disputes(project) if d.scan_id == "v0"] == [
        (("ana", "ben", "dora"), "ana")
    ]


def test_a_consensus_that_shows_nothing_is_no_label(lab, project):
    """What ana and carla draw is never of the same class."""
    everybody(lab, project)
    with pytest.raises(ColdalError, match="shows no class"):
        adjudicate(project, ["v2"], "consensus")
    assert not (project.layout.labels / "v2.nii.gz").exists()
    assert len(list_disputes(project)) == 3


def test_nobody_is_picked_who_drew_nothing(lab, project):
    comes_back(lab, project, "ana", "v0")
    with pytest.raises(UsageError, match="drew nothing") as caught:
        adjudicate(project, ["v0"], "carla")
    assert caught.value.remedy == "pick A (ana), or consensus"
    with pytest.raises(UsageError, match="two people"):
        adjudicate(project, ["v0"], "consensus")
    with pytest.raises(UsageError, match="nobody's drawing"):
        adjudicate(project, ["v2"], "A")
    # One may be taken without waiting for the other.
    adjudicate(project, ["v0"], "A")
    assert list_waiting(project) == []
