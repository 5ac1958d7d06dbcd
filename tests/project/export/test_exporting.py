"""Handing out: which scans, to whom, with which pre-labels, and what is recorded."""

from __future__ import annotations

import hashlib
import json
import re
import shutil

import pytest

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.exporters import export_formats
from coldal_tui.files import sha256_file
from coldal_tui.project.export import exporting
from coldal_tui.project.export.exporting import Wanted, export_queue
from coldal_tui.project.labels.exported import known_exports
from coldal_tui.project.labels.importing import import_masks, list_labels
from coldal_tui.project.queue.actions import assign, pin, skip
from coldal_tui.project.scans.indexing import reindex

PICKS = [("s00", "medoid"), ("s01", "farthest-point"), ("s02", "farthest-point")]


@pytest.fixture
def project(lab):
    """Scans s00 to s05; s00, s01, s02 are queued."""
    return lab.line(6, PICKS)


def manifest(folder) -> list[dict]:
    return json.loads((folder / "manifest.json").read_text())["items"]


def test_queued_scans_are_exported_and_recorded(lab, project, statuses):
    report = export_queue(project)
    assert report.scans == ("s00", "s01", "s02")
    assert report.folder.parent == project.layout.exports
    assert set(statuses(project).values()) == {"exported"}
    row = project.store.row("SELECT * FROM exports")
    assert row["export_id"] == report.export_id
    assert project.file_of(row["folder"]) == report.folder
    assert json.loads(row["scans"]) == ["s00", "s01", "s02"]
    assert row["manifest_sha256"] == sha256_file(report.folder / "manifest.json")
    assert project.scan("s00").sha256 == sha256_file(lab.images / "s00.png")
    assert {item["scan_id"]: item["rank"] for item in manifest(report.folder)} == {
        "s00": 1,
        "s01": 2,
        "s02": 3,
    }


def test_masks_drawn_in_an_export_come_back(lab, project, statuses):
    folder = export_queue(project).folder
    lab.masks = folder / "masks"
    lab.mask("s01.png")
    import_masks(project, folder)
    assert [label["scan_id"] for label in list_labels(project)] == ["s01"]
    assert statuses(project)["s01"] == "labelled"


def test_skipped_and_labelled_scans_stay_here(lab, project, statuses):
    skip(project, ["s00"], None, replace=False)
    lab.mask("s01.png")
    import_masks(project, lab.masks)
    assert export_queue(project).scans == ("s02",)
    assert statuses(project) == {"s00": "skipped", "s01": "labelled", "s02": "exported"}


def test_the_first_of_the_queue_go_first(project):
    pin(project, ["s02"])
    assert export_queue(project, top=2).scans == ("s02", "s00")
    assert export_queue(project).scans == ("s01",)


def test_only_one_round(project):
    project.store.update("queue", {"scan_id": "s01"}, round=1)
    assert export_queue(project, round_=1).scans == ("s01",)


def test_people_are_dealt_scans_in_turn_and_keep_what_they_had(project):
    assign(project, ["s01"], "carla")
    report = export_queue(project, assign=("ana", "ben"))
    rows = project.store.rows("SELECT scan_id, assignee FROM queue ORDER BY scan_id")
    assert [row["assignee"] for row in rows] == ["ana", "carla", "ben"]
    assert report.assignees == {"ana": 1, "carla": 1, "ben": 1}
    for person, scan_id in (("ana", "s00"), ("carla", "s01"), ("ben", "s02")):
        (item,) = manifest(report.folder / person)
        assert (item["scan_id"], item["assignee"]) == (scan_id, person)
        assert (report.folder / person / "README.md").is_file()


WHY = ("role", "cluster", "score", "round", "strategy", "entropy", "medoid", "validation")


