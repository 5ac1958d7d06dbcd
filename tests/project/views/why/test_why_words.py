"""Reasons in words: every role, every state, numbers as the queue shows them."""

from __future__ import annotations

from typing import Any

import pytest

from coldal_tui.project.views.why.why_words import because, details, ordinal, place, term

ACQUIRED = {
    "step": 4,
    "alpha": 0.5,
    "score": 0.725,
    "entropy_term": 0.81,
    "diversity_term": 0.64,
    "nearest": "t",
    "distance": 1.5,
    "runner_up": "u",
    "runner_up_score": 0.705,
}
STANDING = {
    "cluster": 2,
    "cluster_size": 612,
    "entropy_place": 2,
    "entropy_of": 612,
    "nearest_labelled": {"scan_id": "p0033_s1", "distance": 3.2, "cluster": 2},
    "prospect": None,
}


def facts(role: str, terms: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "scan_id": "p0412_s2",
        "status": "queued",
        "round": 1,
        "rank": 1,
        "role": role,
        "cluster": 2,
        "terms": terms,
        "selection": None,
        "reason": None,
        "replaced_by": None,
        "standing": STANDING,
    } | more


def test_an_acquired_scan_as_on_the_home_screen() -> None:
    assert " · ".join(because(facts("acquired", ACQUIRED))) == (
        "among the most uncertain of C3 (H .81, 2nd of 612) and far from labels (D .64; nearest "
        "labelled p0033_s1, C3) · beat u by .02"
    )


def said(terms: dict[str, Any], **standing: Any) -> str:
    return because(facts("acquired", ACQUIRED | terms, standing=STANDING | standing))[0]


def test_the_most_uncertain_is_called_so() -> None:
    assert said({}, entropy_place=1).startswith("the most uncertain of C3 (H .81, 1st of 612) and")


def test_what_weighs_more_comes_first_where_they_differ() -> None:
    assert said({"entropy_term": 0.1}, entropy_place=300) == (
        "far from labels (D .64; nearest labelled p0033_s1, C3) though rather sure in C3 "
        "(H .10, 300th of 612)"
    )
    assert said({"diversity_term": 0.1}, entropy_place=40) == (
        "uncertain in C3 (H .81, 40th of 612) though near labels (D .10; nearest labelled "
        "p0033_s1, C3)"
    )


def test_alpha_at_its_ends_tells_of_one_thing_alone() -> None:
    assert said({"alpha": 1.0}) == "among the most uncertain of C3 (H .81, 2nd of 612)"
    assert said({"alpha": 0.0}) == "far from labels (D .64; nearest labelled p0033_s1, C3)"


def test_before_any_label_the_nearest_pick_is_named() -> None:
    assert said({}, nearest_labelled=None).endswith("far from what is picked (D .64; nearest t)")


def test_a_hair_is_called_a_hair() -> None:
    told = because(facts("acquired", ACQUIRED | {"runner_up_score": 0.7249}))
    assert told[1] == "beat u by less than .01"


ROLES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "medoid": (
        "medoid",
        {"cluster_size": 1201, "summed_distance": 3600.0},
        ["the middle of C3: of its 1,201 scans the one nearest to all others (3.0 on average)"],
    ),
    "medoid of itself": (
        "medoid",
        {"cluster_size": 1, "summed_distance": 0.0},
        ["the middle of C3: of its 1 scans the one nearest to all others"],
    ),
    "farthest point": (
        "farthest-point",
        {"distance": 2.5, "nearest": "t", "order": 2, "places": 5, "quota": 4.75},
        [
            "the farthest in C3 from what was picked before (2.50 from t)",
            "number 2 of the 5 places that C3 gets by its size (quota 4.75)",
        ],
    ),
    "first of a cluster": (
        "farthest-point",
        {"distance": 0.0, "nearest": None, "order": 1, "places": 1},
        ["the first of C3", "number 1 of the 1 places that C3 gets"],
    ),
    "random": ("random", {"seed": 9}, ["drawn at random (seed 9)"]),
    "random by skipping": (
        "random",
        {"replaces": "r"},
        ["drawn at random", "took the place of r, which was skipped"],
    ),
    "validation": (
        "validation",
        {},
        ["drawn at random for the frozen validation set; it never trains"],
    ),
    "manual": ("manual", {}, ["nobody queued it: its mask came by itself"]),
    "a strategy of a plug-in": ("novel", {"margin": 0.2}, ["margin 0.2"]),
}


