"""Rows and label files that no longer agree: noticed wherever labels are used, and mended."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.files import sha256_file
from coldal_tui.imaging.labelfile import read_label, write_label
from coldal_tui.project.database.backups import put_back
from coldal_tui.project.export.plain_files import export_project
from coldal_tui.project.label_repair import repair_labels, restore_database
from coldal_tui.project.labels.files import checked_labels, remove_abandoned, unknown_files
from coldal_tui.project.labels.hidden_masks import hide_labels
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.scheduler.planning import build_spec


@pytest.fixture
def labelled(lab) -> Project:
    """Labels of ``a`` (two versions) and ``b``."""
    lab.pictures("a", "b")
    project = lab.start()
    for name in ("a", "b"):
        lab.mask(f"{name}.png")
    import_masks(project, lab.masks)
    lab.mask("a.png", slice(0, 5))
    import_masks(project, lab.masks)
    return project


def code(call) -> str:
    with pytest.raises(ColdalError) as caught:
        call()
    return caught.value.code


def labels(project: Project) -> list[tuple]:
    return project.store.tuples(
        "SELECT scan_id, version, state, sha256, role, format, source_sha256 FROM labels "
        "ORDER BY scan_id, version"
    )


def drawn(project: Project, scan_id: str) -> int:
    return int((read_label(project.layout.labels / f"{scan_id}.png") == 1).sum())


def change(project: Project, scan_id: str) -> Path:
    path = project.layout.labels / f"{scan_id}.png"
    label = read_label(path)
    label[3, :4] = 1
    write_label(path, label, None)
    return path


def test_a_changed_label_is_named_wherever_labels_are_used(labelled):
    build_spec(labelled, "train", {})
    change(labelled, "b")
    for use in (lambda: build_spec(labelled, "train", {}), lambda: hide_labels(labelled)):
        with pytest.raises(ColdalError) as caught:
            use()
        assert caught.value.code == "label-changed"
        assert "1 of 2 label files" in caught.value.what
        assert "b (changed)" in caught.value.what
    (labelled.layout.labels / "a.png").unlink()
    with pytest.raises(ColdalError, match=r"a \(gone\), b \(changed\)"):
        build_spec(labelled, "train", {})


def test_a_plan_tells_the_worker_the_hash_of_every_label(labelled):
    spec = build_spec(labelled, "train", {})
    assert {case.sha256 for case in spec.train} == {
        sha256_file(labelled.layout.labels / "a.png"),
        sha256_file(labelled.layout.labels / "b.png"),
    }


def test_what_was_changed_by_hand_becomes_a_version(labelled):
    before = labels(labelled)
    digest = sha256_file(change(labelled, "b"))
    done = repair_labels(labelled)
    assert (done.as_changed, done.taken_in, done.lost) == (["b"], [], [])
    assert labels(labelled)[:2] == before[:2]
    assert [row[1:4] for row in labels(labelled)[2:]] == [
        (1, "superseded", before[2][3]),
        (2, "active", digest),
    ]
    assert drawn(labelled, "b") == 7
    build_spec(labelled, "train", {})


def test_what_was_accepted_is_put_back_where_it_is_still_there(labelled):
    path = labelled.layout.labels / "b.png"
    kept = labelled.layout.label_versions / "b.v1.png"
    kept.write_bytes(path.read_bytes())
    kept.rename(kept.with_name("b.withdrawn-12345678.png"))
    change(labelled, "b")
    done = repair_labels(labelled)
    assert (done.put_back, done.as_changed) == (["b"], [])
    assert drawn(labelled, "b") == 3
    assert [p.name for p in labelled.layout.label_versions.glob("b.changed-*")]


def test_a_label_without_any_file_is_told_as_lost(labelled):
    (labelled.layout.labels / "b.png").unlink()
    assert repair_labels(labelled).lost == ["b"]


def test_after_an_older_database_all_labels_come_back_with_their_history(labelled, lab):
    whole = labels(labelled)
    empty = labelled.store.back_up()
    labelled.store.execute("DELETE FROM labels")
    kept = labelled.store.back_up()
    labelled.close()
    put_back(kept.file, labelled.layout.database)
    assert empty.file != kept.file
    with Project(lab.root, repairing=True) as project:
        assert [path.name for path in unknown_files(project)] == ["a.png", "b.png", "a.v1.png"]
        assert repair_labels(project).taken_in == ["a", "a", "b"]
        assert labels(project) == whole
        assert unknown_files(project) == []
        notes = project.store.value("SELECT notes FROM labels WHERE scan_id = 'b'")
        assert json.loads(notes)[-1] == "taken in from its file by doctor --repair"
    with Project(lab.root) as project:
        build_spec(project, "train", {})


def test_without_a_copy_and_without_a_journal_labels_come_back_from_their_files(labelled, lab):
    whole, config = labels(labelled), labelled.config
    labelled.close()
    for path in (*lab.root.glob(".coldal/project.db*"), *lab.root.glob(".coldal/backups/*")):
        path.unlink()
    (lab.root / ".coldal" / "journal.jsonl").unlink()
    assert "made an empty database" in restore_database(labelled.layout, config.project.id)
    with Project(lab.root, repairing=True) as project:
        reindex(project)
        repair_labels(project)
        assert [row[:4] for row in labels(project)] == [row[:4] for row in whole]


def test_a_lost_database_comes_back_from_its_newest_whole_copy(labelled, lab):
    labelled.store.back_up()
    newest = labelled.store.back_up()
    labelled.close()
    newest.file.write_bytes(b"torn")
    labelled.layout.database.write_bytes(b"")
    assert "put back the copy project-" in restore_database(labelled.layout, None)
    with Project(lab.root, repairing=True) as project:
        assert len(labels(project)) == 3


def test_a_staged_file_that_a_row_has_is_never_removed(labelled):
    versions = labelled.layout.label_versions
    row = labelled.store.row("SELECT * FROM labels WHERE scan_id = 'b'")
    assert row is not None
    # The disk has lost the renames that came after the COMMIT, and the one before it.
    lost = versions / "b.staged-abcdef0.png"
    (labelled.layout.labels / "b.png").rename(lost)
    junk = versions / "b.staged-abcdef1.png"
    junk.write_bytes(b"of a killed import")
    long_ago = time.time() - 2 * 24 * 3600
    for path in (lost, junk):
        os.utime(path, (long_ago, long_ago))
    remove_abandoned(labelled)
    assert not junk.exists()
    assert checked_labels(labelled, [row]) == {"b": versions / "b.v1.png"}


def test_trouble_after_the_commit_is_a_note(labelled, lab, monkeypatch, caplog):
    from coldal_tui.project.labels import files

    def full(project):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "reconcile_label_files", full)
    lab.mask("b.png", slice(0, 6))
    assert len(import_masks(labelled, lab.masks).accepted) == 1
    assert "it is done, but the label files could not be moved" in caplog.text
    monkeypatch.undo()
    build_spec(labelled, "train", {})
    assert drawn(labelled, "b") == 6


def test_plain_files_hold_everything(labelled, tmp_path):
    counts = export_project(labelled, tmp_path / "out")
    assert (counts["scans"], counts["labels"], counts["label files"]) == (2, 3, 3)
    lines = (tmp_path / "out" / "tables" / "labels.csv").read_text().splitlines()
    assert lines[0].split(",")[:4] == ["label_id", "scan_id", "version", "file"]
    sums = (tmp_path / "out" / "sha256sums.txt").read_text().splitlines()
    for line in sums:
        digest, name = line.split("  ")
        assert sha256_file(tmp_path / "out" / name) == digest
    assert "labels/versions/a.v1.png" in {line.split("  ")[1] for line in sums}
    assert code(lambda: export_project(labelled, tmp_path / "out")) == "error"
    assert [path.name for path in tmp_path.glob(".*partial")] == []


def test_what_comes_again_after_an_undo_leaves_no_file_that_no_row_knows(labelled, lab):
    from coldal_tui.project.labels.files import reconcile_label_files as follow

    for _ in range(2):
        labelled.store.undo_last()
    follow(labelled)
    import_masks(labelled, lab.masks)
    # As another import, which found nothing new, does beside it.
    follow(labelled)
    labelled.store.undo_last()
    follow(labelled)
    assert unknown_files(labelled) == []
    names = sorted(path.name for path in labelled.layout.label_versions.iterdir())
    assert [name for name in names if "withdrawn" not in name] == []
