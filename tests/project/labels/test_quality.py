"""Labels to look at again: the score by hand, the reasons, what is remembered."""

from __future__ import annotations

import json
from math import exp
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from coldal_tui.imaging.labelfile import write_label
from coldal_tui.imaging.labelshape import ClassShape
from coldal_tui.project.labels import quality
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.labels.quality import LabelCheck, check_labels, shape_score, softmin, told
from coldal_tui.project.project import Project
from tests.support.overlays import add_masks, add_run, square

BLOCK = square(rows=(1, 5), columns=(1, 5))
LEFT = square(rows=(1, 7), columns=(1, 4))
RIGHT = square(rows=(1, 7), columns=(4, 7))
SURE, UNSURE = np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)


def speckled() -> np.ndarray:
    made = BLOCK.copy()
    made[6:, 6:] = square(rows=(6, 7), columns=(6, 7))[6:, 6:]
    return made


@pytest.fixture
def eights(lab) -> Project:
    """Scans ``a``, ``b`` and ``c`` of 8 × 8 pixels."""
    for name in ("a", "b", "c"):
        lab.picture(f"{name}.png", (8, 8))
    return lab.start('[classes]\nnames = ["lung"]\n')


def counts(**pixels: int) -> np.ndarray:
    """``h0=3``: three pixels of entropy 0."""
    made = np.zeros(256, np.int64)
    for name, number in pixels.items():
        made[int(name[1:])] = number
    return made


def test_softmin_weighs_by_the_distance_from_certainty() -> None:
    """Probabilities 1, 1 and 0: weights 1, 1 and e¹⁰."""
    found = softmin(counts(h0=2), counts(h0=1), classes=2)
    assert found == pytest.approx(2 / (2 + exp(10)))


def test_an_unsure_prediction_believes_as_much_in_one_class_as_in_the_other() -> None:
    assert softmin(counts(h255=5), counts(), classes=2) == pytest.approx(0.5)
    assert softmin(counts(), counts(h255=5), classes=2) == pytest.approx(0.5)
    assert softmin(counts(h255=2), counts(h255=2), classes=4) == pytest.approx(0.25)


def test_entropy_lowers_belief_where_the_prediction_agrees_and_raises_it_elsewhere() -> None:
    """h = 51/255 = 0.2 of three classes: 1 − 0.2 · 2/3, and 0.2/3."""
    assert softmin(counts(h51=1), counts(), classes=3) == pytest.approx(1 - 0.4 / 3)
    assert softmin(counts(), counts(h51=1), classes=3) == pytest.approx(0.2 / 3)


def test_without_pixels_nothing_speaks_against_a_label() -> None:
    assert softmin(counts(), counts(), classes=2) == 1.0


@pytest.mark.parametrize(
    ("shapes", "score"),
    [
        ([], 1.0),
        ([ClassShape(specks=2)], 0.8),
        ([ClassShape(specks=9), ClassShape(holes=1)], 0.6),
        ([ClassShape(border=0.06), ClassShape(border=0.9)], 0.95),
        ([ClassShape(9, 9, 9, 1.0)], 0.05),
    ],
)
def test_what_shapes_take_from_the_score(shapes: list[ClassShape], score: float) -> None:
    assert shape_score(shapes) == pytest.approx(score)


def test_findings_in_words() -> None:
    assert told("lung", ClassShape(1, 2, 3, 0.126)) == [
        "lung: 3 empty slices in between",
        "lung: 1 speck",
        "lung: 2 small holes",
        "lung: 13% of the outline is the image's border",
    ]
    assert told("lung", ClassShape(border=0.05)) == []