@pytest.mark.parametrize("format", export_formats())
def test_labelers_are_not_told_why_a_scan_is_in_the_queue(lab, format):
    """Nor that it is one for validation: not one word of it lies in what they get."""
    if format == "dicom-seg":
        pytest.skip("it takes no plain pictures")
    project = lab.line(3, [("s00", "medoid"), ("s01", "validation")])
    report = export_queue(project, format=format, assign=("ana",))
    (ours,) = project.layout.exports.glob("*.manifest.json")
    told = json.loads(ours.read_text())["items"]
    assert [(row["scan_id"], row["role"]) for row in told] == [
        ("s00", "medoid"),
        ("s01", "validation"),
    ]
    assert "role,cluster,score" in ours.with_suffix(".csv").read_text().splitlines()[0]
    for path in report.folder.rglob("*"):
        if path.suffix in (".json", ".csv", ".md", ".txt", ".xml"):
            text = path.read_text()
            if path.name == "README.md":
                text = text.partition("## How to open")[0]
            assert not [word for word in WHY if re.search(rf"\b{word}\b", text)], path


def test_two_people_s_pictures_lie_side_by_side_in_one_label_studio(project):
    wanted = Wanted(people=("ana", "ben"), overlap=1)
    folder = export_queue(project, format="label-studio", wanted=wanted).folder
    served = []
    for person in ("ana", "ben"):
        for task in json.loads((folder / person / "tasks.json").read_text()):
            url = task["data"]["image"]
            assert url.startswith(f"/data/local-files/?d={person}/images/")
            served.append(url.partition("?d=")[2])
        assert f"the folder that `{person}/` lies in" in (folder / person / "README.md").read_text()
    assert len(set(served)) == 4  # s00 twice
    assert all((folder / path).is_file() for path in served)


def test_the_own_copy_leads_back_when_the_folder_is_gone(lab, project):
    folder = export_queue(project, format="coco", out=lab.folder / "sent").folder
    shutil.rmtree(folder)
    (known,) = known_exports(project).handed_out
    assert [entry.scan_id for entry in known.entries] == ["s00", "s01", "s02"]


def test_what_is_out_goes_out_again_only_when_asked(project):
    first = export_queue(project, top=1)
    assert export_queue(project).scans == ("s01", "s02")
    with pytest.raises(UsageError, match="nothing is queued") as caught:
        export_queue(project)
    assert "--again" in caught.value.remedy
    again = export_queue(project, again=True)
    assert again.scans == ("s00", "s01", "s02")
    assert again.folder != first.folder
    assert project.store.value("SELECT DISTINCT export_id FROM queue") == again.export_id


def test_predictions_of_the_newest_run_go_along_as_pre_labels(lab, project):
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    lab.train(project)
    lab.score(project, {})
    lab.train(project)
    assert export_queue(project, top=1).prelabels == 0
    lab.score(project, {})
    report = export_queue(project, again=True)
    assert (report.scans, report.prelabels) == (("s01", "s02"), 2)
    assert {item["run"] for item in manifest(report.folder)} == {"run-002"}
    predicted = project.layout.runs / "run-002" / "predictions" / "s01.png"
    assert (report.folder / "prelabels" / "s01.png").read_bytes() == predicted.read_bytes()


def test_an_export_that_fails_changes_nothing(lab, project, statuses):
    (lab.images / "s01.png").unlink()
    before = [project.store.rows(f"SELECT * FROM {t}") for t in ("queue", "exports", "audit")]
    with pytest.raises(ColdalError, match="image can't be read"):
        export_queue(project)
    after = [project.store.rows(f"SELECT * FROM {t}") for t in ("queue", "exports", "audit")]
    assert after == before
    assert list(project.layout.exports.iterdir()) == []


def test_an_export_that_can_not_be_recorded_leaves_no_folder(lab, project, monkeypatch):
    def busy(*_args: object, **_more: object) -> None:
        raise ColdalError("another process holds the project's database", code="busy")

    monkeypatch.setattr(exporting, "_record", busy)
    out = lab.folder / "out"
    with pytest.raises(ColdalError, match="holds the project"):
        export_queue(project, out=out)
    assert not out.exists()


