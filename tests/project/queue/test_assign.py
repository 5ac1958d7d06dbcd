"""Dealing scans to people: in turn, evenly, and some of them twice."""

from __future__ import annotations

import pytest

from coldal_tui.errors import UsageError
from coldal_tui.project.queue.assign import by_person, deal, people_of

NOBODY = dict.fromkeys(["s0", "s1", "s2", "s3", "s4"])


def test_scans_are_dealt_in_turn():
    assert list(deal(NOBODY, ("ana", "ben")).values()) == [
        ("ana",),
        ("ben",),
        ("ana",),
        ("ben",),
        ("ana",),
    ]


def test_who_was_named_before_keeps_the_scan_and_it_counts():
    shares = deal(NOBODY | {"s0": "ana", "s1": "ana"}, ("ana", "ben"))
    assert list(shares.values()) == [("ana",), ("ana",), ("ben",), ("ben",), ("ana",)]


def test_without_people_everything_stays():
    assert deal({"s0": None, "s1": "ana, ben"}) == {"s0": (), "s1": ("ana", "ben")}


def test_the_first_ones_go_to_two_people():
    shares = deal(NOBODY, ("ana", "ben"), overlap=2)
    assert shares["s0"] == ("ana", "ben")
    assert shares["s1"] == ("ben", "ana")
    assert {person: len(scans) for person, scans in by_person(shares).items()} == {
        "ana": 4,
        "ben": 3,
    }


def test_every_pair_of_three_is_compared():
    shares = deal(NOBODY, ("ana", "ben", "eva"), overlap=3)
    assert [set(shares[f"s{n}"]) for n in range(3)] == [
        {"ana", "ben"},
        {"ben", "eva"},
        {"eva", "ana"},
    ]


def test_a_scan_that_has_a_person_is_not_shared():
    shares = deal(NOBODY | {"s0": "eva"}, ("ana", "ben"), overlap=1)
    assert (shares["s0"], shares["s1"]) == (("eva",), ("ana", "ben"))


@pytest.mark.parametrize("people", [(), ("ana",), ("ana", "ana")])
def test_an_overlap_needs_two(people):
    with pytest.raises(UsageError) as caught:
        deal(NOBODY, people, overlap=1)
    assert caught.value.code == "overlap"


def test_more_overlap_than_scans_shares_them_all():
    assert deal({"s0": None}, ("ana", "ben"), overlap=5) == {"s0": ("ana", "ben")}


def test_names_are_read_from_an_assignee():
    assert people_of(" ana ,ben,,ana") == ("ana", "ben")
    assert people_of(None) == ()
