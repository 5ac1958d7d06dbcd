"""Honeypots and repeats: hidden in what people get, known when they come back, no label changes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from coldal_tui.errors import UsageError
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project import history
from coldal_tui.project.export.exporting import Wanted, export_queue
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.labels.raters.drawings import read_disputes
from coldal_tui.project.labels.raters.rater_figures import read_figures
from coldal_tui.project.report_words import export_lines
from tests.support.small_projects import add_to_queue

TABLES = ("labels", "queue", "handouts", "exports", "quarantine")


@pytest.fixture
def project(lab):
    """Ana drew s00 to s02; s03 and s04 are queued for her and for ben, who is new."""
    opened = lab.line(5, [(f"s{n:02d}", "medoid") for n in range(3)])
    folder = export_queue(opened, wanted=Wanted(people=("ana",))).folder
    draw(folder / "ana", slice(0, 4))
    assert len(import_masks(opened, folder).accepted) == 3
    for n, person in ((3, "ana"), (4, "ben")):
        add_to_queue(opened, [(f"s{n:02d}", 10 + n, "medoid", {})], assignee=person)
    return opened


def manifest(folder) -> list[dict]:
    return json.loads((folder / "manifest.json").read_text())["items"]


def draw(folder, columns: slice) -> None:
    """A mask of every scan in one person's folder."""
    drawn = np.zeros((6, 9), np.uint8)
    drawn[1, columns] = 1
    for item in manifest(folder):
        Image.fromarray(drawn).save(folder / "masks" / f"{item['scan_id']}.png")


def folders(report) -> dict[str, object]:
    """The folder of each person, whatever it is called."""
    found = {}
    for path in report.folder.glob("*/manifest.json"):
        person = json.loads(path.read_text())["person"]
        called = {v: k for k, v in report.pseudonyms.items()}
        found[called.get(person, person)] = path.parent
    return found


def tables(project) -> list:
    return [project.store.rows(f"SELECT * FROM {name}") for name in TABLES]


def test_hidden_scans_look_like_all_others(project):
    report = export_queue(project, wanted=Wanted(honeypots=2, repeats=1))

    assert report.checks == (("ana", "repeat", 1), ("ben", "honeypot", 2))
    assert report.scans == ("s03", "s04")
    own = folders(report)
    assert {person: len(manifest(folder)) for person, folder in own.items()} == {
        "ana": 2,
        "ben": 3,
    }
    for folder in own.values():
        items = manifest(folder)
        assert {frozenset(item) for item in items} == {frozenset(items[0])}
        assert {item["prelabel"] for item in items} == {None}
        assert not {"s00", "s01", "s02"} & {item["scan_id"] for item in items}
        text = "".join(
            path.read_text()
            for path in folder.rglob("*")
            if path.suffix in (".json", ".csv", ".md")
        )
        assert "honeypot" not in text
        assert "repeat" not in text
    ranks = [item["rank"] for folder in own.values() for item in manifest(folder)]
    assert sorted(set(ranks)) == list(range(1, len(set(ranks)) + 1))
    words = export_lines(report)
    assert "  hidden among those of ben: 2 honeypots" in words
    assert project.store.value("SELECT count(*) FROM queue WHERE status = 'labelled'") == 3


def test_what_comes_back_shows_in_raters_and_changes_no_label(project):
    report = export_queue(project, wanted=Wanted(honeypots=2, repeats=1))
    own = folders(report)
    labels = project.layout.labels
    before = {path.name: path.read_bytes() for path in labels.glob("*.png")}
    draw(own["ana"], slice(0, 3))
    draw(own["ben"], slice(0, 2))

    taken = import_masks(project, report.folder)

    assert sorted(v.author for v in taken.checked) == ["ana", "ben", "ben"]
    assert sorted(v.scan_id for v in taken.accepted) == ["s03", "s04"]
    assert {n: (labels / n).read_bytes() for n in before} == before
    assert read_disputes(project.store) == {}
    ana, ben = read_figures(project).people
    # Three of four columns again: 2 · 3 / (3 + 4); ben drew two of the four.
    assert (ana.repeats.scans, ana.repeats.dice) == (1, pytest.approx(6 / 7))
    assert (ben.honeypots.scans, ben.honeypots.dice) == (2, pytest.approx(4 / 6))
    assert ana.honeypots is ben.repeats is None
    # They are nobody's further drawings, and no bias is made of them.
    assert (ana.scans, ben.scans, ana.shared, ben.shared) == (4, 1, 0, 0)
    assert ben.bias == {}
    again = import_masks(project, report.folder)
    assert (again.accepted, again.checked, len(again.unchanged)) == ((), (), 5)


def test_every_step_can_be_taken_back_and_done_again(project):
    seen = [tables(project)]
    report = export_queue(project, wanted=Wanted(honeypots=1, repeats=1))
    seen.append(tables(project))
    for folder in folders(report).values():
        draw(folder, slice(1, 5))
    import_masks(project, report.folder)
    seen.append(tables(project))
    for before in reversed(seen[:-1]):
        history.undo(project, history.next_undo(project)["audit_id"])
        assert tables(project) == before
    for after in seen[1:]:
        history.redo(project)
        assert tables(project) == after


def test_honeypots_alone_keep_the_names(project):
    report = export_queue(project, wanted=Wanted(honeypots=3))
    assert report.pseudonyms == {}
    ben = manifest(folders(report)["ben"])
    assert {item["scan_id"] for item in ben} == {"s00", "s01", "s02", "s04"}
    assert report.checks == (("ben", "honeypot", 3),)
    label = read_label(project.layout.labels / "s00.png")
    assert int(label.sum()) == 4


def test_a_check_needs_people_and_known_scans(lab):
    opened = lab.line(2, [("s00", "medoid")])
    with pytest.raises(UsageError, match="nobody is named"):
        export_queue(opened, wanted=Wanted(honeypots=1))
    with pytest.raises(UsageError, match="no scan can be a check"):
        export_queue(opened, wanted=Wanted(people=("ana",), repeats=1))
    assert opened.store.value("SELECT status FROM queue") == "queued"