def test_a_label_that_comes_during_an_export_stays_a_label(lab, project, statuses, monkeypatch):
    lab.mask("s01.png")
    record = exporting._record

    def late(*args, **more):
        import_masks(project, lab.masks)
        return record(*args, **more)

    monkeypatch.setattr(exporting, "_record", late)
    export_queue(project)
    assert statuses(project) == {"s00": "exported", "s01": "labelled", "s02": "exported"}


def test_an_export_elsewhere_is_recorded_by_its_absolute_path(lab, project, monkeypatch):
    monkeypatch.chdir(lab.folder)
    report = export_queue(project, out=lab.folder.joinpath("out").relative_to(lab.folder))
    assert report.folder == lab.folder / "out"
    assert project.store.value("SELECT folder FROM exports") == str(lab.folder / "out")


def test_a_folder_that_is_not_empty_is_refused(lab, project, statuses):
    with pytest.raises(UsageError, match="not empty"):
        export_queue(project, out=lab.masks.parent)
    assert set(statuses(project).values()) == {"queued"}


def test_an_unknown_format_is_refused(project, statuses):
    with pytest.raises(UsageError, match="no export format is called 'fax'"):
        export_queue(project, format="fax")
    assert set(statuses(project).values()) == {"queued"}


def test_a_projects_name_does_not_lead_out_of_the_exports_folder(lab, project):
    lab.configure('[project]\nname = "../a / b"\n')
    project.reload_config()
    folder = export_queue(project).folder
    assert folder.parent == project.layout.exports
    assert folder.name.endswith("-a_b")


def test_an_export_is_undone_and_its_folder_stays(project, statuses):
    folder = export_queue(project, assign=("ana",)).folder
    assert project.store.undo_last()["action"] == "export"
    assert set(statuses(project).values()) == {"queued"}
    assert project.store.rows("SELECT * FROM exports") == []
    assert project.scan("s00").sha256 is None
    assert (folder / "ana" / "manifest.json").is_file()


def test_the_audit_trail_has_the_manifest(project):
    report = export_queue(project)
    row = project.store.row("SELECT * FROM audit WHERE action = 'export'")
    assert json.loads(row["inputs"]) == {"manifest": sha256_file(report.folder / "manifest.json")}
    assert json.loads(row["params"]) == {
        "folder": str(report.folder),
        "scans": ["s00", "s01", "s02"],
    }


def test_a_scan_for_two_people_lies_in_the_folders_of_both(project):
    report = export_queue(project, wanted=Wanted(people=("ana", "ben"), overlap=1))
    ana, ben = (manifest(report.folder / name) for name in ("ana", "ben"))
    (both,) = {item["scan_id"] for item in ana} & {item["scan_id"] for item in ben}
    assert {item["scan_id"] for item in (*ana, *ben)} == {"s00", "s01", "s02"}
    assert {item["assignee"] for item in ana} == {"ana"}
    assert (report.assignees, report.shared) == ({"ana": 2, "ben": 2}, 1)
    named = project.store.value("SELECT assignee FROM queue WHERE scan_id = ?", (both,))
    assert set(named.split(",")) == {"ana", "ben"}
    assert not (report.folder / "manifest.json").exists()
    assert "drawn twice" in (report.folder / "README.md").read_text()


def test_folders_of_people_have_safe_names(project):
    report = export_queue(project, wanted=Wanted(people=("../ana", "..-ana"), overlap=1))
    assert sorted(path.name for path in report.folder.iterdir() if path.is_dir()) == [
        "ana",
        "ana-2",
    ]


def test_the_record_of_folders_is_one_hash_of_their_manifests(project):
    report = export_queue(project, wanted=Wanted(people=("ana", "ben"), overlap=1))
    lines = "".join(
        sha256_file(report.folder / name / "manifest.json") + "\n" for name in ("ana", "ben")
    )
    recorded = project.store.value("SELECT manifest_sha256 FROM exports")
    assert recorded == hashlib.sha256(lines.encode()).hexdigest()


