"""Divides scans into folds for cross-validation; no fold shares a patient with another."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence


def patient_folds(patients: Sequence[str], folds: int, seed: int = 0) -> list[int]:
    """The fold of each scan, 0 to ``folds`` − 1, as even in scans as whole patients allow.

    Patients in random order (by ``seed``), those with more scans first, each go to the fold with
    the fewest scans so far, of equal ones to the lower number. The order of the scans does not
    matter.

    Parameters
    ----------
    patients : the patient of each scan.
    folds : at least 1, at most the number of patients.

    Raises
    ------
    ValueError : ``folds`` is not in this range.
    """
    sizes = Counter(patients)
    names = sorted(sizes)
    if not 1 <= folds <= len(names):
        raise ValueError(f"{len(names)} patients can't be divided into {folds} folds")
    shuffled = list(names)
    random.Random(seed).shuffle(shuffled)
    filled = [0] * folds
    fold_of: dict[str, int] = {}
    for name in sorted(shuffled, key=lambda name: -sizes[name]):
        fold_of[name] = min(range(folds), key=lambda fold: (filled[fold], fold))
        filled[fold_of[name]] += sizes[name]
    return [fold_of[patient] for patient in patients]
