"""Masks that a simulation hides: copies of labels, or a folder matched as an import would."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.labels.hidden_masks import hide_labels, hide_masks, patients_in, read_cases
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project
from coldal_tui.project.views.simulation_view import (
    command_words,
    newest_request,
    read_results,
    store_of,
)

TOML = """
[classes]
names = ["lung"]
[images]
dir = "../images"
patients_pattern = "^(?P<patient>p.)_"
"""


@pytest.fixture
def project(lab) -> Project:
    """Four scans of two patients, with a mask each."""
    for name in ("p1_a", "p1_b", "p2_a", "p2_b"):
        lab.picture(f"{name}.png")
        lab.mask(f"{name}.png")
    return lab.start(TOML)


def labels_of(project: Project) -> int:
    return int(project.store.value("SELECT count(*) FROM labels"))


def test_masks_of_a_folder_are_hidden_and_become_no_label(project, lab) -> None:
    hidden = hide_masks(project, lab.masks)
    assert hidden.patients == {"p1_a": "p1", "p1_b": "p1", "p2_a": "p2", "p2_b": "p2"}
    assert labels_of(project) == 0
    for one in hidden.scans:
        wanted = np.zeros((6, 9), np.uint8)
        wanted[1, :3] = 1
        np.testing.assert_array_equal(read_label(Path(one.label)), wanted)
    assert read_cases(project, hidden.file) == hidden.scans


def test_masks_that_fit_no_scan_are_told(project, lab) -> None:
    lab.mask("stranger.png")
    lab.mask("p1_a.png", size=(7, 9))
    hidden = hide_masks(project, lab.masks)
    assert sorted(hidden.patients) == ["p1_b", "p2_a", "p2_b"]
    assert {one.file.name: one.status for one in hidden.unused} == {
        "stranger.png": "unmatched",
        "p1_a.png": "quarantined",
    }


def test_masks_are_found_by_a_template(project, lab) -> None:
    lab.mask("other/p1_a_seg.png", columns=slice(4, 6))
    hidden = hide_masks(project, lab.masks / "other", match="{stem}_seg")
    assert sorted(hidden.patients) == ["p1_a"]


def test_the_same_masks_lie_in_the_same_place_and_others_elsewhere(project, lab) -> None:
    first = hide_masks(project, lab.masks)
    assert hide_masks(project, lab.masks) == first
    lab.mask("p1_a.png", columns=slice(5, 8))
    other = hide_masks(project, lab.masks)
    assert other.file != first.file
    before, now = (read_cases(project, one.file)[0] for one in (first, other))
    assert before.sha256 != now.sha256
    assert read_label(Path(before.label))[1, 0] == 1


def test_labels_are_copied_so_that_later_ones_change_nothing(project, lab) -> None:
    import_masks(project, lab.masks)
    hidden = hide_labels(project)
    assert len(hidden.scans) == 4
    lab.mask("p1_a.png", columns=slice(5, 8))
    import_masks(project, lab.masks)
    copy = read_label(Path(read_cases(project, hidden.file)[0].label))
    assert (copy[1, 0], copy[1, 6]) == (1, 0)
    assert hide_labels(project).file != hidden.file


def test_excluded_scans_are_left_out(project, lab) -> None:
    with project.store.transaction():
        project.store.update("scans", {"scan_id": "p1_b"}, excluded="blurred")
    assert sorted(hide_masks(project, lab.masks).patients) == ["p1_a", "p2_a", "p2_b"]


def test_a_folder_left_half_made_is_made_anew(project, lab) -> None:
    hidden = hide_masks(project, lab.masks)
    project.file_of(hidden.file).unlink()
    Path(hidden.scans[0].label).write_bytes(b"half")
    assert hide_masks(project, lab.masks) == hidden
    assert read_label(Path(hidden.scans[0].label))[1, 0] == 1
    assert list(project.file_of(hidden.file).parent.parent.glob(".masks-*")) == []


def test_nothing_to_hide_is_told_with_the_first_reason(project, lab, tmp_path) -> None:
    with pytest.raises(ColdalError) as caught:
        hide_labels(project)
    assert caught.value.code == "no-cases"
    lab.mask("only/stranger.png")
    with pytest.raises(ColdalError, match=r"the first: stranger\.png: ") as caught:
        hide_masks(project, lab.masks / "only")
    assert caught.value.code == "no-cases"


def test_masks_that_are_gone_are_told(project) -> None:
    with pytest.raises(ColdalError) as caught:
        read_cases(project, ".coldal/simulations/masks-x/cases.json")
    assert caught.value.code == "no-cases"


def table(path: Path, column: str, *values: str) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([[column, "more"], *([value, "x"] for value in values)])
    return path


@pytest.mark.parametrize(
    ("column", "values", "patients"),
    [
        ("patient_id", ("p2", "p9"), ("p2",)),
        ("scan_id", ("p1_b", "p9_a"), ("p1",)),
        ("filename", ("p1_b.png", "p2_a"), ("p1", "p2")),
    ],
)
def test_test_patients_are_read_from_a_table(
    project, lab, tmp_path, column, values, patients
) -> None:
    scans = hide_masks(project, lab.masks).scans
    assert patients_in(project, table(tmp_path / "t.csv", column, *values), scans) == patients


def test_a_table_that_names_nobody_is_refused(project, lab, tmp_path) -> None:
    scans = hide_masks(project, lab.masks).scans
    for path, what in (
        (table(tmp_path / "a.csv", "patient_id", "p9"), "names no patient"),
        (table(tmp_path / "b.csv", "name", "p1"), "no column patient_id"),
        (tmp_path / "missing.csv", "can't read"),
    ):
        with pytest.raises(UsageError, match=what):
            patients_in(project, path, scans)


REQUEST = {
    "cases": "x",
    "design": {
        "seeds": [3, 4],
        "cold": ["kmeans", "random"],
        "budgets": [10, 20],
        "active": [
            {"strategy": "entropy-diversity", "alpha": 0.0},
            {"strategy": "entropy-diversity", "alpha": 0.5},
            {"strategy": "random", "alpha": None},
        ],
        "start": "kmeans",
        "round0": 10,
        "batch": 5,
        "rounds": 2,
        "full": False,
    },
    "rule": {"validation": 2, "test_fraction": 0.25, "test_patients": []},
    "steps": 12,
    "masks": "/data/my masks",
    "match": None,
    "test": None,
}


def test_the_command_of_a_report_asks_for_the_same_again() -> None:
    assert command_words(REQUEST) == (
        "coldal-tui simulate --strategies kmeans,random,entropy-diversity --budgets 10,20 "
        "--rounds 2 --batch 5 --round0 10 --start kmeans --alpha 0,0.5 --seeds 2 --seed 3 "
        "--draws 1 --validation 2 --test-fraction 0.25 --masks '/data/my masks' --steps 12 "
        "--no-full"
    )


def test_the_newest_request_is_that_of_the_newest_job(project) -> None:
    assert newest_request(project) is None
    for number in (1, 2):
        with project.store.transaction():
            project.store.insert(
                "jobs",
                kind="simulate",
                request={"number": number},
                status="failed",
                depends_on=[],
                folder="",
                backend="local",
                created_at=project.store.now(),
            )
    assert newest_request(project) == {"number": 2}


def test_results_of_a_folder_that_is_gone_are_told(project) -> None:
    with pytest.raises(ColdalError) as caught:
        read_results(project, store_of(project, "f" * 64), json.loads(json.dumps(REQUEST)))
    assert caught.value.code == "no-simulation"
