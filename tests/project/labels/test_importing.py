"""Masks become labels: versions, files, undo, and what a second import finds."""

from __future__ import annotations

import os
import time

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.incoming.conflicts import ConflictRule
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.files import sha256_file
from coldal_tui.imaging.labelfile import read_label, write_label
from coldal_tui.project.labels.files import reconcile_label_files
from coldal_tui.project.labels.importing import (
    import_masks,
    list_labels,
    reject_labels,
)
from coldal_tui.project.labels.staging import LabelWriter, Stager
from coldal_tui.project.queue import actions
from coldal_tui.scheduler.plan_train import plan_train


@pytest.fixture
def project(lab):
    """Scans s00 to s04; s00 and s01 are queued."""
    return lab.line(5, [("s00", "medoid"), ("s01", "farthest-point")])


def undo(project) -> None:
    project.store.undo_last()
    reconcile_label_files(project)


def files(project) -> dict[str, str]:
    """Label files below ``labels/`` with their hash."""
    root = project.layout.labels
    return {p.relative_to(root).as_posix(): sha256_file(p) for p in root.rglob("*") if p.is_file()}


def rows(project) -> list[tuple[str, int, str]]:
    found = project.store.rows("SELECT scan_id, version, state FROM labels ORDER BY label_id")
    return [tuple(row.values()) for row in found]


def drawn(project, scan_id: str) -> int:
    return int(np.count_nonzero(read_label(project.layout.labels / f"{scan_id}.png")))


def test_an_accepted_mask_becomes_the_label_of_its_scan(lab, project, statuses):
    lab.mask("s00.png", slice(2, 7))
    report = import_masks(project, lab.masks)
    assert [v.scan_id for v in report.accepted] == ["s00"]
    assert report.manual == ()
    expected = np.zeros((6, 9), np.uint8)
    expected[1, 2:7] = 1
    np.testing.assert_array_equal(read_label(project.layout.labels / "s00.png"), expected)
    assert statuses(project) == {"s00": "labelled", "s01": "queued"}
    (label,) = list_labels(project)
    assert (label["version"], label["role"], label["geometry"]) == (1, "medoid", "match")
    assert label["voxels"] == {"foreground": 5}
    assert label["source"] == str(lab.masks / "s00.png")


def test_a_volumes_label_has_the_images_own_affine(lab):
    affine = np.diag([0.7, 1.1, 4.0, 1.0])
    affine[:3, 3] = (-3, 5, 8)
    lab.volume("v.nii.gz", affine)
    project = lab.start()
    voxels = np.zeros((5, 6, 7), np.uint8)
    voxels[1:3, 2, 5] = 1
    # A labeler's tool that flipped the first axis.
    turned = affine @ np.diag([-1.0, 1.0, 1.0, 1.0])
    turned[:3, 3] = (affine @ [4, 0, 0, 1])[:3]
    nib.save(nib.Nifti1Image(voxels[::-1], turned), lab.masks / "v.nii.gz")
    import_masks(project, lab.masks)
    label = nib.load(project.layout.labels / "v.nii.gz")
    np.testing.assert_array_equal(np.asarray(label.dataobj), voxels)
    np.testing.assert_allclose(label.affine, affine, atol=1e-5)
    assert list_labels(project)[0]["geometry"] == "flip"


def test_the_same_import_again_changes_nothing(lab, project):
    lab.mask("s00.png")
    lab.mask("s01.png", value=9)
    import_masks(project, lab.masks)
    before = files(project)
    state = [project.store.rows(f"SELECT * FROM {t}") for t in ("labels", "queue", "quarantine")]
    times = {p: p.stat().st_mtime_ns for p in lab.root.rglob("*.png")}
    report = import_masks(project, lab.masks)
    assert [v.scan_id for v in report.unchanged] == ["s00"]
    assert [v.scan_id for v in report.quarantined] == ["s01"]
    assert report.accepted == ()
    assert files(project) == before
    assert {p: p.stat().st_mtime_ns for p in lab.root.rglob("*.png")} == times
    after = [project.store.rows(f"SELECT * FROM {t}") for t in ("labels", "queue", "quarantine")]
    assert after == state


def test_an_import_that_changes_nothing_is_not_what_undo_takes_back(lab, project):
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    import_masks(project, lab.masks)
    undo(project)
    assert rows(project) == []


