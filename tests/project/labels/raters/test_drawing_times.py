"""Minutes of drawings: stated by files, manifests and servers, or by the pace of returns."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.project.export.exporting import Wanted, export_queue
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.labels.raters.drawing_times import read_drawing_times
from coldal_tui.project.labels.raters.rater_figures import read_figures
from coldal_tui.project.labels.raters.rater_words import minute_words

START = 1_800_000_000


def out(lab, *scans: str, people: tuple[str, ...] = ("ana",)):
    project = lab.line(8, [(scan, "medoid") for scan in scans])
    overlap = len(scans) if len(people) > 1 else 0
    return project, export_queue(project, wanted=Wanted(people=people, overlap=overlap)).folder


def draw(folder, person: str, scan: str, at: int, first: int = 2) -> None:
    """A mask whose file was last changed ``at`` seconds after the start."""
    drawn = np.zeros((6, 9), np.uint8)
    drawn[1, first : first + 3] = 1
    path = folder / person / "masks" / f"{scan}.png"
    Image.fromarray(drawn).save(path)
    os.utime(path, (START + at, START + at))


def back(project, folder, person: str) -> None:
    import_masks(project, folder / person, options=ImportOptions())


def times(project) -> dict[tuple[str, str], tuple[float | None, str]]:
    return {
        (one.author, one.scan_id): (one.minutes, one.how)
        for one in read_drawing_times(project.store)
    }


def test_the_pace_of_a_sitting_is_an_estimate(lab):
    """Ten minutes, one hour, one hour and a second, then copies: two have a pace."""
    scans = ["s00", "s01", "s02", "s03", "s04"]
    project, folder = out(lab, *scans)
    at = [0, 600, 600 + 3600, 600 + 2 * 3600 + 1, 600 + 2 * 3600 + 15]
    for scan, moment in zip(scans, at, strict=True):
        draw(folder, "ana", scan, moment)
    back(project, folder, "ana")
    assert times(project) == {
        ("ana", "s00"): (None, ""),
        ("ana", "s01"): (10.0, "pace"),
        ("ana", "s02"): (60.0, "pace"),
        ("ana", "s03"): (None, ""),
        ("ana", "s04"): (None, ""),
    }
    (ana,) = read_figures(project).people
    assert (ana.timed, ana.estimated, ana.minutes) == (2, 2, 70.0)
    assert minute_words(ana) == ("~70", "~35.0")


def test_the_pace_is_that_of_each_person(lab):
    project, folder = out(lab, "s00", "s01", people=("ana", "ben"))
    draw(folder, "ana", "s00", 0)
    draw(folder, "ben", "s00", 60, first=3)
    draw(folder, "ana", "s01", 300)
    draw(folder, "ben", "s01", 900, first=3)
    for person in ("ana", "ben"):
        back(project, folder, person)
    assert times(project) == {
        ("ana", "s00"): (None, ""),
        ("ana", "s01"): (5.0, "pace"),
        ("ben", "s00"): (None, ""),
        ("ben", "s01"): (14.0, "pace"),
    }


def test_what_the_manifest_states_comes_before_the_pace(lab):
    project, folder = out(lab, "s00", "s01")
    table = folder / "ana" / "manifest.csv"
    head, *rows = table.read_text().splitlines()
    told = [f"{row},{7.5 if ',s01,' in row else ''}" for row in rows]
    table.write_text("\n".join([f"{head},minutes", *told]))
    draw(folder, "ana", "s00", 0)
    draw(folder, "ana", "s01", 600)
    back(project, folder, "ana")
    assert times(project)["ana", "s01"] == (7.5, "manifest")


def test_a_second_drawing_takes_the_place_of_the_first_and_keeps_a_stated_time(lab):
    """The file was changed eight hours later, and nobody wrote the minutes down again."""
    project, folder = out(lab, "s00")
    table = folder / "ana" / "manifest.csv"
    plain = table.read_text()
    head, row = plain.splitlines()
    table.write_text(f"{head},minutes\n{row},12\n")
    draw(folder, "ana", "s00", 0)
    back(project, folder, "ana")
    table.write_text(plain)
    draw(folder, "ana", "s00", 8 * 3600, first=4)
    back(project, folder, "ana")
    (one,) = read_drawing_times(project.store)
    assert (one.version, one.minutes, one.how) == (2, 12.0, "manifest")


def test_a_server_may_state_them(lab):
    project, folder = out(lab, "s00")
    draw(folder, "ana", "s00", 0)
    back(project, folder, "ana")
    with project.store.transaction():
        project.store.insert(
            "server_drawings",
            connection="lab",
            scan_id="s00",
            person="Ana",
            state="drawn",
            minutes=4.25,
            updated_at="2027-01-15T08:00:00Z",
        )
    assert times(project) == {("ana", "s00"): (4.25, "server")}


@pytest.mark.parametrize("minimal", [False, True])
def test_label_studio_states_them_in_both_of_its_json_formats(lab, minimal: bool):
    """``lead_time`` is in seconds: 90 are a minute and a half."""
    project = lab.line(2, [("s00", "medoid")])
    region = {
        "original_width": 9,
        "original_height": 6,
        "image_rotation": 0,
        "points": [[10, 10], [60, 10], [60, 80], [10, 80]],
        "closed": True,
        "polygonlabels": ["foreground"],
    }
    if minimal:
        entry = {"id": 1, "image": "s00.png", "annotation_id": 5, "annotator": "ana@lab"}
        entry |= {"label": [region], "lead_time": 90.0}
    else:
        value = {key: region[key] for key in ("points", "closed", "polygonlabels")}
        result = {"type": "polygonlabels", "from_name": "label", "to_name": "image", "value": value}
        result |= {key: region[key] for key in ("original_width", "original_height")}
        done = {"id": 5, "completed_by": {"email": "ana@lab"}, "lead_time": 90.0}
        entry = {
            "id": 1,
            "data": {"image": "s00.png"},
            "annotations": [done | {"result": [result]}],
        }
    file = lab.masks / "tasks.json"
    file.write_text(json.dumps([entry]))
    import_masks(project, file, options=ImportOptions())
    assert times(project) == {("ana@lab", "s00"): (1.5, "file")}


def test_files_of_parts_take_the_minutes_of_the_whole_scan_once(lab):
    """A mask of two files, one for each class: the manifest's 6 minutes are of both together."""
    project = lab.line(2, [("s00", "medoid")], toml='[classes]\nnames = ["left", "right"]\n')
    folder = export_queue(project, wanted=Wanted(people=("ana",))).folder
    table = folder / "ana" / "manifest.csv"
    head, row = table.read_text().splitlines()
    table.write_text(f"{head},minutes\n{row},6\n")
    for name, columns in (("left", slice(0, 3)), ("right", slice(5, 8))):
        drawn = np.zeros((6, 9), np.uint8)
        drawn[1, columns] = 1
        Image.fromarray(drawn).save(folder / "ana" / "masks" / f"s00_{name}.png")
    back(project, folder, "ana")
    assert times(project) == {("ana", "s00"): (6.0, "manifest")}