@pytest.mark.parametrize("case", ROLES)
def test_roles(case: str) -> None:
    role, terms, wanted = ROLES[case]
    assert because(facts(role, terms)) == wanted


def test_a_skipped_scan_says_why_and_who_follows() -> None:
    told = because(facts("manual", {}, status="skipped", reason="motion", replaced_by="t"))
    assert told[0] == "skipped (motion); t took its place"


PROSPECT = {
    "alpha": 0.5,
    "score": 0.32,
    "entropy_term": 0.25,
    "diversity_term": 0.4,
    "place": 81,
    "candidates": 1143,
    "batch": 5,
    "step": None,
    "against": "q",
    "short_by": 0.3,
    "entropy_needed": 0.85,
    "nearest": {"scan_id": "c", "distance": 1.0, "cluster": 2},
}


def candidate(**more: Any) -> list[str]:
    return because(
        {
            "scan_id": "s",
            "status": "candidate: not picked yet",
            "standing": STANDING | {"prospect": PROSPECT | more},
        }
    )


def test_a_candidate_is_told_its_place_and_what_it_would_need() -> None:
    assert candidate() == [
        "not picked yet: 81st of 1,143 candidates (S .32: H .25, D .40 from c)",
        "q is ahead by .30; an H of .85 would bring it into the next 5",
    ]


NEEDS: dict[str, tuple[dict[str, Any], str]] = {
    "its turn": ({"step": 2}, "it would be pick 2 of the next 5"),
    "nothing helps": (
        {"entropy_needed": None},
        "q is ahead by .30; no H would bring it into the next 5 so near to what is covered",
    ),
    "diversity alone": ({"alpha": 0.0}, "q is ahead by .30 in the next 5"),
    "not scored": ({"entropy_term": None}, "without an entropy it is passed over"),
    "a hair": (
        {"short_by": 0.0001, "entropy_needed": 0.2502},
        "q is ahead by .01; an H of .26 would bring it into the next 5",
    ),
}


@pytest.mark.parametrize("case", NEEDS)
def test_what_a_candidate_would_need(case: str) -> None:
    more, wanted = NEEDS[case]
    assert candidate(**more)[1] == wanted


def test_before_the_first_run_there_is_only_distance() -> None:
    assert candidate(alpha=0.0, entropy_term=None) == [
        "not picked yet: 81st of 1,143 by its distance from c (D .40)",
        "no run has scored it yet",
    ]


def test_what_is_no_candidate_says_why() -> None:
    status = "not a candidate: excluded (dark)"
    assert because({"scan_id": "s", "status": status, "standing": None}) == [status]


def test_place_names_how_the_round_was_picked() -> None:
    selection = {"strategy": "x", "seed": 5, "map_id": 1, "run_id": "run-001"}
    told = place(facts("acquired", ACQUIRED, selection=selection))
    assert told == ("round 1, rank 1, acquired of C3; strategy x, seed 5, map 1, run run-001")


def test_details_are_the_numbers() -> None:
    more = {"entropies": [{"run_id": "run-001", "entropy": 0.2}], "assignee": "ana", "label": None}
    more |= {"patient_id": "P1", "path": "/i/s.png"}
    assert details(facts("acquired", ACQUIRED, **more)) == [
        "S .72 = .50 × H .81 + .50 × D .64, at step 4",
        "nearest labelled, queued or picked scan then: t, 1.50 away on the map",
        "chosen over u (S .70)",
        "nearest labelled scan now: p0033_s1 of C3, 3.20 away",
        "entropy by run-001: 0.2000",
        "assigned to ana",
        "patient P1, file /i/s.png",
    ]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.814, ".81"), (1.0, "1.00"), (0.0, ".00"), (0.996, "1.00"), (None, "–")]
)
def test_term(value: float | None, shown: str) -> None:
    assert term(value) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(1, "1st"), (2, "2nd"), (4, "4th"), (11, "11th"), (113, "113th"), (1203, "1,203rd")],
)
def test_ordinal(number: int, shown: str) -> None:
    assert ordinal(number) == shown