def test_a_new_mask_is_a_new_version(lab, project):
    lab.mask("s00.png", slice(0, 3))
    import_masks(project, lab.masks)
    first = files(project)["s00.png"]
    lab.mask("s00.png", slice(0, 5))
    report = import_masks(project, lab.masks)
    assert len(report.accepted) == 1
    assert rows(project) == [("s00", 1, "superseded"), ("s00", 2, "active")]
    assert drawn(project, "s00") == 5
    assert files(project)["versions/s00.v1.png"] == first
    assert set(files(project)) == {"s00.png", "versions/s00.v1.png"}


def test_a_mask_that_comes_again_after_it_was_replaced_counts_again(lab, project):
    old = lab.mask("s00.png", slice(0, 3)).read_bytes()
    import_masks(project, lab.masks)
    lab.mask("s00.png", slice(0, 5))
    import_masks(project, lab.masks)
    (lab.masks / "s00.png").write_bytes(old)
    report = import_masks(project, lab.masks)
    (again,) = report.accepted
    assert (report.unchanged, drawn(project, "s00")) == ((), 3)
    assert "it counts again" in again.warnings[0]
    assert [v.scan_id for v in import_masks(project, lab.masks).unchanged] == ["s00"]


def test_the_same_file_under_other_values_is_another_label(lab, project):
    lab.configure("[classes]\nnames = ['a', 'b']\n")
    project.reload_config()
    lab.mask("s00.png", value=1)
    import_masks(project, lab.masks)
    swapped = ImportOptions(values={1: "b"})
    assert len(import_masks(project, lab.masks, options=swapped, dry_run=True).accepted) == 1
    assert len(import_masks(project, lab.masks, options=swapped).accepted) == 1
    assert read_label(project.layout.labels / "s00.png").max() == 2
    assert len(import_masks(project, lab.masks, options=swapped).unchanged) == 1


def test_the_values_of_coldal_toml_count_where_the_call_names_none(lab, project):
    lab.configure("[classes]\nvalues = { '128' = 'foreground', '7' = 'ignore' }\n")
    project.reload_config()
    lab.mask("s00.png", value=128)
    lab.mask("s01.png", value=7)
    report = import_masks(project, lab.masks, options=ImportOptions(confirm_empty=True))
    assert len(report.accepted) == 2
    assert read_label(project.layout.labels / "s00.png").max() == 1
    assert read_label(project.layout.labels / "s01.png").max() == 255


def test_a_label_file_that_was_lost_is_made_again(lab, project):
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    (project.layout.labels / "s00.png").unlink()
    assert len(import_masks(project, lab.masks).accepted) == 1
    assert drawn(project, "s00") == 3


def test_a_label_file_that_was_changed_by_hand_gives_way_to_its_mask_and_is_kept(lab, project):
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    file = project.layout.labels / "s00.png"
    write_label(file, 1 - read_label(file), None)
    by_hand = sha256_file(file)
    assert len(import_masks(project, lab.masks).accepted) == 1
    assert drawn(project, "s00") == 3
    everywhere = [*project.layout.labels.iterdir(), *project.layout.label_versions.iterdir()]
    assert by_hand in {sha256_file(path) for path in everywhere if path.is_file()}
    assert len(import_masks(project, lab.masks).accepted) == 0


def test_undo_restores_rows_and_files(lab, project, statuses):
    lab.mask("s00.png", slice(0, 3))
    import_masks(project, lab.masks)
    lab.mask("s00.png", slice(0, 5))
    import_masks(project, lab.masks)
    second = files(project)["s00.png"]
    undo(project)
    assert rows(project) == [("s00", 1, "active")]
    assert drawn(project, "s00") == 3
    assert second in files(project).values()
    undo(project)
    assert rows(project) == []
    assert statuses(project)["s00"] == "queued"
    assert not (project.layout.labels / "s00.png").exists()
    assert len(import_masks(project, lab.masks).accepted) == 1
    assert drawn(project, "s00") == 5


def test_a_mask_of_a_scan_that_nobody_queued_is_manual(lab, project):
    lab.mask("s03.png")
    assert import_masks(project, lab.masks, dry_run=True).manual == ("s03",)
    assert import_masks(project, lab.masks).manual == ("s03",)
    assert list_labels(project)[0]["role"] == "manual"


