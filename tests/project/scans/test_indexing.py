"""Ids of scans through every change of the images folder."""

from __future__ import annotations

import os
import shutil

import nibabel as nib
import numpy as np
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.scans.new_ids import safe_name


def paths(project: Project) -> dict[str, str]:
    """Present scans and where they lie."""
    return {s.scan_id: s.rel_path for s in project.scans() if s.state == "present"}


def test_new_scans_change_no_id(lab):
    lab.pictures("b", "d")
    project = lab.start()
    lab.pictures("a", "c")
    report = reindex(project)
    assert report.added == ("a", "c")
    assert (report.scans, report.changed, report.removed) == (4, (), ())
    assert paths(project) == {name: f"{name}.png" for name in "abcd"}


def test_an_index_of_the_same_files_reads_none(lab):
    lab.pictures("a", "b")
    project = lab.start()
    before = project.scans()
    report = reindex(project)
    assert (report.scans, report.added, report.read) == (2, (), 0)
    assert project.scans() == before


def test_a_moved_scan_keeps_its_id(lab):
    lab.pictures("a", "b")
    project = lab.start()
    (lab.images / "p1").mkdir()
    (lab.images / "a.png").rename(lab.images / "p1" / "renamed.png")
    report = reindex(project)
    assert (report.moved, report.added, report.removed) == (("a",), (), ())
    assert paths(project) == {"a": "p1/renamed.png", "b": "b.png"}


def test_scans_that_swapped_names_keep_their_ids(lab):
    lab.pictures("a", "b")
    project = lab.start()
    (lab.images / "a.png").rename(lab.images / "x")
    (lab.images / "b.png").rename(lab.images / "a.png")
    (lab.images / "x").rename(lab.images / "b.png")
    report = reindex(project)
    assert (report.moved, report.changed) == (("a", "b"), ())
    assert paths(project) == {"a": "b.png", "b": "a.png"}


def test_scans_that_were_renumbered_keep_their_ids(lab):
    lab.pictures("001", "002", "003")
    project = lab.start()
    for number in (3, 2, 1):
        (lab.images / f"00{number}.png").rename(lab.images / f"00{number + 1}.png")
    lab.picture("001.png")
    report = reindex(project)
    assert report.added == ("images-001",)
    assert paths(project) == {
        "images-001": "001.png",
        "001": "002.png",
        "002": "003.png",
        "003": "004.png",
    }


def test_a_changed_file_keeps_its_id_and_loses_what_was_known_of_its_bytes(lab):
    lab.pictures("a", "b")
    project = lab.start()
    old = project.scan("a").quick_hash
    project.store.update("scans", {"scan_id": "a"}, sha256="00")
    for scan_id in ("a", "b"):
        project.store.insert("scores", run_id="run-001", scan_id=scan_id, entropy=0.5)
    lab.picture("a.png", (7, 8))
    report = reindex(project)
    assert (report.changed, report.added) == (("a",), ())
    scan = project.scan("a")
    assert scan.quick_hash != old
    assert (scan.shape, scan.sha256) == ((7, 8), None)
    assert [row["scan_id"] for row in project.store.rows("SELECT scan_id FROM scores")] == ["b"]


def test_a_file_that_was_only_touched_is_not_changed(lab):
    lab.pictures("a")
    project = lab.start()
    os.utime(lab.images / "a.png", ns=(1, 1))
    report = reindex(project)
    assert (report.read, report.changed) == (1, ())


def test_a_removed_scan_is_missing_and_comes_back(lab):
    lab.pictures("a", "b")
    project = lab.start()
    away = shutil.move(lab.images / "a.png", lab.folder / "a.png")
    assert reindex(project).removed == ("a",)
    assert project.scan("a").state == "missing"
    assert reindex(project).removed == ()
    shutil.move(away, lab.images / "a.png")
    report = reindex(project)
    assert (report.returned, report.added, report.moved) == (("a",), (), ())
    assert project.scan("a").state == "present"


def test_a_new_file_under_a_moved_scans_old_name_is_a_new_scan(lab):
    lab.pictures("a", "z")
    project = lab.start()
    (lab.images / "a.png").rename(lab.images / "b.png")
    lab.picture("a.png")
    report = reindex(project)
    assert (report.moved, report.added) == (("a",), ("images-a",))
    assert paths(project) == {"a": "b.png", "images-a": "a.png", "z": "z.png"}


def test_equal_stems_are_told_apart_by_their_folders(lab):
    for name in ("p2/t1.png", "p1/t1.png", "t1.png", "p1/t2.png"):
        lab.picture(name)
    project = lab.start()
    assert paths(project) == {
        "p1-t1": "p1/t1.png",
        "p2-t1": "p2/t1.png",
        "images-t1": "t1.png",
        "p1-t2": "p1/t2.png",
    }
    lab.picture("p3/t2.png")
    assert reindex(project).added == ("p3-t2",)