def test_without_a_prediction_the_shape_decides(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": BLOCK, "b": speckled()})
    assert check_labels(eights) == [
        LabelCheck("b", pytest.approx(0.9), None, ("lung: 1 speck",)),
        LabelCheck("a", 1.0, None, ()),
    ]


def test_without_an_entropy_map_dice_decides(eights: Project, lab) -> None:
    """BLOCK and LEFT share 12 of 16 and 18 pixels: 24 / 34."""
    add_masks(eights, lab.masks, {"a": BLOCK})
    add_run(eights, "run-001", {"a": LEFT})
    (found,) = check_labels(eights)
    assert found.score == found.agreement == pytest.approx(24 / 34)


def test_a_sure_prediction_of_something_else_counts_most(eights: Project, lab) -> None:
    """Labels of 18 pixels; 36 of 64 are predicted otherwise, surely or not at all surely."""
    add_masks(eights, lab.masks, {"a": LEFT, "b": LEFT, "c": LEFT})
    shifted = square(rows=(1, 7), columns=(2, 5))
    entropy = {"a": SURE, "b": UNSURE, "c": SURE}
    add_run(eights, "run-001", {"a": shifted, "b": shifted, "c": LEFT}, entropy=entropy)
    a, b, c = check_labels(eights)
    assert (a.scan_id, b.scan_id, c.scan_id) == ("a", "b", "c")
    assert a.score == pytest.approx(52 / (52 + 12 * exp(10)))
    assert a.findings == ("run-001 surely sees something else on 12 pixels",)
    assert (b.score, b.agreement) == (pytest.approx(0.5), pytest.approx(2 / 3))
    assert b.findings == ()
    assert (c.score, c.findings) == (1.0, ())


def test_a_run_that_learnt_from_the_label_is_no_judge(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": LEFT})
    add_run(eights, "run-001", {"a": RIGHT}, trained=["a"], entropy={"a": SURE})
    assert check_labels(eights) == [LabelCheck("a", 1.0, None, ())]


def test_a_slice_that_was_forgotten_lies_along_the_coarsest_spacing(lab) -> None:
    """Spacing 1 × 3 × 1 mm: one of the slices 1 to 4 along the second axis is empty."""
    affine = np.diag([1.0, 3.0, 1.0, 1.0])
    lab.volume("v.nii.gz", affine, (6, 6, 7))
    project = lab.start('[classes]\nnames = ["lung"]\n')
    mask = np.zeros((6, 6, 7), np.uint8)
    mask[1:5, 1:5, 1:6] = 1
    mask[:, 3] = 0
    nib.save(nib.Nifti1Image(mask, affine), lab.masks / "v.nii.gz")
    import_masks(project, lab.masks)
    (found,) = check_labels(project)
    assert "lung: 1 empty slice in between" in found.findings


def inverted(rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    """Drawn everywhere but in one rectangle."""
    return (1 - square(rows=rows, columns=columns)).astype(np.uint8)


def told_inverted(project: Project) -> dict[str, str]:
    return {
        check.scan_id: words
        for check in check_labels(project)
        for words in check.findings
        if "inverted" in words
    }


@pytest.fixture
def four(lab) -> Project:
    for name in "abcd":
        lab.picture(f"{name}.png", (8, 8))
    return lab.start('[classes]\nnames = ["lung"]\n')


def test_a_label_like_no_other_looks_inverted(four: Project, lab) -> None:
    """48 of 64 pixels are drawn, with all 28 of the border; three others draw none of theirs.

    It is a warning alone: the score is that of an outline at the border.
    """
    add_masks(four, lab.masks, {"a": inverted((2, 6), (2, 6)), "b": BLOCK, "c": LEFT, "d": RIGHT})
    assert told_inverted(four) == {
        "a": "it looks inverted: 75% of it is drawn, and the image's whole border, which other "
        "labels leave free"
    }
    assert check_labels(four)[0].score == 0.95


def test_labels_of_a_project_that_draws_borders_are_not_inverted(four: Project, lab) -> None:
    whole = inverted((2, 6), (2, 6))
    add_masks(four, lab.masks, {"a": whole, "b": whole, "c": whole, "d": BLOCK})
    assert told_inverted(four) == {}


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (
            inverted((3, 5), (3, 6)),
            "it looks inverted: 91% of it is drawn, and the image's whole border",
        ),
        (inverted((2, 6), (2, 6)), None),
        (inverted((3, 5), (0, 3)), None),
    ],
)
def test_with_few_others_nine_tenths_must_be_drawn(
    eights: Project, lab, mask: np.ndarray, words: str | None
) -> None:
    """58, 48 and 58 of 64 pixels; the last leaves two pixels of the border free."""
    add_masks(eights, lab.masks, {"a": mask, "b": BLOCK})
    assert told_inverted(eights) == ({"a": words} if words else {})


def test_what_was_found_is_not_looked_for_again(
    eights: Project, lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_masks(eights, lab.masks, {"a": BLOCK, "b": speckled()})
    add_run(eights, "run-001", {"a": LEFT, "b": LEFT}, entropy={"a": SURE})
    first, read = check_labels(eights), []
    monkeypatch.setattr(quality, "read_label", read.append)
    assert check_labels(eights) == first
    assert read == []


def test_another_label_is_looked_at_anew_and_the_old_one_forgotten(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": speckled()})
    assert check_labels(eights)[0].findings
    add_masks(eights, lab.folder / "again", {"a": BLOCK})
    assert check_labels(eights)[0].findings == ()
    assert len(json.loads(cache_of(eights).read_bytes())) == 1


def cache_of(project: Project) -> Path:
    return project.layout.cache / "label-check.json"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"x": 1}', b'{"x": {"score": 1}}', b"\xff"])
def test_a_damaged_cache_is_made_anew(eights: Project, lab, content: bytes) -> None:
    add_masks(eights, lab.masks, {"a": BLOCK})
    cache_of(eights).write_bytes(content)
    assert check_labels(eights) == [LabelCheck("a", 1.0, None, ())]
    assert len(json.loads(cache_of(eights).read_bytes())) == 1


def test_nothing_is_written_when_it_is_not_to_be_kept(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": BLOCK})
    check_labels(eights, keep=False)
    assert not cache_of(eights).exists()


def test_stopped_it_keeps_what_it_has(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": BLOCK, "b": speckled()})
    answers = iter([False, True])
    assert [check.scan_id for check in check_labels(eights, stop=lambda: next(answers))] == ["a"]
    assert len(json.loads(cache_of(eights).read_bytes())) == 1


def test_a_label_that_is_damaged_or_gone_comes_first(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": BLOCK, "b": BLOCK, "c": BLOCK})
    (eights.layout.labels / "b.png").write_bytes(b"nothing")
    (eights.layout.labels / "c.png").unlink()
    seen: list[tuple[int, int]] = []
    found = check_labels(eights, progress=lambda done, total: seen.append((done, total)))
    assert [(check.scan_id, check.score) for check in found] == [("b", 0), ("c", 0), ("a", 1)]
    assert found[0].findings[0].startswith("the label's file is not the one that was accepted: ")
    assert found[1].findings[0].startswith("the label's file is gone: ")
    assert all("coldal-tui doctor --repair" in check.findings[0] for check in found[:2])
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_label_changed_by_hand_is_not_judged_in_its_place(eights: Project, lab) -> None:
    """Remembered, too: what was found of the accepted file says nothing about another."""
    add_masks(eights, lab.masks, {"a": BLOCK})
    assert check_labels(eights) == [LabelCheck("a", 1.0, None, ())]
    write_label(eights.layout.labels / "a.png", speckled(), None)
    (found,) = check_labels(eights)
    assert (found.score, len(found.findings)) == (0, 1)
    assert "is not the one that was accepted: coldal-tui doctor --repair" in found.findings[0]


@pytest.mark.parametrize("content", [b"nothing", None])
def test_an_entropy_map_that_does_not_fit_is_left_out(
    eights: Project, lab, content: bytes | None
) -> None:
    add_masks(eights, lab.masks, {"a": LEFT})
    add_run(eights, "run-001", {"a": RIGHT}, entropy={"a": np.zeros((4, 4), np.uint8)})
    if content is not None:
        folder = eights.layout.runs / "run-001" / "predictions" / "entropy"
        (folder / "a.png").write_bytes(content)
    assert check_labels(eights) == [LabelCheck("a", 0.0, 0.0, (), "test-then-train")]
