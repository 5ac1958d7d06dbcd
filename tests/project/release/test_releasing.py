"""Releases: which labels, folds and values go out, what is refused, and how changes are found."""

from __future__ import annotations

import csv
import json
import stat

import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.deidentify.keys import read_keys
from coldal_tui.exchange.release.checksums import verify_release
from coldal_tui.files import sha256_file
from coldal_tui.project.export.exporting import Wanted as ExportWanted
from coldal_tui.project.export.exporting import export_queue
from coldal_tui.project.history import read_log
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.queue.actions import exclude
from coldal_tui.project.release.releasing import (
    Wanted,
    list_releases,
    recorded_digest,
    release,
    was_deidentified,
)

PICKS = [("s00", "medoid"), ("s01", "farthest-point"), ("s02", "validation"), ("s03", "medoid")]
TOML = '[classes]\nnames = ["lung"]\nignore_value = 9\n'


@pytest.fixture
def project(lab):
    """s00 to s07; four are queued, s02 is the validation patient's, s04 was never queued."""
    made = lab.line(8, PICKS, toml=TOML)
    for name in ("s00", "s01", "s02", "s04"):
        lab.mask(f"{name}.png")
    marked = np.zeros((6, 9), np.uint8)
    marked[0, 0], marked[5, 8] = 1, 9
    Image.fromarray(marked).save(lab.masks / "s03.png")
    import_masks(made, lab.masks)
    return made


def rows(out):
    with (out / "folds.csv").open(newline="") as stream:
        return {row["scan_id"]: row for row in csv.DictReader(stream)}


def test_labels_go_out_with_folds_and_the_validation_patient_is_held_out(project, tmp_path):
    report = release(project, tmp_path / "out", Wanted(folds=2, licence="CC0"))
    found = rows(tmp_path / "out")
    assert {name: row["subset"] for name, row in found.items()} == {
        "s00": "training",
        "s01": "training",
        "s02": "held out",
        "s03": "training",
        "s04": "training",
    }
    assert found["s02"]["fold"] == ""
    assert sorted(found[name]["fold"] for name in ("s00", "s01", "s03", "s04")) == list("0011")
    assert report.facts.folds == (2, 2)
    assert (tmp_path / "out" / "labels" / "s00.png").read_bytes() == (
        project.root / "labels" / "s00.png"
    ).read_bytes()


def test_the_card_counts_every_scan_once(project, tmp_path):
    exclude(project, ["s07"], "not a lung")
    facts = release(project, tmp_path / "out", Wanted()).facts
    went_on = [step for step in facts.flow if not step.left_out]
    assert [(step.words, step.scans) for step in went_on] == [
        ("scans found", 8),
        ("usable scans", 7),
        ("scans with a label", 5),
        ("scans released", 5),
    ]
    left = [(step.words, step.scans) for step in facts.flow if step.left_out]
    assert left == [
        ("excluded by a person (not a lung: 1)", 1),
        ("never chosen for labelling", 2),
    ]
    assert [(one.picked, one.released, one.strategy) for one in facts.rounds] == [
        (4, 4, "coldstart")
    ]
    assert facts.unqueued == 1
    card = (tmp_path / "out" / "README.md").read_text()
    assert "No licence was stated" in card
    assert "4 scans from a pool of 7 were chosen" in card
    assert json.loads((tmp_path / "out" / "release.json").read_text())["scans"] == 5


def test_ignored_pixels_get_the_value_of_the_format(project, tmp_path):
    release(project, tmp_path / "plain", Wanted())
    release(project, tmp_path / "nnunet", Wanted(format="nnunet"))
    plain = np.asarray(Image.open(tmp_path / "plain" / "labels" / "s03.png"))
    nnunet = np.asarray(Image.open(tmp_path / "nnunet" / "labelsTr" / "s03.png"))
    assert (plain[0, 0], plain[5, 8], plain.sum()) == (1, 9, 10)
    assert (nnunet[0, 0], nnunet[5, 8], nnunet.sum()) == (1, 2, 3)
    data = json.loads((tmp_path / "nnunet" / "dataset.json").read_text())
    assert data["labels"] == {"background": 0, "lung": 1, "ignore": 2}


def test_an_nnunet_data_set_has_training_and_test_folders_and_splits(project, tmp_path):
    out = tmp_path / "Dataset007_Lung"
    release(project, out, Wanted(format="nnunet", folds=4, licence="CC0"))
    assert sorted(path.name for path in (out / "imagesTr").iterdir()) == [
        f"{name}_0000.png" for name in ("s00", "s01", "s03", "s04")
    ]
    assert [path.name for path in (out / "labelsTs").iterdir()] == ["s02.png"]
    data = json.loads((out / "dataset.json").read_text())
    assert (data["numTraining"], data["numTest"], data["licence"]) == (4, 1, "CC0")
    splits = json.loads((out / "splits_final.json").read_text())
    assert sorted(name for split in splits for name in split["val"]) == ["s00", "s01", "s03", "s04"]
    for split in splits:
        assert sorted(split["train"] + split["val"]) == ["s00", "s01", "s03", "s04"]


def test_the_validation_patients_join_the_folds_when_asked(project, tmp_path):
    facts = release(project, tmp_path / "out", Wanted(train_on_all=True)).facts
    assert (facts.held_out, facts.folds) == (0, (1, 1, 1, 1, 1))


def test_more_folds_than_patients_are_refused(project, tmp_path):
    with pytest.raises(UsageError, match="5 folds need 5 patients") as caught:
        release(project, tmp_path / "out", Wanted(folds=5))
    assert caught.value.remedy == "Use --folds 4, or leave it out."
    assert not (tmp_path / "out").exists()


