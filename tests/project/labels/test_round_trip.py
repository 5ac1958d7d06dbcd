"""What was handed out comes back the ways that our own page names, exact and under its person."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from coldal_tui.exchange.incoming.conflicts import ConflictRule
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.export.exporting import Wanted, export_queue
from coldal_tui.project.labels.importing import import_masks

TWO = ("ana", "ben")


@pytest.fixture
def project(lab):
    """Scans s00 to s04 (6 × 9 pixels); s00 and s01 are queued."""
    return lab.line(5, [("s00", "medoid"), ("s01", "farthest-point")])


def square(image: dict, columns: int) -> dict:
    """A COCO polygon over rows 1 to 3 and the first columns: 3 × ``columns`` pixels."""
    return {
        "id": image["id"],
        "image_id": image["id"],
        "category_id": 1,
        "segmentation": [[0, 1, columns, 1, columns, 4, 0, 4]],
        "iscrowd": 0,
    }


def draw(folder: Path, columns: int) -> bytes:
    """The export's COCO file with a square in every picture, as a tool writes it."""
    document = json.loads((folder / "annotations/instances_default.json").read_text())
    document["annotations"] = [square(image, columns) for image in document["images"]]
    return json.dumps(document).encode()


def pack(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_json", ".json").replace("_zip", ".zip"), data)


def drawn(project, scan_id: str) -> int:
    """How many columns of the square a label has; the whole label is looked at."""
    label = read_label(project.layout.labels / f"{scan_id}.png")
    expected = np.zeros((6, 9), np.uint8)
    columns = int(label.any(axis=0).sum())
    expected[1:4, :columns] = 1
    np.testing.assert_array_equal(label, expected)
    return columns


def authors(project) -> dict[str, str | None]:
    rows = project.store.rows("SELECT scan_id, author FROM labels WHERE state = 'active'")
    return {row["scan_id"]: row["author"] for row in rows}


def person_folders(folder: Path) -> dict[str, Path]:
    found = {}
    for manifest in sorted(folder.glob("*/manifest.json")):
        found[json.loads(manifest.read_text())["person"]] = manifest.parent
    return found


@pytest.mark.parametrize("how", ["file", "zip", "zip in a zip", "whole folder", "alone"])
def test_the_ways_back_of_one_person(lab, project, how):
    folder = export_queue(project, format="coco").folder
    data = draw(folder, 5)
    mail = lab.folder / "mail"
    mail.mkdir()
    if how == "file":
        (folder / "returned" / "result.json").write_bytes(data)
        report = import_masks(project, folder / "returned")
    elif how == "whole folder":
        (folder / "returned" / "result.json").write_bytes(data)
        report = import_masks(project, folder)
    elif how == "alone":
        (mail / "result.json").write_bytes(data)
        report = import_masks(project, mail / "result.json")
    else:
        pack(mail / "task.zip", result_json=data)
        if how == "zip in a zip":
            pack(folder / "returned" / "all.zip", task_zip=(mail / "task.zip").read_bytes())
        else:
            shutil.copy(mail / "task.zip", folder / "returned")
        report = import_masks(project, folder)
    assert [v.scan_id for v in report.accepted] == ["s00", "s01"]
    assert (drawn(project, "s00"), drawn(project, "s01")) == (5, 5)
    assert not list(project.layout.cache.glob("unpacked-*"))


def test_an_archive_in_a_folder_is_named_in_what_it_says(lab, project):
    folder = export_queue(project, format="coco").folder
    pack(folder / "returned" / "task.zip", result_json=draw(folder, 5))
    (folder / "returned" / "broken.zip").write_bytes(b"PK\x03\x04 no more")
    report = import_masks(project, folder)
    assert {v.origin for v in report.accepted} == {f"{folder}/returned/task.zip/result.json"}
    (bad,) = report.quarantined
    assert (bad.code, bad.origin) == ("damaged-archive", f"{folder}/returned/broken.zip")


@pytest.mark.parametrize("hide", [None, "remove"])
@pytest.mark.parametrize("packed", [False, True])
def test_two_people_who_drew_the_same_scan(project, hide, packed):
    wanted = Wanted(people=TWO, overlap=2, deidentify=hide)
    folder = export_queue(project, format="coco", wanted=wanted).folder
    folders = person_folders(folder)
    assert len(folders) == 2
    for number, place in enumerate(folders.values()):
        data = draw(place, 4 + number)
        if packed:
            pack(place / "returned" / "task.zip", result_json=data)
        else:
            (place / "returned" / "result.json").write_bytes(data)
    report = import_masks(project, folder)
    assert {v.author for v in report.disputed} == set(TWO)
    assert authors(project) == {}
    for person, columns in (("ana", 4), ("ben", 5)):
        rule = ConflictRule("annotator", person)
        import_masks(project, folder, options=ImportOptions(conflict=rule))
        assert authors(project) == {"s00": person, "s01": person}
        assert (drawn(project, "s00"), drawn(project, "s01")) == (columns, columns)


def test_the_folder_that_it_was_handed_out_in_says_who_drew_it(project):
    """Label Studio's ``completed_by`` is a number, or an address, of its server."""
    folder = export_queue(
        project, format="label-studio", wanted=Wanted(people=TWO, overlap=1)
    ).folder
    for place in person_folders(folder).values():
        tasks = json.loads((place / "tasks.json").read_text())
        for number, task in enumerate(tasks, start=1):
            points = [[0, 0], [50, 0], [50, 50], [0, 50]]
            region = {
                "type": "polygonlabels",
                "from_name": "tag",
                "to_name": "image",
                "original_width": 9,
                "original_height": 6,
                "value": {"points": points, "polygonlabels": ["lung"]},
            }
            task["id"] = number
            task["annotations"] = [{"id": number, "completed_by": 7, "result": [region]}]
        (place / "returned" / "export.json").write_text(json.dumps(tasks))
    report = import_masks(project, folder)
    said = {v.author for v in (*report.accepted, *report.quarantined)}
    assert said == set(TWO)
