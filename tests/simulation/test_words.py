"""The answer in words never says more than its interval."""

from __future__ import annotations

from typing import Any

import pytest

from coldal_tui.simulation.design import CellId
from coldal_tui.simulation.results import summarise
from coldal_tui.simulation.words import (
    answers,
    caveats,
    difference_words,
    needed_words,
    signed,
    with_interval,
)
from tests.support.replayed import COLD


def group_of(low: float, high: float, verdict: str, seeds: int = 5) -> dict[str, Any]:
    gap = {"mean": (low + high) / 2, "low": low, "high": high, "verdict": verdict}
    arms = [{"arm": "kmeans", "aubc": {"minus_random": gap}}, {"arm": "random", "aubc": {}}]
    return {
        "groups": {
            "cold": {
                "labels": [10, 20],
                "seeds": list(range(seeds)),
                "test_patients": 61,
                "arms": arms,
            }
        }
    }


def test_a_lead_is_told_with_its_interval_and_what_it_rests_on() -> None:
    (found,) = answers(group_of(0.004, 0.020, "better"))
    assert (found["group"], found["arm"], found["verdict"]) == ("cold", "kmeans", "better")
    assert found["text"] == (
        "Would kmeans have beaten random here (the first queue, 10 to 20 labels)? Yes: Dice "
        "averaged over these label counts differs by +0.012 (95 % interval +0.004 to +0.020; "
        "5 seeds, 61 test patients)."
    )


def test_an_interval_that_spans_0_can_t_tell() -> None:
    (found,) = answers(group_of(-0.006, 0.014, "can't tell"))
    assert "Can't tell: " in found["text"]
    assert "spans 0 (95 % interval −0.006 to +0.014" in found["text"]
    assert "Yes" not in found["text"]


def test_a_loss_is_told_as_one() -> None:
    (found,) = answers(group_of(-0.03, -0.01, "worse"))
    assert "No: random was better: " in found["text"]


def test_one_seed_can_t_tell() -> None:
    (found,) = answers(group_of(0.01, 0.03, "can't tell", seeds=1))
    assert "Can't tell from one seed" in found["text"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "+0.012"), (-0.0123, "−0.012"), (0.0001, "0.000"), (-0.0001, "0.000"), (None, "–")],
)
def test_differences_have_their_sign_but_no_signed_zero(value, text) -> None:
    assert signed(value) == text


def test_numbers_with_intervals() -> None:
    stat = {"mean": 0.9123, "low": 0.8981, "high": None}
    assert with_interval(stat) == "0.912 [0.898, –]"
    assert with_interval(None) == "–"
    gap = {"mean": 0.01, "low": -0.002, "high": 0.02, "verdict": "can't tell"}
    assert difference_words(gap) == "+0.010 [−0.002, +0.020] can't tell"
    assert difference_words(None) == ""


def test_labels_that_random_needs_are_more_than_the_most_where_it_never_got_there() -> None:
    needed = {"labels": 27.4, "low": 18.6, "high": None, "most": 40}
    assert needed_words(needed) == "27 [19, > 40]"
    assert needed_words(None) == ""


def test_caveats_say_what_applies(setup, cold_cells, new_cell) -> None:
    del cold_cells[CellId(2, "cold", "random", 20)]
    id = CellId(1, "cold", "kmeans", 10)
    cold_cells[id] = new_cell(id, 0.75, made={"torch": "2.14"}, failed=("x1: torn",))
    told = "\n".join(caveats(summarise(setup, COLD, cold_cells)))
    assert "Few seeds (1)" in told
    assert "1 of 10 cells are missing" in told
    assert "x1: torn" in told
    assert "differ in: torch" in told
    assert "Few test patients (2)" in told
