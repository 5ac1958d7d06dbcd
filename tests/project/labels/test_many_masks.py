"""Files and archives of many masks: each is known, kept and tried again by itself."""

from __future__ import annotations

import json
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from coldal_tui.exchange.incoming.conflicts import ConflictRule
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.labels.class_map import for_once, keep_class_map
from coldal_tui.project.labels.files import reconcile_label_files
from coldal_tui.project.labels.importing import import_masks, list_labels
from coldal_tui.project.labels.quarantine import select_waiting, waiting
from coldal_tui.project.labels.retry import retry_quarantined
from coldal_tui.project.settings.config import load_config


@pytest.fixture
def project(lab):
    """Scans s00 to s04 of 6 × 9 pixels; s00 and s01 are queued."""
    return lab.line(5, [("s00", "medoid"), ("s01", "farthest-point")])


def coco(path, boxes: dict[str, tuple[int, str]]):
    """One rectangle of so many columns and its class per image."""
    names = sorted({name for _, name in boxes.values()})
    images, annotations = [], []
    for number, (image, (columns, name)) in enumerate(boxes.items()):
        images.append({"id": number, "file_name": image, "height": 6, "width": 9})
        shape = [0, 0, columns, 0, columns, 6, 0, 6]
        annotations.append(
            {"image_id": number, "category_id": names.index(name), "segmentation": [shape]}
        )
    categories = [{"id": n, "name": name} for n, name in enumerate(names)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(document))
    return path


def columns_of(project, scan_id: str) -> int:
    return int(np.count_nonzero(read_label(project.layout.labels / f"{scan_id}.png"))) // 6


