"""Intervals of a run's Dice against scipy and by hand, and the measures that a run keeps."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from coldal_tui.project.measuring import (
    CROSS_FITTED,
    FROZEN,
    TEST_THEN_TRAIN,
    interval,
    kind_name,
    note_measure,
    read_evaluation_measure,
    read_measure,
    stored_measures,
    t_quantile,
)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 10, 29, 30, 99, 1000, 1001, 50_000])
def test_the_quantile_of_t_is_that_of_scipy(freedom: int) -> None:
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=0.0025)
    if freedom <= 1000:
        assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)


def test_with_a_scan_per_patient_it_is_the_interval_of_scipy() -> None:
    values = [0.7, 0.8, 0.75, 0.9, 0.66]
    found = interval({str(n): [value] for n, value in enumerate(values)})
    wanted = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert found == pytest.approx(wanted)


def test_scans_of_a_patient_count_as_one_observation() -> None:
    """Two patients of two scans: 0.4, 0.4 and 0.6, 0.6. Sums of differences ±0.2 around 0.5.

    V = 2/1 · (0.04 + 0.04) / 16 = 0.01; t(1) = 12.706; the interval is cut at 0 and 1. With 0.49
    and 0.51: sums ±0.02, V = 0.0001, half width 0.12706.
    """
    assert interval({"a": [0.4, 0.4], "b": [0.6, 0.6]}) == (0.0, 1.0)
    low, high = interval({"a": [0.49, 0.49], "b": [0.51, 0.51]}) or (0, 0)
    assert (low, high) == pytest.approx((0.5 - 0.1270620, 0.5 + 0.1270620), abs=1e-6)


@pytest.mark.parametrize("values", [{}, {"a": [0.5]}, {"a": [0.5, 0.7]}, {"a": [0.5], "b": []}])
def test_one_patient_has_no_interval(values: dict[str, list[float]]) -> None:
    assert interval(values) is None


def test_every_kind_has_one_name() -> None:
    assert [kind_name(split) for split in (FROZEN, CROSS_FITTED, TEST_THEN_TRAIN)] == [
        "frozen validation",
        "cross-fitted",
        "test-then-train",
    ]
    assert kind_name("evaluation-8") == "evaluation 8"


def _measured(project, split: str, **scans: dict[str, tuple[float, str]]) -> None:
    with project.store.transaction():
        if not project.store.value("SELECT count(*) FROM runs"):
            project.store.insert(
                "runs",
                run_id="r",
                round=0,
                seed=0,
                created_at="2026-01-01",
                train_scans=[],
                validation_scans=[],
                summary={},
            )
        for scan_id, classes in scans.items():
            for name, (dice, note) in classes.items():
                values = {"run_id": "r", "split": split, "scan_id": scan_id, "class": name}
                project.store.insert(
                    "metrics", **values, dice=dice, hd=4.0, hd95=3.0, unit="px", note=note
                )


def test_a_class_that_no_label_holds_is_in_no_mean(lab) -> None:
    lab.pictures("a", "b")
    project = lab.start()
    _measured(
        project,
        CROSS_FITTED,
        a={"lung": (0.5, ""), "rare": (1.0, "both-empty")},
        b={"lung": (0.7, ""), "rare": (0.0, "spurious")},
    )
    found = read_measure(project, "r", CROSS_FITTED)
    assert found is not None
    assert (found.kind, found.scans, found.patients) == ("cross-fitted", 2, 2)
    assert found.dice == pytest.approx(0.6)
    assert found.classes["rare"] == {
        "dice": 0.5,
        "hd": 4.0,
        "hd95": 3.0,
        "unit": "px",
        "scans": 2,
        "missed": 0,
        "spurious": 1,
        "both_empty": 1,
    }
    reach = t_quantile(1) * np.std([0.5, 0.7], ddof=1) / np.sqrt(2)
    assert (found.low, found.high) == (max(0, 0.6 - reach), min(1, 0.6 + reach))


def test_an_evaluation_is_found_by_its_job(lab) -> None:
    """Scans that are not in the project stand for a patient each."""
    lab.pictures("a")
    project = lab.start()
    _measured(project, "evaluation-7", x={"lung": (0.5, "")}, y={"lung": (0.7, "")})
    found = read_evaluation_measure(project, 7)
    assert found is not None
    assert (found.kind, found.patients, found.dice) == ("evaluation 7", 2, pytest.approx(0.6))
    assert read_evaluation_measure(project, 8) is None


def test_a_run_keeps_its_measures_in_order(lab) -> None:
    lab.pictures("a", "b")
    project = lab.start()
    _measured(project, TEST_THEN_TRAIN, a={"lung": (0.5, "")})
    _measured(project, CROSS_FITTED, a={"lung": (0.6, "")}, b={"lung": (0.8, "")})
    with project.store.transaction():
        note_measure(project, "r", TEST_THEN_TRAIN)
        note_measure(project, "r", CROSS_FITTED)
        assert note_measure(project, "r", FROZEN) is None
        assert note_measure(project, "none", FROZEN) is None
    summary = json.loads(project.store.value("SELECT summary FROM runs"))
    first, second = stored_measures(project, "r", summary)
    assert (first.kind, first.dice) == ("cross-fitted", pytest.approx(0.7))
    assert (second.kind, second.dice, second.low) == ("test-then-train", 0.5, None)


def test_a_run_of_an_older_version_has_its_frozen_validation(lab) -> None:
    """From its metrics with an interval where they are, else only the mean that it stored."""
    lab.pictures("a", "b")
    project = lab.start()
    stored = {"validation": {"mean": {"dice": 0.7, "hd": 4.0, "hd95": 3.0}, "classes": {}}}
    (only,) = stored_measures(project, "r", stored)
    assert (only.kind, only.dice, only.low) == ("frozen validation", 0.7, None)
    _measured(project, FROZEN, a={"lung": (0.6, "")}, b={"lung": (0.8, "")})
    (known,) = stored_measures(project, "r", stored)
    assert (known.dice, known.patients) == (pytest.approx(0.7), 2)
    assert known.low is not None
    assert stored_measures(project, "r", {"validation": {"mean": None}}) == ()