def test_equal_folders_and_stems_are_numbered(lab):
    for name in ("a/p/t.png", "b/p/t.png", "p-t.png"):
        lab.picture(name)
    assert paths(lab.start()) == {
        "p-t": "a/p/t.png",
        "p-t-2": "b/p/t.png",
        "images-p-t": "p-t.png",
    }


def test_ids_differ_in_more_than_case(lab):
    lab.picture("a/Scan.png")
    lab.picture("b/scan.png")
    assert set(paths(lab.start())) == {"a-Scan", "b-scan"}


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("chest 01 (PA)", "chest_01_PA"),
        ("Größe é", "Große_e"),
        ("胸部 01", "胸部_01"),
        ("胸部" * 60, "胸部" * 26 + "胸"),
        ("рентген-é", "рентген-e"),
        ("...", "scan"),
        ("-rf", "rf"),
        (".hidden", "hidden"),
        ("a/../b", "a_.._b"),
        ("x" * 300, "x" * 80),
        ("x" * 79 + ".y", "x" * 79),
        ("ok-1.2_b", "ok-1.2_b"),
    ],
)
def test_ids_are_safe_in_file_names(name, safe):
    assert safe_name(name) == safe


def test_a_name_that_says_nothing_carries_its_folder(lab):
    for name in ("p1/img-0-10.png", "p2/img-0-11.png", "p3/lesion.png", "IMG_7.png"):
        lab.picture(name)
    assert set(paths(lab.start())) == {"p1-img-0-10", "p2-img-0-11", "lesion", "IMG_7"}


def test_files_with_unsafe_names_become_scans(lab):
    for name in ("a b.png", "胸.png", "部.png", "x" * 200 + ".png"):
        lab.picture(name)
    project = lab.start()
    assert set(paths(project).values()) == {p.name for p in lab.images.iterdir()}
    assert set(paths(project)) == {"a_b", "胸", "部", "x" * 80}


def test_of_copies_the_first_is_kept_and_stays_kept(lab):
    lab.pictures("b")
    project = lab.start()
    shutil.copy(lab.images / "b.png", lab.images / "a.png")
    shutil.copy(lab.images / "b.png", lab.images / "c.png")
    assert reindex(project).duplicates == {"a": "b", "c": "b"}
    assert reindex(project).duplicates == {"a": "b", "c": "b"}
    assert [scan.scan_id for scan in project.require_scans()] == ["b"]


def test_of_new_copies_the_first_id_is_kept(lab):
    lab.pictures("m")
    shutil.copy(lab.images / "m.png", lab.images / "a.png")
    project = lab.start()
    assert project.scan("m").duplicate_of == "a"


def test_a_copy_takes_over_when_the_original_is_gone_and_keeps_its_label(lab):
    lab.pictures("a", "z")
    shutil.copy(lab.images / "a.png", lab.images / "b.png")
    project = lab.start()
    away = shutil.move(lab.images / "a.png", lab.folder / "away.png")
    assert reindex(project).duplicates == {}
    project.store.insert("queue", scan_id="b", round=0, rank=1, role="medoid", terms={})
    shutil.move(away, lab.images / "a.png")
    report = reindex(project)
    assert (report.returned, report.duplicates) == (("a",), {"a": "b"})


def test_moved_copies_keep_original_and_copy(lab):
    lab.pictures("a", "z")
    shutil.copy(lab.images / "a.png", lab.images / "b.png")
    project = lab.start()
    (lab.images / "p").mkdir()
    for name, now in (("a", "k"), ("b", "l")):
        (lab.images / f"{name}.png").rename(lab.images / "p" / f"{now}.png")
    report = reindex(project)
    assert (report.added, report.removed) == ((), ())
    assert paths(project) == {"a": "p/k.png", "b": "p/l.png", "z": "z.png"}
    assert report.duplicates == {"b": "a"}


def big(path, value: int) -> None:
    """An uncompressed volume of which the quick hash sees no difference to others."""
    path.parent.mkdir(exist_ok=True)
    voxels = np.zeros((64, 64, 64), np.uint8)
    voxels[32, 32, 32] = value
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)


def test_volumes_that_share_a_quick_hash_are_not_mixed_up_when_moved(lab):
    big(lab.images / "x" / "a.nii", 1)
    big(lab.images / "x" / "b.nii", 2)
    project = lab.start()
    assert project.scan("a").quick_hash == project.scan("b").quick_hash
    (lab.images / "x").rename(lab.images / "y")
    report = reindex(project)
    assert (report.moved, report.duplicates) == (("a", "b"), {})
    assert paths(project) == {"a": "y/a.nii", "b": "y/b.nii"}


