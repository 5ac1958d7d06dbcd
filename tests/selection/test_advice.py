"""What is said of pools whose make-up is known."""

from __future__ import annotations

import numpy as np
import pytest

from coldal_tui.selection.advice import PoolLooks, advise, drawn_scans, look


def _kinds(sizes: tuple[int, ...], spread: float, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(len(sizes), 30))
    which = np.repeat(np.arange(len(sizes)), sizes)
    return centres[which] + spread * rng.normal(size=(len(which), 30)), [f"k{n}" for n in which]


def test_kinds_are_counted_with_their_shares_and_go_with_their_column() -> None:
    rows, kind = _kinds((60, 30, 10), 0.5)
    patients = [f"p{n}" for n in range(100)]
    noise = [str(n % 2) for n in range(100)]
    found = look(rows, patients, {"stain": kind, "noise": noise, "id": patients})
    assert (found.scans, found.kinds, found.has_kinds) == (100, 3, True)
    assert found.shares == pytest.approx((0.6, 0.3, 0.1))
    assert found.stable == pytest.approx(1.0)
    assert found.columns["stain"] == pytest.approx(1.0)
    assert found.columns["noise"] < 0.1
    assert "id" not in found.columns
    assert found.patients is None
    assert advise(found, "every-kind").strategy == "kmeans"
    assert advise(found, "average").strategy == "herding"


def test_a_single_cloud_has_no_kinds() -> None:
    rows, _ = _kinds((150,), 1.0)
    found = look(rows + 5, [f"p{n}" for n in range(150)], {})
    assert not found.has_kinds
    advice = advise(found, "every-kind")
    assert advice.strategy == "random"
    assert "no stable kinds" in advice.because[-1]


def test_a_patient_dominates_where_its_scans_are_alike() -> None:
    """Thirty patients of three scans each, which differ by little."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(30, 20))
    rows = np.repeat(centres, 3, axis=0) + 0.05 * rng.normal(size=(90, 20))
    patients = [f"p{n // 3}" for n in range(90)]
    found = look(rows, patients, {})
    assert found.patients is not None
    assert found.patients < 0.1
    assert advise(found, "average").one_per_patient
    because = advise(found, "average").because
    assert any(words.startswith("the patient dominates") for words in because)


def test_the_distance_within_patients_by_hand() -> None:
    """On the circle: 0° and 60° are one patient (distance 1), 180° another (2 and √3)."""
    turn = np.deg2rad([0.0, 60.0, 180.0])
    rows = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    found = look(rows, ["a", "a", "b"], {})
    assert found.patients == pytest.approx(1 / ((2 + np.sqrt(3)) / 2))


def test_copies_are_counted() -> None:
    rows, _ = _kinds((40,), 1.0)
    found = look(np.concatenate([rows, rows[:10]]), [f"p{n}" for n in range(50)], {})
    assert found.copies == pytest.approx(0.2)


def test_a_large_pool_is_looked_at_in_part_and_the_same_way_twice(monkeypatch) -> None:
    from coldal_tui.selection import advice

    monkeypatch.setattr(advice, "MOST_SCANS", 60)
    rows, kind = _kinds((120, 60), 0.5)
    patients = [f"p{n}" for n in range(180)]
    drawn = drawn_scans(180, 3)
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert len(drawn) == 60
    assert drawn.tolist() == drawn_scans(180, 3).tolist()
    some = [patients[n] for n in drawn], {"kind": [kind[n] for n in drawn]}
    found = look(rows[drawn], *some, seed=3, scans=180)
    assert (found.scans, found.kinds, found.columns["kind"]) == (180, 2, pytest.approx(1))


def test_kinds_have_to_be_stable_and_apart() -> None:
    made = PoolLooks(100, 2, (0.5, 0.5), apart=0.3, stable=0.9, copies=0.0, patients=None)
    assert made.has_kinds
    assert not PoolLooks(100, 2, (0.5, 0.5), 0.1, 0.9, 0.0, None).has_kinds
    assert not PoolLooks(100, 2, (0.5, 0.5), 0.3, 0.5, 0.0, None).has_kinds
