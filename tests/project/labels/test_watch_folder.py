"""A watched folder: what has stopped growing, once."""

from __future__ import annotations

import json
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.project.labels.importing import list_labels
from coldal_tui.project.labels.watch_folder import SETTLE_S, Watch


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def project(lab):
    """Scans s00 to s04; s00 and s01 are queued."""
    return lab.line(5, [("s00", "medoid"), ("s01", "farthest-point")])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(lab, project, clock):
    with Watch(project, lab.masks, clock=clock) as made:
        yield made


def settled(watch, clock) -> list:
    """Two looks with the time between that a file needs."""
    first = watch.poll()
    clock.now += SETTLE_S
    return [*first, *watch.poll()]


def accepted(arrivals) -> list[str]:
    return [v.scan_id for a in arrivals if a.report for v in a.report.accepted]


def test_a_file_is_imported_when_it_has_stopped_growing(lab, watch, clock):
    path = lab.mask("s00.png")
    whole = path.read_bytes()
    path.write_bytes(whole[:30])
    assert watch.poll() == []
    clock.now += SETTLE_S
    path.write_bytes(whole)
    assert watch.poll() == []
    clock.now += SETTLE_S / 2
    assert watch.poll() == []
    clock.now += SETTLE_S / 2
    assert accepted(watch.poll()) == ["s00"]
    assert path.exists()


def test_a_file_that_changes_its_time_alone_is_still_growing(lab, watch, clock):
    path = lab.mask("s00.png")
    watch.poll()
    for step in range(3):
        clock.now += SETTLE_S
        os.utime(path, (1000 + step, 1000 + step))
        assert watch.poll() == []


def test_the_same_content_is_not_imported_twice(lab, project, watch, clock):
    path = lab.mask("s00.png")
    assert accepted(settled(watch, clock)) == ["s00"]
    assert settled(watch, clock) == []
    os.utime(path, (1000, 1000))
    assert settled(watch, clock) == []
    assert project.store.value("SELECT count(*) FROM audit WHERE action = 'import'") == 1


def test_what_was_imported_is_remembered_by_the_next_watch(lab, project, clock):
    lab.mask("s00.png")
    with Watch(project, lab.masks, clock=clock) as first:
        assert accepted(settled(first, clock)) == ["s00"]
    with Watch(project, lab.masks, clock=clock) as second:
        assert settled(second, clock) == []


def test_a_changed_file_is_a_new_version(lab, project, watch, clock):
    lab.mask("s00.png", slice(0, 3))
    settled(watch, clock)
    lab.mask("s00.png", slice(0, 5))

    assert accepted(settled(watch, clock)) == ["s00"]
    assert list_labels(project)[0]["version"] == 2


def test_only_what_is_new_is_read(lab, watch, clock):
    lab.mask("s00.png")
    settled(watch, clock)
    lab.mask("s01.png")

    (arrival,) = settled(watch, clock)

    assert arrival.files == (lab.masks / "s01.png",)
    assert [v.scan_id for v in arrival.report.accepted] == ["s01"]
    assert arrival.report.unchanged == ()


def test_one_growing_file_does_not_stop_the_others(lab, watch, clock):
    lab.mask("s00.png")
    watch.poll()
    clock.now += SETTLE_S
    lab.mask("s01.png")

    assert accepted(watch.poll()) == ["s00"]


def test_unfinished_and_hidden_files_are_passed_over(lab, watch, clock):
    for name in ("s00.png.part", ".s01.png", "s02.png~", ".hidden/s03.png"):
        lab.mask("x.png").rename(lab.masks / "moved")
        (lab.masks / name).parent.mkdir(exist_ok=True)
        (lab.masks / "moved").rename(lab.masks / name)

    assert settled(watch, clock) == []


def test_archives_are_imported_each_by_itself(lab, project, watch, clock):
    drawn = lab.mask("drawn.png")
    with zipfile.ZipFile(lab.masks / "first.zip", "w") as archive:
        archive.write(drawn, "s00.png")
    drawn.unlink()

    (arrival,) = settled(watch, clock)

    assert arrival.source == lab.masks / "first.zip"
    assert accepted([arrival]) == ["s00"]
    assert list_labels(project)[0]["source"] == f"{lab.masks}/first.zip/s00.png"


def test_what_found_no_place_is_tried_again_when_something_arrives(lab, watch, clock):
    drawn = np.zeros((6, 9), np.uint8)
    drawn[:, :2] = 255
    Image.fromarray(drawn).save(lab.masks / "task-1-annotation-9-by-a-tag-foreground-0.png")
    (arrival,) = settled(watch, clock)
    assert [v.code for v in arrival.report.quarantined] == ["no-json"]

    task = {"id": 1, "data": {"image": "s00.png"}, "annotations": []}
    (lab.masks / "tasks.json").write_text(json.dumps([task]))

    assert accepted(settled(watch, clock)) == ["s00"]


def test_a_failed_import_is_told_and_not_repeated_until_the_file_changes(
    lab, watch, clock, monkeypatch
):
    def full(*_args, **_more):
        raise ColdalError("no space left", code="disk")

    lab.mask("s00.png")
    monkeypatch.setattr("coldal_tui.project.labels.watch_folder.import_masks", full)
    (arrival,) = settled(watch, clock)
    assert (arrival.report, arrival.error.code) == (None, "disk")
    monkeypatch.undo()
    assert settled(watch, clock) == []
    lab.mask("s00.png", slice(0, 4))
    assert accepted(settled(watch, clock)) == ["s00"]


def test_the_default_folder_is_made_in_the_project(project, clock):
    with Watch(project, clock=clock) as watch:
        assert watch.folder == project.root / "incoming"
        assert watch.folder.is_dir()


def test_a_folder_that_is_not_there(lab, project):
    with pytest.raises(UsageError, match="no such folder"):
        Watch(project, lab.folder / "nowhere")


def test_two_watches_of_one_project_exclude_each_other(lab, project, watch):
    with pytest.raises(UsageError, match="another process watches"):
        Watch(project, lab.masks)


def test_a_memory_that_is_damaged_is_begun_anew(lab, project, clock):
    (project.layout.state / "watched.json").write_text('{"x": 3')
    lab.mask("s00.png")
    with Watch(project, lab.masks, clock=clock) as watch:
        assert accepted(settled(watch, clock)) == ["s00"]
    assert str(lab.masks) in json.loads((project.layout.state / "watched.json").read_text())