def test_volumes_that_share_a_quick_hash_and_were_renamed_are_new(lab):
    big(lab.images / "a.nii", 1)
    big(lab.images / "b.nii", 2)
    lab.pictures("z")
    project = lab.start()
    (lab.images / "a.nii").rename(lab.images / "c.nii")
    (lab.images / "b.nii").rename(lab.images / "d.nii")
    report = reindex(project)
    assert (report.added, report.removed, report.moved) == (("c", "d"), ("a", "b"), ())


def test_files_that_are_no_scan_are_listed_with_the_reason(lab):
    lab.pictures("a")
    (lab.images / "cut.png").write_bytes((lab.images / "a.png").read_bytes()[:40])
    (lab.images / "notes.txt").write_text("hello")
    project = lab.start()
    problems = {p.rel_path: p.kind for p in reindex(project).problems}
    assert problems == {"cut.png": "unreadable", "notes.txt": "not-an-image"}
    assert project.store.value("SELECT count(*) FROM problems") == 2
    (lab.images / "cut.png").unlink()
    assert len(reindex(project).problems) == 1
    assert project.store.value("SELECT count(*) FROM problems") == 1


def test_an_empty_folder_does_not_empty_a_project(lab):
    lab.pictures("a", "b")
    project = lab.start()
    for path in lab.images.iterdir():
        path.unlink()
    before = project.scans()
    with pytest.raises(ColdalError, match="all 2 known scans are gone") as caught:
        reindex(project)
    assert caught.value.code == "all-gone"
    assert project.scans() == before
    assert reindex(project, accept_removals=True).removed == ("a", "b")


def test_another_folder_does_not_replace_a_project(lab):
    lab.pictures("a", "b")
    project = lab.start()
    for path in lab.images.iterdir():
        path.unlink()
    lab.pictures("c", "d")
    with pytest.raises(ColdalError, match="all 2 known scans are gone"):
        reindex(project)
    assert reindex(project, accept_removals=True).added == ("c", "d")


def test_a_folder_that_is_gone(lab):
    lab.pictures("a")
    project = lab.start()
    lab.images.rename(lab.folder / "elsewhere")
    with pytest.raises(ColdalError) as caught:
        reindex(project)
    assert caught.value.code == "no-images"
    assert caught.value.where == str(lab.images)


def test_a_project_inside_the_images_folder_indexes_none_of_its_own_files(lab):
    lab.pictures("a")
    lab.root = lab.images / "my [project]"
    project = lab.start(f'[images]\ndir = "{lab.images}"\n')
    for folder in (project.layout.labels, project.layout.exports, project.layout.cache):
        shutil.copy(lab.images / "a.png", folder / "b.png")
    assert reindex(project).scans == 1


def test_the_images_folder_may_be_the_project(lab):
    lab.pictures("a")
    lab.root = lab.images
    project = lab.start('[images]\ndir = "."\n')
    shutil.copy(lab.images / "a.png", project.layout.labels / "a.png")
    report = reindex(project)
    assert (report.scans, report.duplicates) == (1, {})


def test_include_and_exclude(lab):
    for name in ("a.png", "masks/a.png", "p/b.png", "p/b.bmp"):
        lab.picture(name)
    where = '[images]\ndir = "../images"\n'
    project = lab.start(where + 'include = ["*.png"]\nexclude = ["masks/*"]\n')
    assert paths(project) == {"a": "a.png", "b": "p/b.png"}


def test_patients_and_metadata_come_from_the_table(lab):
    lab.pictures("a", "b")
    (lab.images / "meta.csv").write_text("filename,patient_id,sex\na.png,P1,F\n")
    where = '[images]\ndir = "../images"\npatients_csv = "../images/meta.csv"\n'
    project = lab.start(where)
    assert (project.scan("a").patient_id, project.scan("a").meta["sex"]) == ("P1", "F")
    assert project.scan("b").patient_id == "scan:b"
    assert reindex(project).no_patient == 1


def test_a_wrong_table_changes_nothing(lab):
    lab.pictures("a")
    project = lab.start('[images]\ndir = "../images"\npatients_csv = "none.csv"\n', index=False)
    with pytest.raises(ColdalError, match="patients file"):
        reindex(project)
    assert project.scans() == []


def test_a_volume_keeps_its_grid(lab):
    affine = np.diag([0.7, 1.1, 4.0, 1.0])
    affine[:3, 3] = (-3, 5, 8)
    lab.volume("v.nii.gz", affine)
    scan = lab.start().scan("v")
    assert scan.shape == (5, 6, 7)
    assert scan.spacing == pytest.approx((0.7, 1.1, 4.0))
    np.testing.assert_allclose(np.array(scan.affine), affine, rtol=1e-6)


def test_an_index_is_in_the_audit_trail_and_not_undone(lab):
    lab.pictures("a")
    project = lab.start()
    row = project.store.row("SELECT action, summary FROM audit")
    assert row == {
        "action": "index",
        "summary": "indexed 1 scans: 1 added, 0 changed, 0 moved, 0 removed",
    }
    assert project.store.undo_last() is None
