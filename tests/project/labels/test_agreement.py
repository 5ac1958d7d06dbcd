"""How far labels and predictions agree: Dice by hand, the runs that count, what is remembered."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coldal_tui.exchange.incoming.conflicts import ConflictRule
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.imaging.labelfile import IGNORE_LABEL, write_label
from coldal_tui.project.labels import agreement
from coldal_tui.project.labels.agreement import dice_of_classes, read_agreements
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.labels.raters.drawings import read_disputes
from coldal_tui.project.project import Project
from tests.support.overlays import add_masks, add_run, square

LEFT = square(rows=(0, 8), columns=(0, 4))
MIDDLE = square(rows=(0, 8), columns=(2, 6))


@pytest.fixture
def eights(lab) -> Project:
    """Scans ``a``, ``b`` and ``c`` of 8 × 8 pixels."""
    for name in ("a", "b", "c"):
        lab.picture(f"{name}.png", (8, 8))
    return lab.start('[classes]\nnames = ["lung"]\n')


def test_dice_is_twice_what_is_shared_over_what_there_is() -> None:
    """16 of 32 and 32 pixels: 2 · 16 / 64."""
    assert dice_of_classes(MIDDLE, LEFT, ["lung"]) == {"lung": 0.5}


def test_each_class_counts_by_itself() -> None:
    label = np.array([[1, 1, 2, 2]], np.uint8)
    predicted = np.array([[1, 2, 2, 2]], np.uint8)
    found = dice_of_classes(predicted, label, ["a", "b", "c"])
    assert found == {"a": pytest.approx(2 / 3), "b": pytest.approx(4 / 5), "c": 1.0}


def test_a_class_that_only_one_side_has_does_not_agree() -> None:
    label, nothing = np.array([[1, 0]], np.uint8), np.zeros((1, 2), np.uint8)
    assert dice_of_classes(nothing, label, ["a"]) == {"a": 0.0}
    assert dice_of_classes(label, nothing, ["a"]) == {"a": 0.0}


def test_pixels_to_ignore_count_on_neither_side() -> None:
    label = np.array([[1, IGNORE_LABEL, 0]], np.uint8)
    predicted = np.array([[1, 1, 0]], np.uint8)
    assert dice_of_classes(predicted, label, ["a"]) == {"a": 1.0}


def test_dice_is_what_the_evaluation_of_runs_finds() -> None:
    from coldal_compute.segmentation.metrics import measure_scan

    rng = np.random.default_rng(3)
    label, predicted = (rng.integers(0, 4, (30, 30)).astype(np.uint8) for _ in range(2))
    label[rng.random(label.shape) < 0.1] = IGNORE_LABEL
    names = ["a", "b", "c"]
    measured = measure_scan(predicted, label, names, None)
    found = dice_of_classes(predicted, label, names)
    assert found == pytest.approx({name: measured[name].dice for name in names})


def test_the_newest_run_that_did_not_learn_from_a_label_is_its_measure(
    eights: Project, lab
) -> None:
    add_masks(eights, lab.masks, {"a": LEFT, "b": LEFT})
    add_run(eights, "run-001", {"a": MIDDLE, "b": MIDDLE}, at="2026-01-01T00:00:00+00:00")
    add_run(
        eights, "run-002", {"a": LEFT, "b": LEFT}, trained=["a"], at="2026-01-02T00:00:00+00:00"
    )
    found = read_agreements(eights)
    assert {name: (one.run_id, one.mean) for name, one in found.items()} == {
        "a": ("run-001", 0.5),
        "b": ("run-002", 1.0),
    }


def test_labels_without_a_prediction_have_no_agreement(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": LEFT, "b": LEFT})
    add_run(eights, "run-001", {"a": LEFT}, trained=["b"])
    assert set(read_agreements(eights)) == {"a"}


def test_what_was_measured_is_not_measured_again(
    eights: Project, lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_masks(eights, lab.masks, {"a": LEFT, "b": MIDDLE})
    add_run(eights, "run-001", {"a": MIDDLE, "b": MIDDLE})
    first, read = read_agreements(eights), []
    monkeypatch.setattr(agreement, "read_label", lambda path: read.append(path))
    assert read_agreements(eights) == first
    assert read == []


def test_another_label_or_prediction_is_measured_anew(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": LEFT})
    add_run(eights, "run-001", {"a": MIDDLE})
    assert read_agreements(eights)["a"].mean == 0.5
    add_masks(eights, lab.folder / "again", {"a": MIDDLE})
    assert read_agreements(eights)["a"].mean == 1.0


def test_the_cache_holds_only_what_is_in_use(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": LEFT})
    add_run(eights, "run-001", {"a": MIDDLE})
    read_agreements(eights)
    add_masks(eights, lab.folder / "again", {"a": MIDDLE})
    read_agreements(eights)
    assert len(json.loads((eights.layout.cache / "agreement.json").read_bytes())) == 1


@pytest.mark.parametrize("content", [b"", b"[]", b'{"x": 1}', b'{"x": {"a": null}}', b"\xff"])
def test_a_damaged_cache_is_made_anew(eights: Project, lab, content: bytes) -> None:
    add_masks(eights, lab.masks, {"a": LEFT})
    add_run(eights, "run-001", {"a": MIDDLE})
    (eights.layout.cache / "agreement.json").write_bytes(content)
    assert read_agreements(eights)["a"].classes == {"lung": 0.5}


def test_nothing_is_written_when_it_is_not_to_be_kept(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": LEFT})
    add_run(eights, "run-001", {"a": MIDDLE})
    assert read_agreements(eights, keep=False)["a"].mean == 0.5
    assert not (eights.layout.cache / "agreement.json").exists()


def test_a_damaged_prediction_does_not_stop_the_others(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": LEFT, "b": LEFT, "c": LEFT})
    add_run(eights, "run-001", {"a": LEFT, "b": LEFT, "c": np.zeros((4, 4), np.uint8)})
    (eights.layout.runs / "run-001" / "predictions" / "a.png").write_bytes(b"nothing")
    seen: list[tuple[int, int]] = []
    found = read_agreements(eights, progress=lambda done, total: seen.append((done, total)))
    assert set(found) == {"b"}
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_label_changed_by_hand_agrees_with_nothing(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": LEFT, "b": LEFT})
    add_run(eights, "run-001", {"a": MIDDLE, "b": MIDDLE})
    assert set(read_agreements(eights)) == {"a", "b"}
    write_label(eights.layout.labels / "a.png", MIDDLE, None)
    assert {name: one.mean for name, one in read_agreements(eights).items()} == {"b": 0.5}


def test_the_mask_of_another_person_is_never_replaced(lab) -> None:
    """Two people, one scan, two imports: the first one's label stays, the second is in dispute."""
    project = lab.line(4, [("s00", "medoid"), ("s01", "farthest-point")])
    lab.mask("ana/s00.png", columns=slice(0, 3))
    first = import_masks(project, lab.masks, match="{annotator}/{stem}")
    assert [verdict.warnings for verdict in first.accepted] == [()]
    (lab.masks / "ana" / "s00.png").unlink()
    lab.mask("ben/s00.png", columns=slice(2, 6))
    report = import_masks(project, lab.masks, match="{annotator}/{stem}")
    assert report.accepted == ()
    (second,) = report.disputed
    assert (second.author, second.message) == (
        "ben",
        "ben differs from the label by ana, which stays",
    )
    assert [(one.first, one.second, one.dice) for one in report.agreement] == [
        ("ana", "ben", pytest.approx(2 * 1 / 7))
    ]
    # One's own correction takes the place of what one drew, and no more.
    lab.mask("ben/s00.png", columns=slice(2, 7))
    (third,) = import_masks(project, lab.masks, match="{annotator}/{stem}").disputed
    rows = project.store.rows("SELECT author, state FROM labels ORDER BY version")
    assert [tuple(row.values()) for row in rows] == [
        ("ana", "active"),
        ("ben", "superseded"),
        ("ben", "drawn"),
    ]
    # The label's author may correct it, and the dispute goes on.
    lab.mask("ana/s00.png", columns=slice(0, 4))
    (fourth,) = import_masks(project, lab.masks, match="{annotator}/{stem}").accepted
    assert (third.author, fourth.author, fourth.warnings) == ("ben", "ana", ())
    # Whoever says so at the import may choose.
    newest = ImportOptions(conflict=ConflictRule("annotator", "ben"))
    (fifth,) = import_masks(project, lab.masks, match="{annotator}/{stem}", options=newest).accepted
    assert any("replaces the mask of ana" in warning for warning in fifth.warnings)
    assert read_disputes(project.store) == {}
