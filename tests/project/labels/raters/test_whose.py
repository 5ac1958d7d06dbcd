"""Whose a mask is that comes back without the export's own list: by its folder, or as said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.project.export.exporting import Wanted, export_queue
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.labels.raters.drawings import standing_of


@pytest.fixture
def shared(lab):
    """A project in which s00 is out to ana and to Ben."""
    project = lab.line(3, [("s00", "medoid")])
    export_queue(project, wanted=Wanted(people=("ana", "Ben"), overlap=1))
    return project


def draw(folder: Path, columns: slice) -> Path:
    drawn = np.zeros((6, 9), np.uint8)
    drawn[1, columns] = 1
    folder.mkdir(parents=True)
    Image.fromarray(drawn).save(folder / "s00.png")
    return folder


def authors(report) -> list[str | None]:
    return [verdict.author for verdict in (*report.accepted, *report.waiting)]


@pytest.mark.parametrize("inside", ["ben", "BEN/round 0", "site/ben/masks"])
def test_a_folder_of_a_persons_name_says_whose_it_is(shared, tmp_path: Path, inside: str) -> None:
    draw(tmp_path / "drawn" / inside, slice(2, 5))
    assert authors(import_masks(shared, tmp_path / "drawn")) == ["Ben"]
    assert standing_of(shared.store, "s00").back == "1 of 2 back"


def test_the_imported_folder_itself_may_have_the_name(shared, tmp_path: Path) -> None:
    assert authors(import_masks(shared, draw(tmp_path / "ben", slice(2, 5)))) == ["Ben"]


def test_folders_above_the_imported_one_say_nothing(shared, tmp_path: Path) -> None:
    """Home folders have people's names, too."""
    draw(tmp_path / "ben" / "returned", slice(2, 5))
    report = import_masks(shared, tmp_path / "ben" / "returned")
    assert [verdict.code for verdict in report.quarantined] == ["whose"]
    assert "--by NAME" in (report.quarantined[0].remedy or "")


def test_both_folders_at_once_are_two_peoples_drawings(shared, tmp_path: Path) -> None:
    draw(tmp_path / "drawn" / "ana", slice(2, 5))
    draw(tmp_path / "drawn" / "Ben", slice(2, 5))
    report = import_masks(shared, tmp_path / "drawn")
    assert [verdict.scan_id for verdict in report.accepted] == ["s00"]
    assert report.quarantined == ()


def test_a_person_who_is_named_counts_where_nothing_else_does(shared, tmp_path: Path) -> None:
    draw(tmp_path / "drawn" / "ben", slice(2, 5))
    draw(tmp_path / "other", slice(2, 4))
    said = ImportOptions(by="ana")
    assert authors(import_masks(shared, tmp_path / "drawn", options=said)) == ["Ben"]
    import_masks(shared, tmp_path / "other", options=said)
    assert not standing_of(shared.store, "s00").missing