def versions(project, scan_id: str) -> list[tuple[str, int]]:
    rows = project.store.rows(
        "SELECT state, voxels FROM labels WHERE scan_id = ? ORDER BY version", (scan_id,)
    )
    return [(row["state"], json.loads(row["voxels"])["foreground"] // 6) for row in rows]


def tables(project) -> list:
    return [project.store.rows(f"SELECT * FROM {t}") for t in ("labels", "quarantine", "queue")]


def test_one_file_gives_many_labels_and_again_changes_nothing(lab, project):
    path = coco(lab.masks / "x.json", {"s00.png": (2, "foreground"), "s01.png": (3, "foreground")})

    first = import_masks(project, lab.masks)
    before = tables(project)
    again = import_masks(project, path)

    assert [v.scan_id for v in first.accepted] == ["s00", "s01"]
    assert [columns_of(project, s) for s in ("s00", "s01")] == [2, 3]
    assert [v.key for v in again.unchanged] == ["s00.png", "s01.png"]
    assert tables(project) == before
    row = project.store.row("SELECT source, source_key, format FROM labels WHERE scan_id = 's01'")
    assert tuple(row.values()) == (str(path), "s01.png", "coco")


def test_each_mask_of_a_file_waits_and_is_tried_again_by_itself(lab, project):
    path = coco(
        lab.masks / "x.json",
        {"s00.png": (2, "Tumor"), "s01.png": (3, "Cyst"), "s02.png": (4, "foreground")},
    )
    import_masks(project, path)
    rows = waiting(project)
    assert [(r["scan_id"], r["source_key"], r["code"]) for r in rows] == [
        ("s00", "s00.png", "unknown-value"),
        ("s01", "s01.png", "unknown-value"),
    ]
    assert rows[0]["file"] == rows[1]["file"]

    path.unlink()
    keep_class_map(project, {"Tumor": 1})
    results = retry_quarantined(project, rows)

    assert [result.accepted for result in results] == [True, False]
    assert columns_of(project, "s00") == 2
    assert [row["scan_id"] for row in waiting(project)] == ["s01"]
    label = project.store.row("SELECT source, source_key FROM labels WHERE scan_id = 's00'")
    assert tuple(label.values()) == (str(path), "s00.png")


def test_a_key_that_the_mended_file_lacks_stays_with_the_reason(lab, project):
    path = coco(lab.masks / "x.json", {"s00.png": (2, "Tumor")})
    import_masks(project, path)
    coco(path, {"s01.png": (2, "foreground")})

    (result,) = retry_quarantined(project, waiting(project))

    assert (result.accepted, result.code) == (False, "not-one-mask")
    assert "Import the whole file again" in result.message


def test_a_mask_is_kept_with_the_files_it_is_read_with(lab, project):
    (lab.masks / "labelmap.txt").write_text("Tumor:255,0,0::\nbackground:0,0,0::\n")
    drawn = np.zeros((6, 9, 3), np.uint8)
    drawn[:, :2] = (255, 0, 0)
    (lab.masks / "SegmentationClass").mkdir()
    Image.fromarray(drawn).save(lab.masks / "SegmentationClass" / "s00.png")
    import_masks(project, lab.masks)
    (row,) = waiting(project)

    for file in (lab.masks / "SegmentationClass" / "s00.png", lab.masks / "labelmap.txt"):
        file.unlink()
    keep_class_map(project, {"tumor": "foreground"})

    assert retry_quarantined(project, [row])[0].accepted
    assert columns_of(project, "s00") == 2


def archive(lab, *names: str, prefix: str = "export/") -> object:
    path = lab.folder / "masks.zip"
    with zipfile.ZipFile(path, "w") as opened:
        for number, name in enumerate(names, start=2):
            opened.write(lab.mask(f"{name}.png", slice(0, number)), f"{prefix}{name}.png")
        opened.writestr("../out.png", b"bad")
    return path


def test_an_archive_is_imported_and_leaves_nothing_behind(lab, project):
    path = archive(lab, "s00", "s01")

    report = import_masks(project, path)

    assert report.saw == "2 PNG masks in an archive"
    assert [v.origin for v in report.accepted] == [f"{path}/export/s0{n}.png" for n in (0, 1)]
    assert [v.message for v in report.ignored] == [
        "not unpacked: its name leads out of the archive's folder"
    ]
    assert [row["source"] for row in list_labels(project)] == [v.origin for v in report.accepted]
    assert list(project.layout.cache.iterdir()) == []
    assert not (project.layout.cache.parent / "out.png").exists()


def test_an_archive_again_changes_nothing(lab, project):
    path = archive(lab, "s00", "s01")
    import_masks(project, path)
    before = tables(project)

    assert len(import_masks(project, path).unchanged) == 2
    assert tables(project) == before


def test_a_mask_of_an_archive_waits_after_the_archive_is_gone(lab, project):
    lab.mask("s00.png", value=9)
    with zipfile.ZipFile(lab.folder / "m.zip", "w") as opened:
        opened.write(lab.masks / "s00.png", "a/s00.png")
    import_masks(project, lab.folder / "m.zip")
    (row,) = waiting(project)
    assert row["source"] == f"{lab.folder}/m.zip/a/s00.png"
    (lab.folder / "m.zip").unlink()
    keep_class_map(project, {9: "foreground"})

    assert retry_quarantined(project, [row])[0].accepted


def test_what_labelers_leave_beside_an_archive_is_used(lab, project):
    (lab.folder / "labelmap.txt").write_text("foreground:255,0,0::\n")
    drawn = np.zeros((6, 9, 3), np.uint8)
    drawn[:, :4] = (255, 0, 0)
    Image.fromarray(drawn).save(lab.masks / "s00.png")
    with zipfile.ZipFile(lab.folder / "m.zip", "w") as opened:
        opened.write(lab.masks / "s00.png", "packed again/s00.png")

    assert len(import_masks(project, lab.folder / "m.zip").accepted) == 1
    assert columns_of(project, "s00") == 4


def test_an_archive_that_is_damaged_waits_with_its_reason(lab, project):
    path = archive(lab, "s00")
    path.write_bytes(path.read_bytes()[:60])

    report = import_masks(project, path)

    assert (report.saw, [v.code for v in report.quarantined]) == (
        "an archive that can't be opened",
        ["damaged-archive"],
    )
    (row,) = waiting(project)
    assert (row["source"], row["file"]) == (str(path), "")


def test_the_class_map_is_kept_with_the_file_s_comments(lab, project):
    text = (lab.root / "coldal.toml").read_text()
    (lab.root / "coldal.toml").write_text(f"# mine\n{text}")
    project.reload_config()

    assert keep_class_map(project, {"Tumor": 1, "#FF1493": "foreground", 128: 1}) == [
        "Tumor = 1",
        "#FF1493 = foreground",
        "128 = 1",
    ]
    assert keep_class_map(project, {"tumor": 1}) == []
    assert keep_class_map(project, {"TUMOR": "ignore"}) == ["TUMOR = ignore"]

    kept = load_config(lab.root / "coldal.toml").classes.map
    assert kept == {"#FF1493": "foreground", "128": 1, "TUMOR": "ignore"}
    assert (lab.root / "coldal.toml").read_text().startswith("# mine\n")


def test_a_kept_class_map_counts_in_every_import_and_the_call_comes_first(lab, project):
    coco(lab.masks / "x.json", {"s00.png": (2, "Tumor"), "s01.png": (3, "Cyst")})
    keep_class_map(project, {"Tumor": 1, "Cyst": 1})

    options = ImportOptions(values={"cyst": "ignore"}, confirm_empty=True)
    import_masks(project, lab.masks, options=options)

    assert read_label(project.layout.labels / "s00.png").max() == 1
    assert read_label(project.layout.labels / "s01.png").max() == 255


def test_what_would_change_later_masks_is_not_kept(lab, project):
    assert keep_class_map(project, {1: "background", "*": "background", 9: 1}) == ["9 = 1"]
    assert for_once(project, {1: "ignore", "*": 1, 9: 1, "Tumor": 1}) == {1: "ignore", "*": 1}
    assert for_once(project, {1: "Foreground"}) == {}


def test_an_import_tells_what_a_kept_map_decided(lab, project):
    lab.mask("s00.png", value=9)
    lab.mask("s01.png", value=1)
    keep_class_map(project, {9: "foreground"})

    report = import_masks(project, lab.masks)

    assert {v.scan_id: v.notes for v in report.accepted} == {
        "s00": ("read by [classes.map] in coldal.toml: 9 = foreground",),
        "s01": (),
    }


@pytest.fixture
def two_raters(lab):
    """Anna drew 2 columns of s00, Ben 5; Ben later."""
    for name, columns, at in (("anna", 2, 1000), ("ben", 5, 2000)):
        drawn = np.zeros((6, 9), np.uint8)
        drawn[:, :columns] = 1
        path = lab.masks / name / "s00.png"
        path.parent.mkdir()
        Image.fromarray(drawn).save(path)
        os.utime(path, (at, at))
    return lab.masks


def by_rule(project, source, rule: str):
    options = ImportOptions(conflict=ConflictRule.parse(rule))
    return import_masks(project, source, match="{annotator}/{stem}", options=options)


def test_every_rater_s_mask_is_a_version(project, two_raters):
    report = by_rule(project, two_raters, "newest")

    assert [v.author for v in report.accepted] == ["ben"]
    assert [v.author for v in report.kept] == ["anna"]
    assert versions(project, "s00") == [("superseded", 2), ("active", 5)]
    assert [(one.first, one.second) for one in report.agreement] == [("anna", "ben")]
    assert waiting(project) == []
    rows = project.store.rows("SELECT author FROM labels ORDER BY version")
    assert [row["author"] for row in rows] == ["anna", "ben"]


def test_a_consensus_again_changes_nothing(project, two_raters):
    by_rule(project, two_raters, "majority")
    before = tables(project)

    report = by_rule(project, two_raters, "majority")

    assert versions(project, "s00") == [("superseded", 2), ("superseded", 5), ("active", 2)]
    assert (report.accepted, report.kept) == ((), ())
    assert tables(project) == before


def test_another_rule_chooses_again(project, two_raters):
    by_rule(project, two_raters, "newest")
    by_rule(project, two_raters, "annotator:anna")

    assert versions(project, "s00")[-1] == ("active", 2)
    assert columns_of(project, "s00") == 2


def test_a_rule_does_not_bring_back_what_was_corrected_since(lab, project, two_raters):
    by_rule(project, two_raters, "newest")
    import_masks(project, lab.mask("s00.png", slice(0, 9)))
    before = versions(project, "s00")

    by_rule(project, two_raters, "newest")

    assert versions(project, "s00") == before


def test_undo_takes_a_consensus_and_its_versions_back(project, two_raters):
    by_rule(project, two_raters, "staple")
    project.store.undo_last()
    reconcile_label_files(project)

    assert versions(project, "s00") == []
    assert not (project.layout.labels / "s00.png").exists()


def test_masks_of_two_known_people_are_both_kept_and_in_dispute(project, two_raters):
    report = by_rule(project, two_raters, "quarantine")

    assert [(v.author, v.message) for v in report.disputed] == [
        ("anna", "anna and ben differ"),
        ("ben", "anna and ben differ"),
    ]
    assert versions(project, "s00") == [("drawn", 2), ("drawn", 5)]
    assert waiting(project) == []
    before = tables(project)
    again = by_rule(project, two_raters, "quarantine")
    assert len(again.unchanged) == 2
    assert tables(project) == before


def test_masks_in_conflict_are_accepted_by_number(project, two_raters):
    report = import_masks(project, two_raters)
    assert [v.code for v in report.quarantined] == ["conflict", "conflict"]
    number = next(r["quarantine_id"] for r in waiting(project) if "anna" in r["source"])

    assert retry_quarantined(project, select_waiting(project, [str(number)]))[0].accepted
    assert columns_of(project, "s00") == 2