def test_a_mask_of_a_skipped_scan_is_manual(lab, project, statuses):
    actions.skip(project, ["s00"], "blurred", replace=False)
    lab.mask("s00.png")
    assert import_masks(project, lab.masks).manual == ("s00",)
    assert list_labels(project)[0]["role"] == "manual"
    assert statuses(project)["s00"] == "labelled"
    lab.mask("s00.png", slice(0, 4))
    import_masks(project, lab.masks)
    reject_labels(project, ["s00"], None)
    assert statuses(project)["s00"] == "skipped"


def test_a_dry_run_changes_nothing(lab, project):
    lab.mask("s00.png")
    lab.mask("s01.png", value=9)
    audit = project.store.value("SELECT count(*) FROM audit")
    report = import_masks(project, lab.masks, dry_run=True)
    assert report.dry_run
    assert ([v.scan_id for v in report.accepted], len(report.quarantined)) == (["s00"], 1)
    assert files(project) == {}
    assert list(project.layout.quarantine.iterdir()) == []
    assert project.store.value("SELECT count(*) FROM audit") == audit
    import_masks(project, lab.masks)
    assert len(import_masks(project, lab.masks, dry_run=True).unchanged) == 1


def test_a_rejected_label_goes_out_again_and_its_file_is_kept(lab, project, statuses):
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    (made,) = files(project).values()
    reject_labels(project, ["s00", "s00"], "wrong organ")
    assert rows(project) == [("s00", 1, "rejected")]
    assert statuses(project)["s00"] == "exported"
    assert files(project) == {"versions/s00.v1.png": made}
    undo(project)
    assert rows(project) == [("s00", 1, "active")]
    assert files(project) == {"s00.png": made}


def test_a_rejected_mask_may_come_again(lab, project):
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    reject_labels(project, ["s00"], None)
    assert len(import_masks(project, lab.masks).accepted) == 1
    assert rows(project) == [("s00", 1, "rejected"), ("s00", 2, "active")]
    assert drawn(project, "s00") == 3


def test_an_older_mask_may_come_again_when_the_newer_was_rejected(lab, project):
    old = lab.mask("s00.png", slice(0, 3)).read_bytes()
    import_masks(project, lab.masks)
    lab.mask("s00.png", slice(0, 5))
    import_masks(project, lab.masks)
    reject_labels(project, ["s00"], None)
    (lab.masks / "s00.png").write_bytes(old)
    assert len(import_masks(project, lab.masks).accepted) == 1
    assert drawn(project, "s00") == 3


def test_only_a_scan_with_a_label_can_lose_it(lab, project):
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    with pytest.raises(UsageError, match="this scan has no label"):
        reject_labels(project, ["s00", "s01"], None)
    with pytest.raises(UsageError, match="no such scan"):
        reject_labels(project, ["nobody"], None)
    assert rows(project) == [("s00", 1, "active")]


def test_the_name_of_a_copy_leads_to_the_first(lab):
    lab.pictures("a")
    (lab.images / "copy.png").write_bytes((lab.images / "a.png").read_bytes())
    project = lab.start()
    lab.mask("copy.png")
    assert [v.scan_id for v in import_masks(project, lab.masks).accepted] == ["a"]


def test_a_relative_source_is_kept_as_an_absolute_path(lab, project, monkeypatch):
    lab.mask("s00.png", value=9)
    monkeypatch.chdir(lab.folder)
    import_masks(project, lab.masks.relative_to(lab.folder))
    source = project.store.value("SELECT source FROM quarantine")
    assert source == str(lab.masks / "s00.png")


def test_an_import_that_dies_before_its_commit_leaves_nothing(lab, project, monkeypatch):
    lab.mask("s00.png")
    lab.mask("s01.png", slice(3, 6))
    stored = LabelWriter.store

    def die(writer, verdict, staged) -> None:
        if verdict.scan_id == "s01":
            raise KeyboardInterrupt
        stored(writer, verdict, staged)

    monkeypatch.setattr(LabelWriter, "store", die)
    with pytest.raises(KeyboardInterrupt):
        import_masks(project, lab.masks)
    assert rows(project) == []
    assert not list(project.layout.label_versions.glob("*staged*"))
    monkeypatch.undo()
    assert len(import_masks(project, lab.masks).accepted) == 2
    assert set(files(project)) == {"s00.png", "s01.png"}


