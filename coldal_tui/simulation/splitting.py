"""Draws or lists test patients; no split separates a patient's scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from coldal_tui.errors import ColdalError
from coldal_tui.simulation.design import SplitRule

FEWEST_PATIENTS = 4
"""One to test on, one to validate on, two to choose between."""
_TEST = 1


def draw_test_patients(patients: Sequence[str], rule: SplitRule, seed: int) -> frozenset[str]:
    """The patients that a seed tests on; ``patients`` may name one as often as it has scans.

    Raises ColdalError (code ``too-few-patients``) when too few are left to train on.
    """
    names = sorted(set(patients))
    if rule.test_patients:
        chosen = frozenset(rule.test_patients) & frozenset(names)
    elif len(names) < FEWEST_PATIENTS:
        chosen = frozenset()
    else:
        most = len(names) - FEWEST_PATIENTS + 1
        count = max(1, min(round(rule.test_fraction * len(names)), most))
        rng = np.random.default_rng([_TEST, seed])
        chosen = frozenset(names[n] for n in rng.permutation(len(names))[:count])
    if not chosen or len(names) - len(chosen) < FEWEST_PATIENTS - 1:
        raise ColdalError(
            f"{len(names)} patients with masks ({len(chosen)} of them to test on) are too few to "
            "learn from some and test on others",
            remedy=f"at least {FEWEST_PATIENTS} patients are needed; where every scan is a "
            "patient of its own, check how patients are recognised (coldal-tui init --patients)",
            code="too-few-patients",
        )
    return chosen


def check_sizes(patients: Mapping[str, str], rule: SplitRule, seed: int, labels: int) -> None:
    """Refuse a label count above the pool size of a seed.

    ``patients`` is scan → patient. Raises ColdalError (code ``pool-too-small``).
    """
    tested = draw_test_patients(list(patients.values()), rule, seed)
    left = [scan for scan, patient in patients.items() if patient not in tested]
    if labels > len(left):
        raise ColdalError(
            f"{labels} labels are more than the {len(left)} scans that are left beside the "
            f"{len(patients) - len(left)} of the test patients (seed {seed})",
            remedy="ask for fewer labels or rounds, or lower --test-fraction",
            code="pool-too-small",
        )
