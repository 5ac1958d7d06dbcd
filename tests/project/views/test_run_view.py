"""Runs in detail: what was measured, where a run is worst, two runs paired."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from coldal_tui.maps import ScanIds
from coldal_tui.project.project import Project
from coldal_tui.project.views.run_view import (
    ClassChange,
    ClassScore,
    ScanScore,
    SplitState,
    compare,
    read_comparison,
    read_measures,
    read_scores,
)
from coldal_tui.project.views.snapshot import RunState, take_snapshot


@pytest.fixture
def root(lab: Any) -> Path:
    """A project of three scans."""
    lab.pictures("scan_0", "scan_1", "scan_2")
    lab.start().close()
    return Path(lab.root)


def measure(project: Project, run: str, split: str, **dice: float | tuple[float, ...]) -> None:
    """Dice of scans (of classes c0, c1, …); HD95 is 10 times what is missing to 1."""
    for scan_id, values in dice.items():
        for number, value in enumerate(values if isinstance(values, tuple) else (values,)):
            project.store.insert(
                "metrics",
                **{"class": f"c{number}"},
                run_id=run,
                split=split,
                scan_id=scan_id,
                dice=value,
                hd=0.0,
                hd95=10 * (1 - value),
                unit="mm",
                note="missed" if value == 0 else "",
            )


def add_run(project: Project, run_id: str, train: list[str], watched: list[str]) -> None:
    project.store.insert(
        "runs",
        run_id=run_id,
        round=0,
        seed=0,
        train_scans=train,
        validation_scans=watched,
        summary={},
        created_at="2026-01-01T00:00:00+00:00",
    )


def runs(project: Project) -> tuple[RunState, ...]:
    return take_snapshot(project).runs


def score(scan_id: str, dice: float, hd95: float = 1.0) -> ScanScore:
    return ScanScore(scan_id, {"lung": ClassScore(dice, hd95, "px", "")}, True)


def test_a_run_is_measured_by_the_means_of_its_scans(root: Path) -> None:
    with Project(root) as project:
        add_run(project, "run-001", ["scan_0"], ["scan_1", "scan_2"])
        measure(project, "run-001", "validation", scan_1=(0.8, 0.6), scan_2=(0.9, 0.9))
        found = read_measures(project, runs(project), None, ())["run-001"]
    assert found.evaluations == ()
    assert found.coverage is None
    state = found.measured
    assert state is not None
    # Means of the scans: 0.7 and 0.9; of their HD95: 3 and 1.
    assert state == SplitState(
        "validation",
        2,
        pytest.approx(0.8),
        pytest.approx(math.sqrt(0.02)),
        pytest.approx(0.7),
        pytest.approx(0.9),
        pytest.approx(2.0),
        "mm",
        "",
        # 0.8 ± 12.706 · 0.1 (t with one degree of freedom), cut at 0 and 1.
        0.0,
        1.0,
    )


def test_one_scan_has_no_spread(root: Path) -> None:
    with Project(root) as project:
        add_run(project, "run-001", ["scan_0"], ["scan_1"])
        measure(project, "run-001", "validation", scan_1=0.8)
        state = read_measures(project, runs(project), None, ())["run-001"].measured
    assert state is not None
    assert state.spread is None


def test_mixed_units_have_no_mean(root: Path) -> None:
    with Project(root) as project:
        add_run(project, "run-001", ["scan_0"], [])
        measure(project, "run-001", "validation", scan_1=0.8, scan_2=0.7)
        project.store.update("metrics", {"scan_id": "scan_2"}, unit="px")
        state = read_measures(project, runs(project), None, ())["run-001"].measured
    assert state is not None
    assert (state.hd95, state.unit) == (None, "mixed")


def test_evaluations_come_in_the_order_they_were_made(root: Path) -> None:
    with Project(root) as project:
        add_run(project, "run-001", ["scan_0"], [])
        for job in (10, 9):
            measure(project, "run-001", f"evaluation-{job}", other=job / 20)
            project.store.insert(
                "jobs",
                job_id=job,
                kind="evaluate",
                request={},
                status="done",
                depends_on=[],
                folder=".coldal/jobs/000001-evaluate",
                backend="local",
                created_at="",
                ended_at=f"at {job}",
            )
        found = read_measures(project, runs(project), None, ())["run-001"]
    assert found.measured is None
    told = [(state.name, state.dice, state.at) for state in found.evaluations]
    assert told == [("evaluation 9", 0.45, "at 9"), ("evaluation 10", 0.5, "at 10")]


def test_the_worst_scan_comes_first(root: Path) -> None:
    with Project(root) as project:
        measure(project, "r", "validation", scan_1=0.9, scan_0=0.2, scan_2=0.9, elsewhere=0.5)
        project.store.update("metrics", {"scan_id": "scan_2"}, hd95=99.0)
        found = read_scores(project, "r", "validation")
    # Of equal Dice the greater HD95 is worse.
    assert [one.scan_id for one in found] == ["scan_0", "elsewhere", "scan_2", "scan_1"]
    assert [one.known for one in found] == [True, False, True, True]


def test_a_scan_names_its_worst_class(root: Path) -> None:
    with Project(root) as project:
        measure(project, "r", "validation", scan_1=(0.9, 0.0))
        (found,) = read_scores(project, "r", "validation")
    assert (found.dice, found.hd95, found.unit) == (0.45, pytest.approx(5.5), "mm")
    assert found.worst == ("c1", ClassScore(0.0, 10.0, "mm", "missed"))


def test_coverage_is_by_the_scans_that_a_run_has_seen(root: Path) -> None:
    import numpy as np

    from coldal_tui.project.views.map_view import MapView

    line = MapView(
        1,
        ScanIds([f"scan_{n}" for n in range(6)]),
        np.array([(n, 0) for n in range(6)], np.float32),
        np.zeros(6, np.int16),
        np.zeros(6, np.uint8),
        np.zeros(6, np.float32),
        np.array([], np.int64),
    )
    with Project(root) as project:
        add_run(project, "run-001", ["scan_0"], [])
        add_run(project, "run-002", ["scan_0"], ["scan_5"])
        found = read_measures(project, runs(project), line, ["scan_0"])
    # Distances to scan_0: 0 to 5, median 2.5: scan_0 covers three, scan_5 the others.
    assert [one.coverage for one in found.values()] == [0.5, 1.0]


def test_differences_are_of_scans_that_both_were_measured_on() -> None:
    before = [score("a", 0.5), score("b", 0.5), score("c", 0.5), score("only", 0.1)]
    after = [score("a", 0.6), score("b", 0.4), score("c", 0.8), score("new", 0.9)]
    found = compare(before, after)
    assert found is not None
    assert [pair.scan_id for pair in found.pairs] == ["b", "a", "c"]
    assert (found.better, found.worse, found.same) == (2, 1, 0)
    # Changes -0.1, 0.1, 0.3: mean 0.1, deviation 0.2.
    assert found.mean == pytest.approx(0.1)
    assert found.spread == pytest.approx(0.2)


def test_what_looks_the_same_counts_as_the_same() -> None:
    found = compare(
        [score("a", 0.9), score("b", 0.9), score("c", 0.9)],
        [score("a", 0.90049), score("b", 0.90051), score("c", 0.89949)],
    )
    assert found is not None
    assert (found.better, found.worse, found.same) == (1, 1, 1)


def test_equal_losses_are_ordered_by_distance() -> None:
    found = compare(
        [score("a", 0.9, 1.0), score("b", 0.9, 1.0)], [score("a", 0.9, 2.0), score("b", 0.9, 7.0)]
    )
    assert found is not None
    assert [(pair.scan_id, pair.hd95) for pair in found.pairs] == [("b", 6.0), ("a", 1.0)]


def test_changes_of_classes_are_means_over_the_pairs() -> None:
    def both(scan_id: str, heart: float, lung: float, unit: str = "mm") -> ScanScore:
        classes = {
            "heart": ClassScore(heart, 4.0, "mm", ""),
            "lung": ClassScore(lung, 2.0, unit, ""),
        }
        return ScanScore(scan_id, classes, True)

    before = [both("a", 0.5, 0.75), both("b", 0.5, 0.75)]
    after = [both("a", 0.75, 0.75), both("b", 0.5, 0.25, "px")]
    found = compare(before, after)
    assert found is not None
    assert found.classes == (
        ClassChange("heart", 0.625, 0.125, 4.0, 0.0, "mm"),
        ClassChange("lung", 0.5, -0.25, None, None, "mixed"),
    )


def test_a_class_that_only_one_run_knows_is_not_compared() -> None:
    old = ScanScore("a", {"lung": ClassScore(0.5, 1, "px", "")}, True)
    classes = {"lung": ClassScore(0.5, 1, "px", ""), "heart": ClassScore(0.5, 1, "px", "")}
    found = compare([old], [ScanScore("a", classes, True)])
    assert found is not None
    assert [one.name for one in found.classes] == ["lung"]


def test_without_a_common_scan_there_is_nothing_to_compare() -> None:
    assert compare([score("a", 0.5)], [score("b", 0.5)]) is None


def splits(project: Project) -> Any:
    measure(project, "old", "validation", a=0.5)
    measure(project, "old", "evaluation-3", x=0.5, y=0.5)
    measure(project, "old", "evaluation-4", x=0.6, y=0.6)
    measure(project, "old", "evaluation-5", z=0.1)
    measure(project, "new", "validation", a=0.75)
    measure(project, "new", "evaluation-6", x=0.7, y=0.9, z=0.2)


def test_validation_is_compared_with_validation(root: Path) -> None:
    with Project(root) as project:
        splits(project)
        split, found = read_comparison(project, "old", "new", "validation")
    assert split == "validation"
    assert found is not None
    assert found.mean == 0.25


def test_an_evaluation_is_compared_with_the_newest_on_the_same_scans(root: Path) -> None:
    with Project(root) as project:
        splits(project)
        split, found = read_comparison(project, "old", "new", "evaluation-6")
    assert split == "evaluation-4"
    assert found is not None
    # 0.1 and 0.3 more.
    assert found.mean == pytest.approx(0.2)


def test_an_evaluation_is_not_compared_with_validation(root: Path) -> None:
    with Project(root) as project:
        measure(project, "old", "validation", x=0.5)
        measure(project, "new", "evaluation-6", x=0.7)
        assert read_comparison(project, "old", "new", "evaluation-6")[1] is None


def test_a_class_that_no_label_of_a_split_holds_is_in_no_mean(root: Path) -> None:
    with Project(root) as project:
        add_run(project, "run-001", ["s00"], ["s01"])
        measure(project, "run-001", "validation", s01=(0.5, 1.0))
        with project.store.transaction():
            project.store.execute("UPDATE metrics SET note = 'both-empty' WHERE dice = 1.0")
        (score,) = read_scores(project, "run-001", "validation")
        assert (score.dice, len(score.classes)) == (0.5, 1)
        runs = take_snapshot(project).runs
        state = read_measures(project, runs, None, ())["run-001"].measured
        assert state is not None
        assert state.dice == 0.5
