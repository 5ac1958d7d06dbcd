"""Several masks of one scan: which one counts, what becomes of the others."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import UsageError
from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.incoming.conflicts import ConflictRule
from coldal_tui.exchange.incoming.importing import ImportOptions, examine
from tests.support.import_plan import plan_import

CLASSES = ("lung",)
SCAN = ScanTarget("a", (6, 9), ("a.png",))


def draw(path, columns: int, value: int = 1, at: float | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.zeros((6, 9), np.uint8)
    array[:, :columns] = value
    Image.fromarray(array).save(path)
    if at is not None:
        os.utime(path, (at, at))


@pytest.fixture
def three(tmp_path):
    """Anna drew 2 columns, Ben 4, Carl 5; Ben last."""
    for name, columns, at in (("anna", 2, 1000), ("ben", 4, 3000), ("carl", 5, 2000)):
        draw(tmp_path / name / "a.png", columns, at=at)
    return tmp_path


def run(source, rule: str, match: str | None = None):
    options = ImportOptions(conflict=ConflictRule.parse(rule))
    return list(examine(source, [SCAN], CLASSES, None, match=match, options=options))


def counted(verdicts) -> list[tuple[str, str, int]]:
    """Status, folder and drawn columns, in the order in which they become versions."""
    return [
        (v.status, v.file.parent.name, int(v.label.sum()) // 6)
        for v in verdicts
        if v.label is not None
    ]


def test_the_newest_counts_and_the_others_are_kept(three):
    assert counted(run(three, "newest")) == [
        ("kept", "anna", 2),
        ("kept", "carl", 5),
        ("accepted", "ben", 4),
    ]


def test_of_masks_of_the_same_time_none_is_the_newest(three):
    os.utime(three / "carl" / "a.png", (3000, 3000))

    verdicts = run(three, "newest")

    assert {v.code for v in verdicts} == {"conflict"}
    assert "2 of them are equally new" in verdicts[0].message


def test_an_annotator_is_known_by_the_folder(three):
    verdicts = run(three, "annotator:Anna")

    assert counted(verdicts)[-1] == ("accepted", "anna", 2)
    assert any("this one counts (by Anna)" in note for note in verdicts[-1].notes)


def test_an_annotator_is_known_by_the_template(tmp_path):
    draw(tmp_path / "a_1st.png", 2)
    draw(tmp_path / "a_2nd.png", 4)

    verdicts = run(tmp_path, "annotator:2nd", "{stem}_{annotator}")

    assert [(v.status, v.author) for v in verdicts] == [("kept", "1st"), ("accepted", "2nd")]


def test_an_annotator_who_drew_nothing(three):
    verdicts = run(three, "annotator:dora")

    assert {v.status for v in verdicts} == {"quarantined"}
    assert "none of them is by 'dora'" in verdicts[0].message


def test_where_the_mask_that_counts_is_not_good_none_does(three):
    draw(three / "ben" / "a.png", 4, value=9, at=3000)

    verdicts = {v.file.parent.name: v for v in run(three, "newest")}

    assert verdicts["ben"].code == "unknown-value"
    assert verdicts["anna"].code == "conflict"
    assert "a.png's is to count and is not good" in verdicts["anna"].message


def test_a_bad_mask_beside_the_one_that_counts_waits(three):
    draw(three / "anna" / "a.png", 2, value=9, at=1000)

    verdicts = run(three, "newest")

    assert [v.code for v in verdicts if v.status == "quarantined"] == ["unknown-value"]
    assert counted(verdicts) == [("kept", "carl", 5), ("accepted", "ben", 4)]


@pytest.mark.parametrize(("rule", "columns"), [("majority", 4), ("staple", 4)])
def test_a_consensus_is_a_mask_of_its_own(three, rule, columns):
    verdicts = run(three, rule, "{annotator}/{stem}")

    assert counted(verdicts)[:3] == [("kept", "anna", 2), ("kept", "ben", 4), ("kept", "carl", 5)]
    joint = verdicts[-1]
    assert (joint.status, int(joint.label.sum()) // 6, joint.key) == ("accepted", columns, rule)
    assert joint.origin == f"{rule} of anna, ben, carl"
    assert joint.sha256 not in {v.sha256 for v in verdicts[:3]}


def test_the_agreement_of_the_raters_is_told(three):
    joint = run(three, "majority", "{annotator}/{stem}")[-1]

    told = {(one.first, one.second): (one.dice, one.hd95, one.unit) for one in joint.agreement}
    assert told[("anna", "ben")] == (pytest.approx(2 * 12 / 36), 2.0, "px")
    assert told[("ben", "carl")] == (pytest.approx(2 * 24 / 54), 1.0, "px")
    assert any(note.startswith("anna and ben, lung: Dice 0.667") for note in joint.notes)


def test_a_consensus_needs_all_masks_to_be_good(three):
    draw(three / "carl" / "a.png", 0)

    verdicts = run(three, "staple")

    assert sorted(v.code for v in verdicts) == ["conflict", "conflict", "empty"]
    assert "a consensus needs all of them" in verdicts[0].message


def test_a_consensus_is_the_same_in_any_order_of_the_files(three):
    first = run(three, "staple")[-1]
    (three / "anna").rename(three / "zoe")

    assert run(three, "staple")[-1].sha256 == first.sha256


def test_masks_that_give_the_same_label_are_no_conflict(tmp_path):
    draw(tmp_path / "x" / "a.png", 3, value=1)
    draw(tmp_path / "y" / "a.png", 3, value=255)

    plan = plan_import(tmp_path, [SCAN], CLASSES, None)

    assert len(plan.accepted) == 1
    assert [v.message for v in plan.ignored] == ["it gives the very same label as a.png"]


@pytest.mark.parametrize("text", ["", "oldest", "annotator", "annotator:", "newest:anna"])
def test_rules_that_there_are_not(text):
    with pytest.raises(UsageError, match="no rule"):
        ConflictRule.parse(text)


def test_a_lossy_picture_gives_way_to_a_mask(tmp_path):
    draw(tmp_path / "masks" / "a.png", 3)
    Image.new("L", (9, 6), 7).save(tmp_path / "a.jpg")

    plan = plan_import(tmp_path, [SCAN], CLASSES, None)

    assert [v.file.name for v in plan.accepted] == ["a.png"]
    assert [v.message for v in plan.ignored] == [
        "a lossy picture is no mask, and another mask claims the scan"
    ]


def listed(path, drawn: bool) -> None:
    """A COCO file that lists the image, with a drawing of 3 columns or without one."""
    shape = {"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 3, 0, 3, 6, 0, 6]]}
    document = {
        "images": [{"id": 1, "file_name": "a.png", "height": 6, "width": 9}],
        "categories": [{"id": 1, "name": "lung"}],
        "annotations": [shape] if drawn else [],
    }
    path.write_text(json.dumps(document))


def test_an_image_that_is_only_listed_gives_way_to_a_drawing(tmp_path):
    listed(tmp_path / "all.json", drawn=False)
    listed(tmp_path / "some.json", drawn=True)

    plan = plan_import(tmp_path, [SCAN], CLASSES, None)

    assert [v.file.name for v in plan.accepted] == ["some.json"]
    assert [v.message for v in plan.ignored] == [
        "nothing is drawn in it, and another mask claims the scan"
    ]


def test_an_image_that_is_only_listed_is_a_rival_where_empty_means_negative(tmp_path):
    listed(tmp_path / "all.json", drawn=False)
    listed(tmp_path / "some.json", drawn=True)

    options = ImportOptions(confirm_empty=True)
    plan = plan_import(tmp_path, [SCAN], CLASSES, None, options=options)

    assert [v.code for v in plan.quarantined] == ["conflict", "conflict"]