def test_a_process_killed_after_the_commit_is_mended_by_the_next_import(lab, project, monkeypatch):
    lab.mask("s00.png")
    monkeypatch.setattr(
        "coldal_tui.project.labels.importing.tidy_label_files", lambda project: None
    )
    import_masks(project, lab.masks)
    monkeypatch.undo()
    assert set(files(project)) == {"versions/s00.v1.png"}
    assert len(import_masks(project, lab.masks).unchanged) == 1
    assert set(files(project)) == {"s00.png"}


def test_what_a_killed_import_had_staged_goes_after_a_day(lab, project):
    folder = project.layout.label_versions
    folder.mkdir(exist_ok=True)
    old, new = folder / "s00.staged-aa.png", folder / "s00.staged-bb.png"
    for path, age in ((old, 25 * 3600), (new, 60)):
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age,) * 2)
    import_masks(project, lab.masks)
    assert (old.exists(), new.exists()) == (False, True)


def test_files_of_people_in_the_labels_folder_stay(lab, project):
    note = project.layout.labels / "README.txt"
    note.write_text("ours")
    stranger = project.layout.labels / "s04.png"
    Image.new("L", (9, 6)).save(stranger)
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    assert note.read_text() == "ours"
    kept = [p.name for p in project.layout.label_versions.iterdir()]
    assert kept == [f"s04.withdrawn-{sha256_file(project.layout.label_versions / kept[0])[:8]}.png"]


def test_two_imports_at_once_make_one_version(lab, project, monkeypatch):
    lab.mask("s00.png")
    other = lab.open()
    stage = Stager.stage
    raced = []

    def slow(stager, verdict):
        found = stage(stager, verdict)
        if not raced:
            raced.append(True)
            import_masks(other, lab.masks)
        return found

    monkeypatch.setattr(Stager, "stage", slow)
    report = import_masks(project, lab.masks)
    assert [v.scan_id for v in report.unchanged] == ["s00"]
    assert rows(project) == [("s00", 1, "active")]
    assert set(files(project)) == {"s00.png"}


def test_a_label_of_a_frozen_patients_other_scan_serves_for_nothing(lab):
    lab.pictures("p1_a", "p1_b", "p2_a", "p3_a")
    toml = '[images]\ndir = "../images"\npatients_pattern = "^(p[0-9])"\n'
    project = lab.start(toml)
    ids = ("p1_a", "p1_b", "p2_a", "p3_a")
    lab.embed(project)
    lab.map(project, {name: (float(n), 0.0) for n, name in enumerate(ids)})
    lab.select(project, [("p1_a", "validation"), ("p2_a", "medoid")], dict.fromkeys(ids, 0))
    for n, name in enumerate(ids):
        lab.mask(f"{name}.png", slice(0, n + 1))
    import_masks(project, lab.masks)
    spec = plan_train(project, {})
    assert [case.scan.scan_id for case in spec.train] == ["p2_a", "p3_a"]
    assert [case.scan.scan_id for case in spec.validation] == ["p1_a"]
    assert spec.train[0].label == str(project.layout.labels / "p2_a.png")


def test_a_source_that_is_not_there(lab, project):
    with pytest.raises(ColdalError, match="no such file or folder"):
        import_masks(project, lab.folder / "nowhere")


def test_an_older_opinion_that_comes_later_is_kept_and_does_not_count(lab, project):
    """The label that counts is there before; the one beside it is new."""
    newest = ImportOptions(conflict=ConflictRule("newest"))
    new = lab.mask("ben/s00.png", slice(0, 5))
    os.utime(new, (2000, 2000))
    import_masks(project, lab.masks, options=newest)
    old = lab.mask("ana/s00.png", slice(0, 3))
    os.utime(old, (1000, 1000))
    report = import_masks(project, lab.masks, options=newest)
    assert ([v.shown for v in report.kept], len(report.unchanged)) == (["s00.png"], 1)
    assert drawn(project, "s00") == 5
    states = project.store.rows("SELECT version, state FROM labels ORDER BY version")
    assert [row["state"] for row in states] == ["active", "superseded"]
    assert import_masks(project, lab.masks, options=newest).accepted == ()
