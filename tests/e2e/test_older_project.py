"""A project that version 0.1 has stored goes on: its status, its queue, its next round."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.support.places import ROOT

pytestmark = pytest.mark.e2e
STORED = ROOT / "tests" / "e2e" / "projects" / "version_0_1.tar.gz"
FIRST = [
    ("p02_0", "medoid"),
    ("p04_1", "validation"),
    ("p05_0", "medoid"),
    ("p03_0", "validation"),
    ("p02_1", "farthest-point"),
]


def test_a_stored_project_goes_on(base: Path, cli) -> None:
    with tarfile.open(STORED) as archive:
        archive.extractall(base / "stored", filter="data")
    project = base / "stored" / "lab" / "lungs"

    status = cli.json("status", project)
    assert status["scans"] == 12
    assert status["budget"] | {"total": 8, "labelled": 5, "left": 3} == status["budget"]
    assert [cluster["size"] for cluster in status["clusters"]] == [6, 6]
    queue = cli.json("queue", project)
    assert [(item["scan_id"], item["role"]) for item in queue] == FIRST
    assert {item["status"] for item in queue} == {"labelled"}

    cli("next", project, "--batch", 3)
    queue = cli.json("queue", project)
    assert len(queue) == 8
    assert {item["round"] for item in queue[5:]} == {1}
    # The patients of p03_0 and p04_1 are held out for good.
    assert {item["scan_id"][:3] for item in queue[5:]} <= {"p00", "p01", "p02", "p05"}
    assert cli.json("status", project)["runs"]
