"""Taking actions back, doing them again, and the trail of both."""

from __future__ import annotations

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project import history
from coldal_tui.project.labels.files import (
    checked_labels,
    reconcile_label_files,
    tidy_if_left,
)
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.queue.actions import assign, pin, skip


@pytest.fixture
def project(lab):
    return lab.line(4, [("s00", "medoid"), ("s01", "farthest-point")])


def undo(project) -> str:
    return history.told(history.undo(project, history.next_undo(project)["audit_id"]))


def item(project, name: str):
    return project.store.row("SELECT * FROM queue WHERE scan_id = ?", (name,))


def test_what_was_taken_back_is_done_again_in_reverse_order(project):
    pin(project, ["s00"])
    assign(project, ["s01"], "ana")
    assert undo(project) == "assigned to ana: s01"
    assert undo(project) == "pinned s00"
    assert history.told(history.redo(project)) == "pinned s00"
    assert item(project, "s00")["pinned"] == 1
    assert history.told(history.redo(project)) == "assigned to ana: s01"
    assert item(project, "s01")["assignee"] == "ana"
    with pytest.raises(ColdalError, match="nothing was taken back"):
        history.redo(project)


def test_a_new_change_ends_what_could_be_done_again(project):
    pin(project, ["s00"])
    undo(project)
    skip(project, ["s01"], None, replace=False)
    with pytest.raises(ColdalError, match="nothing was taken back"):
        history.redo(project)
    assert item(project, "s00")["pinned"] == 0


def test_what_was_done_again_can_be_taken_back_again(project):
    pin(project, ["s00"])
    undo(project)
    history.redo(project)
    assert undo(project) == "pinned s00"
    assert item(project, "s00")["pinned"] == 0
    assert history.told(history.redo(project)) == "pinned s00"


def test_a_replaced_label_comes_and_goes_with_its_file(lab, project):
    """Two versions of one label: each undo and redo leaves the file of the row in place."""
    path = project.layout.labels / "s00.png"
    lab.mask("s00.png", columns=slice(0, 3))
    import_masks(project, lab.masks)
    first = path.read_bytes()
    lab.mask("s00.png", columns=slice(2, 7))
    import_masks(project, lab.masks)
    second = path.read_bytes()
    assert first != second
    for _ in range(2):
        undo(project)
        assert path.read_bytes() == first
        undo(project)
        assert not path.exists()
        history.redo(project)
        assert path.read_bytes() == first
        history.redo(project)
        assert path.read_bytes() == second


def test_a_label_is_there_between_a_redo_and_the_moving_of_its_file(lab, project, monkeypatch):
    """A process that is killed right after the COMMIT leaves the file as the undo named it."""
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    undo(project)
    reconcile_label_files(project)
    monkeypatch.setattr(history, "tidy_label_files", lambda project: None)
    history.redo(project)
    rows = project.store.rows("SELECT * FROM labels WHERE state = 'active'")
    assert not (project.layout.labels / "s00.png").exists()
    assert list(checked_labels(project, rows)) == ["s00"]
    tidy_if_left(project)
    assert checked_labels(project, rows) == {"s00": project.layout.labels / "s00.png"}


def test_with_nothing_left_there_is_an_error(lab):
    lab.pictures("a")
    project = lab.start()
    with pytest.raises(ColdalError, match="nothing to take back") as caught:
        history.next_undo(project)
    assert caught.value.code == history.NOTHING


def test_another_person_is_named_and_asked_for(project, monkeypatch):
    pin(project, ["s00"])
    monkeypatch.setattr(history, "is_anothers", lambda row: True)
    with pytest.raises(ColdalError, match="did this") as caught:
        history.next_undo(project)
    assert caught.value.code == "anothers"
    assert history.next_undo(project, anybody=True)["summary"] == "pinned s00"


def test_the_log_tells_in_order_and_says_what_was_taken_back(project):
    pin(project, ["s00"])
    assign(project, ["s01"], "ana")
    undo(project)
    told = [(entry.action, entry.undone, entry.undoable) for entry in history.read_log(project)]
    assert told[-4:] == [
        ("select", False, True),
        ("queue pin", False, True),
        ("queue assign", True, False),
        ("undo", False, False),
    ]
    assert [entry.action for entry in history.undoable(project)] == ["queue pin", "select"]
    assert [entry.action for entry in history.read_log(project, newest=1)] == ["undo"]
    assert history.read_log(project, since="2999-01-01") == []
    assert history.read_log(project, since="2000-01-01T00:00:00+02:00", newest=1)
    with pytest.raises(ColdalError, match="no date or time"):
        history.read_log(project, since="yesterday")