def test_progress_counts_over_all_folders(project):
    seen = []
    wanted = Wanted(people=("ana", "ben"), overlap=1)
    export_queue(project, wanted=wanted, progress=lambda *step: seen.append(step[:2]))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_failure_in_the_second_folder_leaves_nothing(lab, project):
    (lab.images / "s02.png").unlink()
    with pytest.raises(ColdalError, match="image can't be read"):
        export_queue(project, wanted=Wanted(people=("ana", "ben"), overlap=1))
    assert list(project.layout.exports.iterdir()) == []


def test_only_one_cluster(project):
    project.store.update("queue", {"scan_id": "s01"}, cluster=4)
    assert export_queue(project, wanted=Wanted(cluster=4)).scans == ("s01",)


def test_what_did_not_change_does_not_go_out_again(project):
    export_queue(project)
    with pytest.raises(UsageError, match="has changed"):
        export_queue(project, wanted=Wanted(changed=True))


def test_a_new_assignment_is_a_change(project):
    export_queue(project)
    assign(project, ["s01"], "ana")
    report = export_queue(project, wanted=Wanted(changed=True))
    assert (report.scans, report.assignees) == (("s01",), {"ana": 1})
    with pytest.raises(UsageError, match="has changed"):
        export_queue(project, wanted=Wanted(changed=True))


def test_a_new_image_is_a_change(lab, project):
    export_queue(project)
    lab.picture("s02.png")
    reindex(project)
    assert export_queue(project, wanted=Wanted(changed=True)).scans == ("s02",)


def test_new_pre_labels_are_a_change(lab, project):
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    export_queue(project)
    lab.train(project)
    lab.score(project, {})
    report = export_queue(project, wanted=Wanted(changed=True))
    assert (report.scans, report.prelabels) == (("s01", "s02"), 2)


def test_what_was_never_out_is_not_what_changed(project):
    export_queue(project, top=1)
    with pytest.raises(UsageError, match="has changed"):
        export_queue(project, wanted=Wanted(changed=True))


@pytest.mark.parametrize("fmt", ["folder", "coco"])
def test_a_mask_that_equals_its_pre_label_is_noticed_in_every_format(lab, project, fmt):
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    lab.train(project)
    lab.score(project, {})
    export_queue(project, format=fmt)
    predicted = project.layout.runs / "run-001" / "predictions" / "s01.png"
    (lab.masks / "s01.png").write_bytes(predicted.read_bytes())
    (verdict,) = import_masks(project, lab.masks / "s01.png").accepted
    assert verdict.warnings == ("it equals the exported pre-label: accepted without edits",)


def test_two_exports_at_once_hand_nothing_out_twice(lab, project, statuses, monkeypatch):
    record = exporting._record

    def late(*args, **more):
        monkeypatch.setattr(exporting, "_record", record)
        export_queue(project, top=1)
        return record(*args, **more)

    monkeypatch.setattr(exporting, "_record", late)
    with pytest.raises(ColdalError, match="another export has handed out s00 meanwhile") as caught:
        export_queue(project)
    assert caught.value.code == "stale"
    # Both were called in one second: each had a name of its own, and the second one's is gone.
    (folder,) = project.layout.exports.glob("*/")
    assert (folder / "manifest.json").is_file()
    assert list(statuses(project).values()).count("exported") == 1


def test_what_a_killed_export_left_goes_with_the_next(lab, project):
    import fcntl
    import os
    import time

    killed = project.layout.exports / ".x.0123456789ab.partial"
    working = project.layout.exports / ".y.0123456789ab.partial"
    for folder in (killed, working):
        folder.mkdir()
        (folder / "image.png").write_bytes(b"of a patient")
        os.utime(folder, (time.time() - 3600,) * 2)
    held = os.open(working, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        export_queue(project)
    finally:
        os.close(held)
    assert (killed.exists(), working.exists()) == (False, True)
