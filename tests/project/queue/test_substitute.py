"""Who takes a skipped scan's place where the round was picked by embeddings or by patient."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.queue.actions import skip

PATIENTS = '[images]\ndir = "../images"\npatients_pattern = "^(p[0-9])"\n'


def _shard(project):
    return project.file_of(project.store.value("SELECT file FROM shards"))


def _turned(project, degrees: list[float]) -> None:
    """Vectors at these angles, whatever was embedded."""
    turn = np.deg2rad(degrees)
    np.save(_shard(project), np.stack([np.cos(turn), np.sin(turn)], 1).astype(np.float32))


def _terms(project, scan_id: str) -> dict:
    return json.loads(project.store.value("SELECT terms FROM queue WHERE scan_id = ?", (scan_id,)))


@pytest.mark.parametrize("name", ["coldstart-embeddings", "kmeans", "probcover"])
def test_a_first_round_by_embeddings_is_mended_by_embeddings(lab, name: str) -> None:
    # On the map s05 is farthest from s00; between embeddings it is s03, at 90°.
    project = lab.line(6, [("s00", "medoid"), ("s01", "farthest-point")])
    project.store.update("rounds", {"round": 0}, strategy=name)
    _turned(project, [0, 5, 20, 90, 40, 10])
    assert skip(project, ["s01"], None)[0].replaced_by == "s03"
    terms = _terms(project, "s03")
    assert terms["distance"] == pytest.approx(np.sqrt(2), abs=1e-6)
    assert (terms["nearest"], terms["replaces"]) == ("s00", "s01")


def test_a_later_round_by_embeddings_goes_on_by_its_strategy(lab) -> None:
    project = lab.line(6, [("s00", "medoid"), ("s01", "farthest-point")])
    project.store.update("rounds", {"round": 0}, strategy="k-center", round=1)
    project.store.update("queue", {"round": 0}, round=1)
    _turned(project, [0, 5, 20, 90, 140, 10])
    assert skip(project, ["s01"], None)[0].replaced_by == "s04"


def test_vectors_that_are_gone_are_told(lab) -> None:
    project = lab.line(6, [("s00", "medoid")])
    project.store.update("rounds", {"round": 0}, strategy="kmeans")
    _shard(project).unlink()
    with pytest.raises(ColdalError) as caught:
        skip(project, ["s00"], None)
    assert caught.value.code == "shard"


@pytest.mark.parametrize(("wanted", "expected"), [("true", "p3_a"), ("false", "p2_b")])
def test_with_one_scan_a_patient_a_new_patient_takes_the_place(
    lab, wanted: str, expected: str
) -> None:
    # From p1_a at 0: p2_b at 4 is farthest, but p2 has a scan in the queue; then p3_a at 3.
    names = {"p1_a": 0.0, "p1_b": 1.0, "p2_a": 2.0, "p2_b": 4.0, "p3_a": 3.0, "p4_a": 9.0}
    lab.pictures(*names)
    project = lab.start(f"{PATIENTS}[selection]\none_per_patient = {wanted}\n")
    lab.embed(project)
    lab.map(project, {name: (x, 0.0) for name, x in names.items()})
    picks = [("p1_a", "medoid"), ("p2_a", "medoid"), ("p4_a", "farthest-point")]
    clusters = {name: int(name == "p2_a") for name in names}
    lab.select(project, picks, clusters)
    assert skip(project, ["p4_a"], None)[0].replaced_by == expected
