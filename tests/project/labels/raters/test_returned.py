"""Drawings of several people come back one after the other: what waits, counts or is in dispute."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from coldal_tui.exchange.incoming.conflicts import ConflictRule
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project import history
from coldal_tui.project.export.exporting import Wanted, export_queue
from coldal_tui.project.labels.files import unknown_files
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.labels.quarantine import waiting
from coldal_tui.project.labels.raters.drawings import read_disputes, standing_of
from coldal_tui.project.queue.candidates import scan_status
from coldal_tui.project.report_words import import_lines

TABLES = ("labels", "queue", "quarantine", "handouts")


def shared(lab, toml: str = ""):
    """s00 and s01 are out to ana and ben both."""
    project = lab.line(4, [("s00", "medoid"), ("s01", "farthest-point")], toml=toml)
    return project, export_queue(project, wanted=Wanted(people=("ana", "ben"), overlap=2)).folder


def draw(folder, person: str, scan: str, columns: slice) -> None:
    drawn = np.zeros((6, 9), np.uint8)
    drawn[1, columns] = 1
    Image.fromarray(drawn).save(folder / person / "masks" / f"{scan}.png")


def back(project, folder, person: str, **options):
    return import_masks(project, folder / person, options=ImportOptions(**options))


def label(project, scan: str) -> list[int]:
    return read_label(project.layout.labels / f"{scan}.png")[1].tolist()


def states(project, scan: str) -> list[tuple[str | None, str, str]]:
    rows = project.store.rows(
        "SELECT author, state, decided FROM labels WHERE scan_id = ? ORDER BY version", (scan,)
    )
    return [tuple(row.values()) for row in rows]


def tables(project) -> list:
    return [project.store.rows(f"SELECT * FROM {name}") for name in TABLES]


def names(project) -> set[str]:
    return {path.name for path in project.layout.label_versions.iterdir()}


@pytest.mark.parametrize("first", ["ana", "ben"])
def test_what_one_person_has_to_mend_stays_though_the_other_drew_well(lab, first) -> None:
    project, folder = shared(lab)
    draw(folder, "ana", "s00", slice(2, 5))
    unknown = np.full((6, 9), 9, np.uint8)
    Image.fromarray(unknown).save(folder / "ben" / "masks" / "s00.png")

    for person in sorted(("ana", "ben"), key=lambda one: one != first):
        back(project, folder, person)

    assert [(row["scan_id"], row["author"]) for row in waiting(project)] == [("s00", "ben")]
    draw(folder, "ben", "s00", slice(2, 5))
    assert len(back(project, folder, "ben").accepted) == 1
    assert waiting(project) == []


def test_a_scan_of_two_people_waits_for_both(lab, statuses):
    project, folder = shared(lab)
    draw(folder, "ana", "s00", slice(2, 5))

    report = back(project, folder, "ana")

    assert report.accepted == ()
    assert [(v.scan_id, v.message) for v in report.waiting] == [
        ("s00", "1 of 2 back; still out: ben")
    ]
    assert statuses(project)["s00"] == "exported"
    assert standing_of(project.store, "s00").back == "1 of 2 back"
    assert any("s00 by ana: 1 of 2 back; still out: ben" in s for s in import_lines(report))
    assert not (project.layout.labels / "s00.png").exists()
    # Again, it changes nothing.
    before = tables(project)
    assert len(back(project, folder, "ana").unchanged) == 1
    assert tables(project) == before


def test_where_both_drew_the_same_it_is_the_label(lab, statuses):
    project, folder = shared(lab)
    draw(folder, "ana", "s00", slice(2, 5))
    back(project, folder, "ana")
    draw(folder, "ben", "s00", slice(2, 5))

    report = back(project, folder, "ben")

    assert [v.message for v in report.accepted] == ["2 people drew the same"]
    assert states(project, "s00") == [("ana", "active", ""), ("ben", "superseded", "")]
    assert statuses(project)["s00"] == "labelled"
    assert read_disputes(project.store) == {}


def test_where_they_differ_a_person_decides(lab, statuses):
    project, folder = shared(lab)
    draw(folder, "ana", "s00", slice(2, 5))
    back(project, folder, "ana")
    draw(folder, "ben", "s00", slice(3, 7))

    report = back(project, folder, "ben")

    assert [(v.author, v.message) for v in report.disputed] == [("ben", "ana and ben differ")]
    assert [(a.first, a.second, round(a.dice, 3)) for a in report.agreement] == [
        ("ana", "ben", round(2 * 2 / 7, 3))
    ]
    assert list(read_disputes(project.store)) == ["s00"]
    assert statuses(project)["s00"] == "exported"
    assert not (project.layout.labels / "s00.png").exists()
    # A correction by one of them that settles it.
    draw(folder, "ben", "s00", slice(2, 5))
    assert len(back(project, folder, "ben").accepted) == 1
    assert label(project, "s00") == [0, 0, 1, 1, 1, 0, 0, 0, 0]
    assert read_disputes(project.store) == {}


@pytest.mark.parametrize("rule", ["majority", "ignore"])
def test_a_rule_of_two_ignores_the_rim_and_is_computed_again_for_three(lab, statuses, rule):
    project, folder = shared(lab, f'[raters]\nconsensus = "{rule}"\n')
    draw(folder, "ana", "s00", slice(2, 5))
    back(project, folder, "ana")
    draw(folder, "ben", "s00", slice(3, 7))

    report = back(project, folder, "ben")

    assert [v.origin for v in report.accepted] == [f"{rule} of ana, ben"]
    assert label(project, "s00") == [0, 0, 255, 1, 1, 255, 255, 0, 0]
    assert states(project, "s00") == [
        ("ana", "superseded", ""),
        ("ben", "superseded", ""),
        (None, "active", rule),
    ]
    assert statuses(project)["s00"] == "labelled"
    # Both again: nothing changes.
    before = tables(project)
    for person in ("ana", "ben"):
        assert len(back(project, folder, person).unchanged) == 1
    assert tables(project) == before
    # A late third.
    lab.mask("carla/s00.png", slice(3, 5))
    late = import_masks(project, lab.masks, match="{annotator}/{stem}")
    # What is ignored already stays: the same label is no new version.
    joint = ["majority of ana, ben, carla"] if rule == "majority" else []
    assert [v.origin for v in late.accepted] == joint
    assert [v.author for v in late.kept] == ["carla"]
    most = [0, 0, 0, 1, 1, 0, 0, 0, 0]
    alike = [0, 0, 255, 1, 1, 255, 255, 0, 0]
    assert label(project, "s00") == (most if rule == "majority" else alike)


def test_no_rule_makes_an_empty_label_of_two_drawings(lab):
    project, folder = shared(lab, '[raters]\nconsensus = "majority"\n')
    for person, columns in (("ana", slice(0, 3)), ("ben", slice(5, 8))):
        draw(folder, person, "s00", columns)

    report = import_masks(project, folder)

    assert {v.message for v in report.disputed} == {"the majority of ana, ben shows no class"}
    assert list(read_disputes(project.store)) == ["s00"]


def test_the_first_may_count_at_once(lab, statuses):
    project, folder = shared(lab)
    draw(folder, "ana", "s00", slice(2, 5))
    assert len(back(project, folder, "ana", accept_first=True).accepted) == 1
    assert statuses(project)["s00"] == "labelled"
    draw(folder, "ben", "s00", slice(3, 7))

    report = back(project, folder, "ben", accept_first=True)

    assert [v.message for v in report.disputed] == [
        "ben differs from the label by ana, which stays"
    ]
    assert label(project, "s00") == [0, 0, 1, 1, 1, 0, 0, 0, 0]


def test_a_rule_asked_for_in_the_call_joins_what_is_stored(lab):
    project, folder = shared(lab)
    draw(folder, "ana", "s00", slice(2, 5))
    back(project, folder, "ana")
    draw(folder, "ben", "s00", slice(3, 7))

    back(project, folder, "ben", conflict=ConflictRule("majority"))

    assert label(project, "s00") == [0, 0, 255, 1, 1, 255, 255, 0, 0]


def test_a_nameless_mask_of_a_shared_scan_waits_for_a_name(lab):
    project, _ = shared(lab)
    lab.mask("s00.png", slice(2, 5))

    report = import_masks(project, lab.masks)

    assert [v.code for v in report.quarantined] == ["whose"]
    (lab.masks / "ana").mkdir()
    (lab.masks / "s00.png").rename(lab.masks / "ana" / "s00.png")
    named = import_masks(project, lab.masks, match="{annotator}/{stem}")
    assert [v.author for v in named.waiting] == ["ana"]
    assert waiting(project) == []


def test_a_scan_in_dispute_that_nobody_queued_is_no_candidate(lab):
    project = lab.line(4, [("s00", "medoid")])
    assert scan_status(project, "s02") == "candidate"
    lab.mask("ana/s02.png", slice(2, 5))
    lab.mask("ben/s02.png", slice(2, 6))
    assert len(import_masks(project, lab.masks, match="{annotator}/{stem}").disputed) == 2
    assert scan_status(project, "s02") == "exported"


def test_a_dry_run_tells_what_would_become_of_them(lab):
    project, folder = shared(lab)
    draw(folder, "ana", "s00", slice(2, 5))
    report = import_masks(project, folder, dry_run=True)
    assert [v.message for v in report.waiting] == ["1 of 2 back; still out: ben"]
    draw(folder, "ben", "s00", slice(3, 7))
    assert len(import_masks(project, folder, dry_run=True).disputed) == 2
    assert states(project, "s00") == []


@pytest.mark.parametrize("consensus", ["person", "staple"])
def test_every_arrival_can_be_taken_back_and_done_again(lab, consensus):
    project, folder = shared(lab, f'[raters]\nconsensus = "{consensus}"\n')
    seen = [(tables(project), names(project) if project.layout.label_versions.exists() else set())]
    for person, columns in (("ana", slice(2, 5)), ("ben", slice(3, 7)), ("ana", slice(2, 6))):
        draw(folder, person, "s00", columns)
        back(project, folder, person)
        seen.append((tables(project), names(project)))
    for before, _ in reversed(seen[:-1]):
        history.undo(project, history.next_undo(project)["audit_id"])
        assert tables(project) == before
        assert unknown_files(project) == []
    for after, files in seen[1:]:
        history.redo(project)
        assert tables(project) == after
        assert files <= names(project)
        assert unknown_files(project) == []


def test_what_was_taken_back_is_not_overwritten_by_what_comes_next(lab):
    project, folder = shared(lab)
    draw(folder, "ana", "s00", slice(2, 5))
    back(project, folder, "ana")
    (kept,) = (project.layout.label_versions / name for name in names(project))
    pixels = kept.read_bytes()
    history.undo(project, history.next_undo(project)["audit_id"])
    draw(folder, "ben", "s00", slice(3, 7))
    back(project, folder, "ben")
    assert pixels in {path.read_bytes() for path in project.layout.label_versions.iterdir()}


def test_minutes_come_from_the_returned_table(lab):
    project, folder = shared(lab)
    table = folder / "ana" / "manifest.csv"
    head, *rows = table.read_text().splitlines()
    told = [f"{row},{'12,5' if ',s00,' in row else ''}" for row in rows]
    told = [row.replace("12,5", '"12,5"') for row in told]
    table.write_text("\n".join([f"{head},minutes", *told]))
    for scan in ("s00", "s01"):
        draw(folder, "ana", scan, slice(2, 5))
    back(project, folder, "ana")
    rows = project.store.rows("SELECT scan_id, minutes FROM labels ORDER BY scan_id")
    assert [tuple(row.values()) for row in rows] == [("s00", 12.5), ("s01", None)]