def test_a_release_is_read_only_and_never_written_over(project, tmp_path):
    out = tmp_path / "out"
    release(project, out, Wanted())
    modes = [path.stat().st_mode for path in (out, *out.rglob("*"))]
    assert not any(mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) for mode in modes)
    with pytest.raises(UsageError, match="never written into a folder that exists"):
        release(project, out, Wanted())
    assert verify_release(out).whole


def test_a_changed_label_stops_it_and_leaves_nothing(project, lab, tmp_path):
    (project.root / "labels" / "s01.png").write_bytes((lab.masks / "s04.png").read_bytes())
    lab.mask("other.png", slice(4, 9))
    (project.root / "labels" / "s01.png").write_bytes((lab.masks / "other.png").read_bytes())
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ColdalError) as caught:
        release(project, tmp_path / "out", Wanted())
    assert caught.value.code == "label-changed"
    assert sorted(tmp_path.iterdir()) == before


def test_a_missing_image_stops_it_and_leaves_nothing(project, lab, tmp_path):
    (lab.images / "s03.png").unlink()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ColdalError, match="can't be read"):
        release(project, tmp_path / "out", Wanted())
    assert sorted(tmp_path.iterdir()) == before


def test_a_release_of_nothing_is_refused(lab, tmp_path):
    with pytest.raises(UsageError, match="no label to release"):
        release(lab.line(2, [("s00", "medoid")]), tmp_path / "out", Wanted())


def test_images_are_linked_and_labels_are_not(project, lab, tmp_path):
    out = tmp_path / "out"
    report = release(project, out, Wanted(link=True))
    assert report.released.links == 5
    assert (out / "images" / "s00.png").readlink() == (lab.images / "s00.png").resolve()
    assert not (out / "labels" / "s00.png").is_symlink()
    assert (lab.images / "s00.png").stat().st_mode & stat.S_IWUSR
    lab.picture("s00.png")
    assert verify_release(out).changed == ("images/s00.png",)


def test_the_log_has_the_digest(project, tmp_path):
    report = release(project, tmp_path / "out", Wanted())
    assert report.released.digest == sha256_file(tmp_path / "out" / "checksums.sha256")
    assert recorded_digest(project, tmp_path / "out") == report.released.digest
    entry = read_log(project)[-1]
    assert (entry.action, entry.undoable) == ("release", False)
    assert recorded_digest(project, tmp_path / "elsewhere") is None


def test_people_who_drew_one_scan_are_told_apart_and_compared(project, lab, tmp_path):
    # ana draws columns 0 to 3 of the second row, ben 2 to 5: Dice 2·2 / (4 + 4) = 0.5.
    for person, columns in (("ana", slice(0, 4)), ("ben", slice(2, 6))):
        folder = lab.folder / person
        lab.masks = folder
        lab.mask("s05.png", columns)
        import_masks(project, folder)
        project.store.execute(
            "UPDATE labels SET author = ? WHERE label_id = (SELECT max(label_id) FROM labels)",
            (person,),
        )
    report = release(project, tmp_path / "out", Wanted())
    (one,) = report.facts.agreement
    assert (report.facts.overlap, one.name, one.pairs, one.dice) == (1, "lung", 1, 0.5)
    assert report.facts.raters == {"rater-2": 1, "unknown": 5}
    first = np.asarray(Image.open(tmp_path / "out" / "overlap" / "rater-1" / "s05.png"))
    assert np.flatnonzero(first[1]).tolist() == [0, 1, 2, 3]
    text = "".join(
        path.read_text("latin-1") for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    assert "ben" not in text


def test_a_deidentified_release_has_pseudonyms_alone(project, tmp_path):
    out = tmp_path / "out"
    report = release(project, out, Wanted(format="nnunet", deidentify="remove"))
    assert report.key_file is not None
    keys = read_keys(report.key_file)
    assert sorted(key.scan_id for key in keys.scans.values()) == [
        "s00", "s01", "s02", "s03", "s04",
    ]  # fmt: skip
    found = rows(out)
    assert set(found) == set(keys.scans)
    assert {row["patient"] for row in found.values()} == set(keys.patients)
    assert list(found) == sorted(found)
    document = json.loads((out / "release.json").read_text())
    assert document["created"] is None
    assert {case["source_sha256"] for case in document["cases"]} == {None}
    assert stat.S_IMODE(report.key_file.stat().st_mode) == 0o600


def test_links_and_pseudonyms_exclude_each_other(project, tmp_path):
    with pytest.raises(UsageError, match="can't be de-identified"):
        release(project, tmp_path / "out", Wanted(link=True, deidentify="remove"))


def test_a_project_whose_newest_export_hid_names_is_known(lab, tmp_path):
    made = lab.line(4, [("s00", "medoid"), ("s01", "medoid")])
    assert not was_deidentified(made)
    export_queue(made, wanted=ExportWanted(top=1, deidentify="remove"))
    assert was_deidentified(made)
    export_queue(made)
    assert not was_deidentified(made)


def test_releases_are_listed_as_the_log_has_them(project, tmp_path):
    plain = release(project, tmp_path / "plain", Wanted(licence="CC0", seed=3))
    release(project, tmp_path / "nnunet", Wanted(format="nnunet"))
    first, second = list_releases(project)
    assert (first["folder"], first["licence"], first["seed"]) == (
        str(tmp_path / "plain"), "CC0", 3,
    )  # fmt: skip
    assert first["labels"] == plain.facts.scans
    assert first["checksums"] == recorded_digest(project, tmp_path / "plain")
    assert first["folds"] == list(plain.facts.folds)
    assert second["format"] == "nnunet"
