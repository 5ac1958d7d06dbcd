"""Patients are kept apart: by chance for each seed, or by a list."""

from __future__ import annotations

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.simulation.design import SplitRule
from coldal_tui.simulation.splitting import check_sizes, draw_test_patients

PATIENTS = [f"p{n:02d}" for n in range(20) for _ in range(1 + n % 3)]


def test_a_fraction_of_the_patients_is_drawn_whatever_their_scans() -> None:
    assert len(draw_test_patients(PATIENTS, SplitRule(2, 0.3), seed=1)) == 6
    assert draw_test_patients(PATIENTS, SplitRule(2, 0.3), 1) == draw_test_patients(
        PATIENTS[::-1], SplitRule(2, 0.3), 1
    )


def test_a_seed_redraws_the_test_patients() -> None:
    drawn = {draw_test_patients(PATIENTS, SplitRule(2, 0.3), seed) for seed in range(10)}
    assert len(drawn) == 10


def test_a_list_is_the_test_set_of_every_seed() -> None:
    rule = SplitRule(2, test_patients=("p03", "p07", "stranger"))
    assert (
        draw_test_patients(PATIENTS, rule, 1)
        == draw_test_patients(PATIENTS, rule, 2)
        == {"p03", "p07"}
    )


@pytest.mark.parametrize(
    ("patients", "rule"),
    [
        (["a", "b", "c"], SplitRule(1)),
        (["a", "b", "c", "d"], SplitRule(1, test_patients=("a", "b"))),
        (["a", "b", "c", "d"], SplitRule(1, test_patients=("x",))),
    ],
)
def test_too_few_patients_are_refused(patients, rule) -> None:
    with pytest.raises(ColdalError) as caught:
        draw_test_patients(patients, rule, 0)
    assert caught.value.code == "too-few-patients"


def test_a_large_fraction_leaves_enough_to_learn_from() -> None:
    assert len(draw_test_patients(["a", "b", "c", "d", "e"], SplitRule(1, 0.9), 0)) == 2


def test_more_labels_than_the_pool_has_are_refused() -> None:
    patients = {f"scan{n}": f"p{n}" for n in range(10)}
    check_sizes(patients, SplitRule(1, 0.3), 0, 7)
    with pytest.raises(ColdalError, match="8 labels are more than the 7 scans") as caught:
        check_sizes(patients, SplitRule(1, 0.3), 0, 8)
    assert caught.value.code == "pool-too-small"
