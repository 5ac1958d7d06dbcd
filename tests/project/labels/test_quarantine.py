"""Masks that wait: kept with their reason, told apart, tried again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import UsageError
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.files import sha256_file
from coldal_tui.project.labels.files import reconcile_label_files
from coldal_tui.project.labels.importing import import_masks, list_labels
from coldal_tui.project.labels.quarantine import (
    keep_copy,
    put_in_quarantine,
    reject_quarantined,
    resolve_quarantine,
    select_waiting,
    waiting,
)
from coldal_tui.project.labels.retry import retry_quarantined
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.trust_store import TrustStore


@pytest.fixture
def project(lab):
    """Scans s00 to s04; s00 and s01 are queued."""
    return lab.line(5, [("s00", "medoid"), ("s01", "farthest-point")])


def labelled(project) -> list[str]:
    return [label["scan_id"] for label in list_labels(project)]


def states(project) -> list[str]:
    rows = project.store.rows("SELECT state FROM quarantine ORDER BY quarantine_id")
    return [row["state"] for row in rows]


def test_a_mask_in_quarantine_is_kept_with_its_reason(lab, project, statuses):
    mask = lab.mask("s00.png", value=9)
    content = mask.read_bytes()
    import_masks(project, lab.masks)
    (row,) = waiting(project)
    assert (row["scan_id"], row["code"]) == ("s00", "unknown-value")
    assert "unknown value 9 (3 pixels)" in row["message"].lower()
    mask.unlink()
    assert project.file_of(row["file"]).read_bytes() == content
    assert statuses(project)["s00"] == "queued"


def test_the_same_mask_waits_once_and_its_reason_is_kept_up_to_date(lab, project):
    lab.mask("s00.png", value=9)
    import_masks(project, lab.masks)
    lab.configure("[classes]\nnames = ['lung', 'heart']\n")
    project.reload_config()
    import_masks(project, lab.masks)
    (row,) = waiting(project)
    assert "1 = lung, 2 = heart" in row["message"]


def test_two_files_without_a_scan_are_two(lab, project):
    for name in ("one.png", "two.png"):
        verdict = Verdict("quarantined", lab.masks / name, None, None, "unreadable", "it is gone")
        with project.store.transaction():
            put_in_quarantine(project, verdict, "")
            put_in_quarantine(project, verdict, "")
    assert [row["source"] for row in waiting(project)] == [
        str(lab.masks / name) for name in ("one.png", "two.png")
    ]


def test_an_unreadable_file_does_not_stop_the_others(lab, project):
    lab.mask("s00.png")
    (lab.masks / "s01.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"rest")
    report = import_masks(project, lab.masks)
    assert ([v.scan_id for v in report.accepted], len(report.quarantined)) == (["s00"], 1)
    assert waiting(project)[0]["code"]


def test_one_scan_of_a_file_that_holds_many_resolves_only_itself(lab, project):
    file = lab.mask("many.png")
    digest = sha256_file(file)
    with project.store.transaction():
        for scan_id in ("s00", "s01", None):
            verdict = Verdict("quarantined", file, digest, scan_id, "empty", "nothing is drawn")
            put_in_quarantine(project, verdict, "")
        resolve_quarantine(project, {"s00": (digest, "")})
    assert [row["scan_id"] for row in waiting(project)] == ["s01"]


def test_a_good_mask_of_the_scan_ends_the_waiting(lab, project):
    lab.mask("s00.png", value=9)
    import_masks(project, lab.masks)
    lab.mask("s00.png", value=1)
    import_masks(project, lab.masks)
    assert states(project) == ["resolved"]
    project.store.undo_last()
    reconcile_label_files(project)
    assert (states(project), labelled(project)) == (["waiting"], [])


def test_a_mask_that_was_mended_is_accepted_on_retry(lab, project, statuses):
    lab.mask("s00.png", value=9)
    import_masks(project, lab.masks)
    lab.mask("s00.png", value=1)
    (result,) = retry_quarantined(project, waiting(project))
    assert (result.accepted, result.scan_id) == (True, "s00")
    assert (states(project), labelled(project)) == (["resolved"], ["s00"])
    assert statuses(project)["s00"] == "labelled"
    assert (project.layout.labels / "s00.png").is_file()


def test_a_mended_mask_outside_another_persons_project_is_not_opened(lab, project):
    """Whoever made the project could have named any file: only the copy in it is decided on."""
    lab.mask("s00.png", value=9)
    import_masks(project, lab.masks)
    copies = sorted(project.layout.quarantine.rglob("*.png"))
    TrustStore().forget(project.root)
    (same,) = retry_quarantined(project, waiting(project))
    assert (same.accepted, same.code) == (False, "unknown-value")
    lab.mask("s00.png", value=1)
    (result,) = retry_quarantined(project, waiting(project))
    assert (result.accepted, result.code) == (False, "outside")
    assert result.message.endswith("if it is a mask of yours, import it again")
    assert sorted(project.layout.quarantine.rglob("*.png")) == copies
    assert len(import_masks(project, lab.masks).accepted) == 1


def test_a_mask_within_a_project_of_another_person_is_decided_on_as_it_is_now(lab, project):
    inside = project.root / "returned"
    lab.mask("s00.png", value=9)
    lab.masks.rename(inside)
    import_masks(project, inside)
    TrustStore().forget(project.root)
    lab.mask("s00.png", value=1).replace(inside / "s00.png")
    assert retry_quarantined(project, waiting(project))[0].accepted


def test_a_mask_that_became_a_link_to_another_file_is_not_followed(lab, project):
    lab.mask("s00.png", value=9)
    import_masks(project, lab.masks)
    private = lab.masks.parent / "private.png"
    (lab.masks / "s00.png").unlink()
    lab.mask("s00.png", value=1).rename(private)
    (lab.masks / "s00.png").symlink_to(private)
    (result,) = retry_quarantined(project, waiting(project))
    assert (result.accepted, result.code) == (False, "outside")
    assert labelled(project) == []


def test_after_a_change_of_coldal_toml_the_copy_is_accepted(lab, project):
    lab.mask("s00.png", value=9).rename(lab.masks / "s00_mask.png")
    import_masks(project, lab.masks)
    (lab.masks / "s00_mask.png").unlink()
    assert not retry_quarantined(project, waiting(project))[0].accepted
    lab.configure("[classes]\nvalues = { '9' = 'foreground' }\n")
    project.reload_config()
    assert retry_quarantined(project, waiting(project))[0].accepted
    assert labelled(project) == ["s00"]


def test_a_retry_that_fails_again_says_the_new_reason(lab, project):
    lab.mask("s00.png", value=9)
    import_masks(project, lab.masks)
    lab.mask("s00.png", size=(6, 8))
    (result,) = retry_quarantined(project, waiting(project))
    assert (result.accepted, result.code) == (False, "wrong-size")
    (row,) = waiting(project)
    assert row["code"] == "wrong-size"
    assert project.file_of(row["file"]).read_bytes() == (lab.masks / "s00.png").read_bytes()
    import_masks(project, lab.masks)
    assert len(waiting(project)) == 1


def test_a_retry_that_changes_nothing_is_not_what_undo_takes_back(lab, project):
    lab.mask("s00.png", value=9)
    import_masks(project, lab.masks)
    retry_quarantined(project, waiting(project))
    assert project.store.undo_last()["action"] == "import"


def test_an_empty_mask_is_a_negative_case_once_confirmed(lab, project):
    lab.mask("s00.png", value=0)
    import_masks(project, lab.masks)
    assert waiting(project)[0]["code"] == "empty"
    (result,) = retry_quarantined(
        project, select_waiting(project, ["s00"]), ImportOptions(confirm_empty=True)
    )
    assert result.accepted
    label = list_labels(project)[0]
    assert label["voxels"] == {"foreground": 0}
    assert any("negative case" in note for note in label["notes"])


def test_a_person_names_the_scan(lab, project):
    lab.mask("s00.png", value=9)
    import_masks(project, lab.masks)
    lab.configure("[classes]\nvalues = { '9' = 'foreground' }\n")
    project.reload_config()
    (result,) = retry_quarantined(project, waiting(project), scan_id="s04")
    assert (result.accepted, result.scan_id) == (True, "s04")
    assert (labelled(project), states(project)) == (["s04"], ["resolved"])


def test_a_person_names_a_scan_that_can_have_no_label(lab, project):
    lab.mask("s00.png", value=9)
    import_masks(project, lab.masks)
    with pytest.raises(UsageError, match="did you mean s0"):
        retry_quarantined(project, waiting(project), scan_id="s0")
    project.store.update("scans", {"scan_id": "s04"}, state="missing")
    with pytest.raises(UsageError, match="file is missing"):
        retry_quarantined(project, waiting(project), scan_id="s04")
    project.store.update("scans", {"scan_id": "s03"}, duplicate_of="s02")
    assert retry_quarantined(project, waiting(project), scan_id="s03")[0].scan_id == "s02"


def test_a_mask_without_a_scan_waits_for_one(lab, project):
    file = lab.mask("stray.png")
    verdict = Verdict("quarantined", file, sha256_file(file), None, "unreadable", "it was locked")
    with project.store.transaction():
        put_in_quarantine(project, verdict, keep_copy(project, verdict))
    assert retry_quarantined(project, waiting(project))[0].code == "no-scan"
    assert retry_quarantined(project, waiting(project), scan_id="s02")[0].accepted


def test_masks_that_are_gone_or_no_masks_do_not_stop_a_retry(lab, project):
    for name, value in (("s00", 9), ("s01", 8), ("s02", 7)):
        lab.mask(f"{name}.png", value=value)
    import_masks(project, lab.masks)
    gone, text, good = waiting(project)
    (lab.masks / "s00.png").unlink()
    project.file_of(gone["file"]).unlink()
    (lab.masks / "s01.png").write_text("no picture")
    lab.mask("s02.png", value=1)
    results = retry_quarantined(project, [gone, text, good])
    assert [result.accepted for result in results] == [False, False, True]
    assert results[0].code == "missing"
    assert "can be found" in results[0].message
    assert states(project) == ["waiting", "waiting", "resolved"]


def test_masks_that_claim_one_scan_are_not_decided_by_a_retry_of_all(lab, project):
    lab.mask("s00_mask.png", slice(0, 2))
    lab.mask("s00_seg.png", slice(0, 4))
    import_masks(project, lab.masks)
    rows = waiting(project)
    assert [row["code"] for row in rows] == ["conflict", "conflict"]
    assert [r.code for r in retry_quarantined(project, rows)] == ["conflict", "conflict"]
    assert labelled(project) == []
    number = str(rows[1]["quarantine_id"])
    assert retry_quarantined(project, select_waiting(project, [number]))[0].accepted
    assert states(project) == ["resolved", "resolved"]


def test_masks_are_chosen_by_number_first_and_once(lab, project):
    lab.mask("s00.png", value=9)
    lab.mask("s01.png", value=9)
    import_masks(project, lab.masks)
    project.store.update("quarantine", {"quarantine_id": 2}, scan_id="1")
    assert [r["quarantine_id"] for r in select_waiting(project, ["1"])] == [1]
    assert [r["quarantine_id"] for r in select_waiting(project, ["s00", "1", "2"])] == [1, 2]
    assert len(select_waiting(project, [])) == 2
    with pytest.raises(UsageError, match="nothing in quarantine under this name"):
        select_waiting(project, ["3"])


def test_a_rejected_mask_waits_no_more_until_it_is_imported_again(lab, project):
    lab.mask("s00.png", value=9)
    import_masks(project, lab.masks)
    reject_quarantined(project, waiting(project))
    assert (states(project), waiting(project)) == (["rejected"], [])
    project.store.undo_last()
    assert states(project) == ["waiting"]


def test_both_files_of_a_pair_are_kept(lab, project):
    header = lab.masks / "s00.mhd"
    header.write_text("ObjectType = Image\nElementDataFile = s00.raw\n")
    (lab.masks / "s00.raw").write_bytes(b"voxels")
    verdict = Verdict("quarantined", header, sha256_file(header), "s00", "geometry", "it is off")
    kept = project.file_of(keep_copy(project, verdict))
    assert kept.read_bytes() == header.read_bytes()
    assert kept.with_name("s00.raw").read_bytes() == b"voxels"


def test_the_audit_trail_names_what_came_in(lab, project):
    lab.mask("s00.png")
    Image.fromarray(np.full((6, 9), 9, np.uint8)).save(lab.masks / "s01.png")
    import_masks(project, lab.masks)
    row = project.store.row("SELECT * FROM audit WHERE action = 'import'")
    assert row["summary"] == "imported 1 labels, 1 to quarantine"
    assert json.loads(row["inputs"]) == {"s00": sha256_file(lab.masks / "s00.png")}
    assert json.loads(row["params"])["source"] == str(lab.masks)


def test_a_mask_without_a_scan_waits_until_a_person_names_it(lab, project):
    content = lab.mask("thorax s1.png").read_bytes()
    report = import_masks(project, lab.masks)
    assert [v.code for v in report.unmatched] == ["unmatched"]
    (row,) = waiting(project)
    assert (row["scan_id"], row["code"]) == (None, "no-scan")
    assert project.file_of(row["file"]).read_bytes() == content
    assert "has the file name 'thorax s1'" in row["message"]
    (lab.masks / "thorax s1.png").unlink()
    (retried,) = retry_quarantined(project, [row], scan_id="s01")
    assert (retried.accepted, labelled(project), waiting(project)) == (True, ["s01"], [])


def test_the_nearest_scans_are_kept_with_a_mask_that_found_none(lab, project):
    lab.mask("s07.png")
    import_masks(project, lab.masks)
    (row,) = waiting(project)
    assert json.loads(row["nearest"]) == ["s00", "s01", "s02"]


def test_a_mask_without_a_scan_is_settled_when_it_finds_one(lab, project):
    mask = lab.mask("other.png")
    import_masks(project, lab.masks)
    mask.rename(lab.masks / "s02.png")
    import_masks(project, lab.masks)
    assert (labelled(project), waiting(project)) == (["s02"], [])


def test_one_that_finds_its_scan_and_does_not_fit_waits_once(lab, project):
    mask = lab.mask("other.png", value=9)
    import_masks(project, lab.masks)
    mask.rename(lab.masks / "s02.png")
    import_masks(project, lab.masks)
    assert [(row["scan_id"], row["code"]) for row in waiting(project)] == [("s02", "unknown-value")]


def test_a_mask_of_one_class_stays_of_it_when_it_is_tried_again(lab, project):
    """Else the heart would come out of quarantine as class 1, the lung."""
    own = f"[project]\nid = '{project.config.project.id}'\n"
    lab.configure(f"{own}[classes]\nnames = ['lung', 'heart']\n")
    project.reload_config()
    lab.mask("s00_heart.png", value=7)
    import_masks(project, lab.masks)
    (row,) = waiting(project)
    assert (row["code"], row["class_name"]) == ("class-unclear", "heart")
    lab.mask("s00_heart.png", value=1)
    (retried,) = retry_quarantined(project, [row])
    assert retried.accepted
    (label,) = list_labels(project)
    assert label["voxels"] == {"lung": 0, "heart": 3}


def test_a_person_stays_known_through_quarantine(lab, project):
    mask = lab.mask("ana/s00.png", value=9)
    import_masks(project, lab.masks, match="{annotator}/{stem}")
    lab.mask("ana/s00.png")
    (retried,) = retry_quarantined(project, waiting(project))
    assert retried.accepted
    assert project.store.value("SELECT author FROM labels") == "ana"
    assert mask.is_file()


def test_a_mask_without_a_scan_finds_one_that_was_indexed_since(lab, project):
    lab.mask("late.png")
    import_masks(project, lab.masks)
    (retried,) = retry_quarantined(project, waiting(project))
    assert (retried.accepted, retried.code) == (False, "no-scan")
    lab.pictures("late")
    reindex(project)
    (retried,) = retry_quarantined(project, waiting(project))
    assert (retried.accepted, retried.scan_id, labelled(project)) == (True, "late", ["late"])
