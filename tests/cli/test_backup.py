"""``backup``, ``restore``, ``doctor --repair``, ``trust``, ``export-project``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coldal_tui.project.labels.importing import import_masks
from coldal_tui.trust_store import TrustStore
from tests.support.lab import Lab


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    lab = Lab(tmp_path)
    lab.pictures("a", "b")
    with lab.start() as project:
        lab.mask("a.png")
        import_masks(project, lab.masks)
    return lab.root


def labels(call, root: Path) -> list[str]:
    found = json.loads(call("labels", root, "list", "--json").out)
    return [one["scan_id"] for one in found["labels"]]


def test_a_copy_is_made_listed_and_put_back_with_the_labels_that_came_since(call, labelled):
    assert call("backup", labelled).out.startswith("copied and verified: ")
    lab = Lab.__new__(Lab)
    lab.masks, lab.root = labelled.parent / "masks", labelled
    lab.mask("b.png")
    call("import-masks", labelled, lab.masks)
    kinds = {one["kind"] for one in json.loads(call("backup", labelled, "--list", "--json").out)}
    assert kinds == {"daily", "asked"}
    refused = call("restore", labelled)
    assert (refused.status, "add --yes" in refused.err) == (2, True)
    done = call("restore", labelled, "--yes")
    assert done.status == 0
    assert "1 label taken in from files that the database did not know: b" in done.out
    assert labels(call, labelled) == ["a", "b"]


def test_a_lost_database_is_told_and_comes_back(call, labelled):
    for path in labelled.glob(".coldal/project.db*"):
        path.unlink()
    for words in (("status", labelled), ("index", labelled), ("import-masks", labelled, labelled)):
        done = call(*words)
        assert (done.status, "database is missing" in done.err) == (1, True)
        assert "coldal-tui restore" in done.err
    assert not (labelled / ".coldal" / "project.db").exists()
    done = call("doctor", labelled, "--repair")
    assert "put back the copy project-" in done.out
    assert labels(call, labelled) == ["a"]


def test_trust_asks_once_and_forgets_when_told(call, labelled):
    (labelled / "coldal.toml").open("a").write('[backend.slurm]\nsetup = ["module load cuda"]\n')
    TrustStore().forget(labelled)
    refused = call("map", labelled)
    assert (refused.status, "coldal-tui trust" in refused.err) == (1, True)
    assert call("trust", labelled).status == 2
    told = json.loads(call("trust", labelled, "--json").out)
    assert [one["trusted"] for one in told["reaches"]] == [False]
    assert call("trust", labelled, "--yes").out.endswith("any change is asked about again\n")
    assert json.loads(call("trust", labelled, "--json").out)["reaches"][0]["trusted"]
    call("trust", labelled, "--forget")
    assert not json.loads(call("trust", labelled, "--json").out)["reaches"][0]["trusted"]


def test_what_somebody_else_did_is_undone_after_a_question(call, labelled):
    import apsw

    with apsw.Connection(str(labelled / ".coldal" / "project.db")) as connection:
        connection.execute("UPDATE audit SET uid = 4711, who = 'ben'").fetchall()
    refused = call("undo", labelled)
    assert refused.status == 1
    assert "ben did this" in refused.err
    assert "imported 1 labels" in refused.err
    assert labels(call, labelled) == ["a"]
    assert call("undo", labelled, "--yes").status == 0
    assert labels(call, labelled) == []


def test_plain_files(call, labelled, tmp_path):
    done = call("export-project", labelled, tmp_path / "out")
    tables = {path.stem for path in (tmp_path / "out" / "tables").glob("*.csv")}
    assert done.status == 0
    assert f"2 scans, 1 label file, {len(tables)} tables" in done.out
    assert {"scans", "labels", "queue", "audit"} <= tables
