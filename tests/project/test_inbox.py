"""Every returned file is listed by person, with what it is now."""

from __future__ import annotations

import pytest

from coldal_tui.project import history
from coldal_tui.project.inbox import by_person, read_inbox
from coldal_tui.project.labels.importing import import_masks, reject_labels
from coldal_tui.project.labels.quarantine import reject_quarantined, select_waiting
from coldal_tui.project.labels.retry import retry_quarantined


@pytest.fixture
def project(lab):
    """Scans s00 to s04; s00 and s01 are queued."""
    return lab.line(5, [("s00", "medoid"), ("s01", "farthest-point")])


def told(project) -> dict[str, str]:
    return {one.file.rpartition("/")[2]: one.now for one in read_inbox(project)}


@pytest.fixture
def returned(lab, project):
    """One good mask, one empty, one of no scan, and a note."""
    lab.mask("s00.png")
    lab.mask("s01.png", slice(0, 0))
    lab.mask("stranger.png", slice(2, 5))
    (lab.masks / "note.txt").write_text("done")
    import_masks(project, lab.masks)
    return project


def test_every_file_is_told_with_what_became_of_it(returned):
    assert told(returned) == {
        "s00.png": "label",
        "s01.png": "in quarantine",
        "stranger.png": "no scan",
        "note.txt": "passed over",
    }
    assert by_person(read_inbox(returned)) == {
        "": {"label": 1, "in quarantine": 1, "no scan": 1, "passed over": 1}
    }


def test_what_people_decide_later_is_told(returned):
    empty, stranger = (select_waiting(returned, [n])[0] for n in ("1", "2"))
    assert (empty["scan_id"], stranger["scan_id"]) == ("s01", None)
    reject_quarantined(returned, [empty])
    assert [one.accepted for one in retry_quarantined(returned, [stranger], scan_id="s03")] == [
        True
    ]
    reject_labels(returned, ["s00"], None)
    now = told(returned)
    assert now == {
        "s00.png": "rejected",
        "s01.png": "left out",
        "stranger.png": "label",
        "note.txt": "passed over",
    }


def test_an_import_that_is_taken_back_is_told_and_comes_back(lab, returned):
    history.undo(returned, history.next_undo(returned, anybody=True)["audit_id"])
    now = told(returned)
    assert (now["s00.png"], now["s01.png"]) == ("taken back", "taken back")
    history.redo(returned)
    assert told(returned)["s00.png"] == "label"


def test_a_file_is_listed_once_with_its_last_outcome(lab, returned):
    before = {one.file: one.at for one in read_inbox(returned)}
    lab.mask("s01.png", slice(1, 4))
    import_masks(returned, lab.masks)
    after = read_inbox(returned)
    assert told(returned)["s01.png"] == "label"
    assert len(after) == 4
    first = next(one for one in after if one.file.endswith("s00.png"))
    assert first.at == before[first.file]


def test_persons_come_in_order_and_nobody_last(lab, project):
    for person in ("ben", "ana"):
        with project.store.action("test", undoable=False):
            project.store.insert(
                "returned_files", source=f"{person}.png", source_key="", source_sha256="x",
                person=person, scan_id=None, status="ignored", code="", message="", at="2026",
            )  # fmt: skip
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    assert [one.person for one in read_inbox(project)] == ["ana", "ben", ""]
