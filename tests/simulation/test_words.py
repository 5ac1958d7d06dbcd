"""The answer in words never says more than its interval."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from coldal_tui.simulation.design import CellId
from coldal_tui.simulation.results import summarise
from coldal_tui.simulation.words import (
    answers,
    caveats,
    difference_words,
    headlines,
    is_clear,
    needed_words,
    p_words,
    signed,
    with_interval,
)
from tests.support.replayed import COLD


def group_of(low: float, high: float, verdict: str, seeds: int = 5, **point: Any) -> dict[str, Any]:
    gap = {"mean": (low + high) / 2, "low": low, "high": high, "p": 0.004, "verdict": verdict}
    at = {"labels": 12, "minus_random": gap} | point
    arms = [
        {"arm": "kmeans", "aubc": {"minus_random": gap}, "points": [at]},
        {"arm": "random", "aubc": {}, "points": []},
    ]
    return {
        "groups": {
            "cold": {
                "labels": [10, 20],
                "compared": [10, 20],
                "seeds": list(range(seeds)),
                "test_patients": 61,
                "arms": arms,
                "visible": {"now": 0.012, "seeds": {"5": 0.012, "10": 0.008, "20": 0.006}},
            }
        }
    }


@pytest.mark.parametrize(
    ("group", "clear"),
    [
        (group_of(0.01, 0.03, "better"), True),
        (group_of(-0.03, -0.01, "worse"), False),
        (group_of(-0.002, 0.030, "undecided"), False),
        (group_of(-0.008, 0.009, "undecided"), True),
        (group_of(-0.008, 0.010, "undecided"), False),
    ],
)
def test_an_answer_is_clear_with_a_lead_or_a_small_bound(
    group: dict[str, Any], clear: bool
) -> None:
    assert is_clear(group) is clear


def test_both_comparisons_must_be_clear() -> None:
    both = {
        "groups": {
            n: group_of(*ends)["groups"]["cold"]
            for n, ends in enumerate([(0.01, 0.03, "better"), (-0.02, 0.03, "undecided")])
        }
    }
    assert not is_clear(both)
    assert not is_clear({"groups": {}})


def test_a_lead_is_told_with_its_interval_and_what_it_rests_on() -> None:
    (found,) = answers(group_of(0.004, 0.020, "better"))
    assert (found["group"], found["arm"], found["verdict"]) == ("cold", "kmeans", "better")
    assert found["text"] == (
        "kmeans against random (the first queue, 10 to 20 labels): better. Dice averaged over "
        "these label counts differs by +0.012 (95 % interval +0.004 to +0.020; p = 0.004; "
        "5 seeds, 61 test patients)."
    )


def test_what_is_undecided_has_a_bound() -> None:
    (found,) = answers(group_of(-0.006, 0.014, "undecided"))
    assert "a change of less than 0.014 either way. " in found["text"]
    assert "95 % interval −0.006 to +0.014" in found["text"]
    assert "better" not in found["text"]


def test_a_loss_is_told_as_one() -> None:
    (found,) = answers(group_of(-0.03, -0.01, "worse"))
    assert "(the first queue, 10 to 20 labels): worse. " in found["text"]


def test_one_seed_gives_its_numbers_and_no_verdict() -> None:
    results = group_of(0.01, 0.03, "undecided", seeds=1)
    (found,) = answers(results)
    assert "differs by +0.020 (95 % interval +0.010 to +0.030, over test patients" in found["text"]
    assert headlines(results)[0].startswith("One seed (the first queue, 10 to 20 labels)")


def test_the_headline_of_scans_that_look_alike() -> None:
    assert headlines(group_of(-0.002, 0.0049, "undecided", seeds=20)) == [
        "These scans look alike (the first queue, 10 to 20 labels): choosing changes Dice by less "
        "than 0.005 (20 seeds). Label in random order over many patients."
    ]


def test_the_headline_of_too_few_seeds_says_what_more_would_show() -> None:
    assert headlines(group_of(-0.012, 0.03, "undecided")) == [
        "No strategy is shown to beat random here (the first queue, 10 to 20 labels): the best, "
        "kmeans, differs by +0.009 Dice (95 % interval −0.012 to +0.030; 5 seeds). With these "
        "scans, 5 seeds show a difference of 0.012 Dice; 10 seeds 0.008; 20 seeds 0.006 (four "
        "times in five)."
    ]


def test_the_headline_of_a_lead_says_which_labels_are_saved() -> None:
    needs = {"labels": 19.0, "low": 15.0, "high": 26.0, "most": 34, "least": 6}
    assert headlines(group_of(0.01, 0.03, "better", random_needs=needs)) == [
        "Yes (the first queue, 10 to 20 labels): kmeans beats random by +0.020 Dice (95 % interval "
        "+0.010 to +0.030; 5 seeds). kmeans reaches with 12 labels what random reaches with 19 "
        "(15 to 26): 37 % fewer."
    ]


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
    gap = {"mean": 0.01, "low": -0.002, "high": 0.02, "verdict": "undecided"}
    assert difference_words(gap) == "+0.010 [−0.002, +0.020]"
    assert difference_words(None) == ""


def test_labels_that_random_needs_are_more_than_the_most_where_it_never_got_there() -> None:
    needed = {"labels": 27.4, "low": 18.6, "high": None, "most": 40, "least": 6}
    assert needed_words(needed) == "27 [19, > 40]"
    assert needed_words(needed | {"low": 6, "high": 33.0}) == "27 [≤ 6, 33]"
    assert needed_words(None) == ""


def test_caveats_say_what_applies(setup, cold_cells, new_cell) -> None:
    del cold_cells[CellId(2, "cold", "random", 20)]
    id = CellId(1, "cold", "kmeans", 10)
    cold_cells[id] = new_cell(id, 0.75, made={"torch": "2.14"}, failed=("x1: torn",))
    told = "\n".join(caveats(summarise(setup, COLD, cold_cells)))
    assert "Few seeds (1)" in told
    assert "looked at" not in told
    thrice = msgspec.structs.replace(COLD, looks=3)
    assert "at most 3 times" in "\n".join(caveats(summarise(setup, thrice, cold_cells)))
    assert "1 of 10 cells are missing" in told
    assert "x1: torn" in told
    assert "differ in: torch" in told
    assert "Few test patients (2)" in told


def test_a_p_near_the_level_is_told_apart_from_it() -> None:
    assert [p_words(p) for p in (0.0004, 0.054, 0.123)] == ["< 0.001", "= 0.054", "= 0.12"]
