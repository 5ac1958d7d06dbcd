"""Folds: whole patients, even in size, the same for the same seed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldal_tui.selection.patient_folds import patient_folds


def test_large_patients_go_first_and_each_goes_to_the_emptiest_fold():
    # Sizes 4, 2, 1, 1: the 4 fill fold 0, the 2 fold 1; both singles then go to fold 1 (2 < 4).
    patients = ["a"] * 4 + ["b"] * 2 + ["c", "d"]
    assert patient_folds(patients, 2) == [0, 0, 0, 0, 1, 1, 1, 1]


def test_singles_are_dealt_out_evenly():
    folds = patient_folds([f"p{n}" for n in range(11)], 5, seed=3)
    assert sorted(folds.count(fold) for fold in range(5)) == [2, 2, 2, 2, 3]


def test_the_seed_decides_and_the_order_of_scans_does_not():
    patients = [f"p{n}" for n in range(12)]
    once = dict(zip(patients, patient_folds(patients, 3, seed=1), strict=True))
    back = dict(zip(patients[::-1], patient_folds(patients[::-1], 3, seed=1), strict=True))
    other = dict(zip(patients, patient_folds(patients, 3, seed=2), strict=True))
    assert once == back
    assert once != other


@pytest.mark.parametrize("folds", [0, 3])
def test_more_folds_than_patients_are_refused(folds):
    with pytest.raises(ValueError, match="2 patients"):
        patient_folds(["a", "a", "b"], folds)


@given(
    st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40),
    st.integers(1, 8),
    st.integers(0, 5),
)
def test_no_patient_is_in_two_folds_and_none_is_empty(patients, folds, seed):
    folds = min(folds, len(set(patients)))
    found = patient_folds(patients, folds, seed)
    assert len(set(zip(patients, found, strict=True))) == len(set(patients))
    assert set(found) == set(range(folds))
