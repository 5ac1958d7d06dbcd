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


@pytest.mark.parametrize("seed", range(5))
def test_scans_of_two_people_are_spread_over_the_queue(seed):
    """One of each third of the ranks, and nobody has two scans more than anybody else."""
    scans = [f"s{n}" for n in range(30)]
    shares = deal(dict.fromkeys(scans), ("ana", "ben"), overlap=3, seed=seed)
    assert shares == deal(dict.fromkeys(scans), ("ana", "ben"), overlap=3, seed=seed)
    shared = [n for n, scan in enumerate(scans) if len(shares[scan]) == 2]
    assert [n // 10 for n in shared] == [0, 1, 2]
    loads = sorted(len(own) for own in by_person(shares).values())
    assert loads == [16, 17]


def test_another_seed_shares_other_scans():
    scans = dict.fromkeys(f"s{n}" for n in range(30))
    found = {
        tuple(s for s, who in deal(scans, ("a", "b"), 3, seed=seed).items() if len(who) > 1)
        for seed in range(5)
    }
    assert len(found) == 5


@pytest.mark.parametrize("each", [2, 3])
def test_any_number_of_people_share_evenly(each):
    people = ("ana", "ben", "eva", "joe")
    scans = dict.fromkeys(f"s{n:02d}" for n in range(40))
    shares = deal(scans, people, overlap=12, each=each, seed=3)
    shared = [who for who in shares.values() if len(who) > 1]
    assert [len(set(who)) for who in shared] == [each] * 12
    loads = [len(own) for own in by_person(shares).values()]
    assert max(loads) - min(loads) <= 1
    # Everybody is compared with everybody else.
    pairs = {frozenset((a, b)) for who in shared for a in who for b in who if a != b}
    assert len(pairs) == 6


def test_a_scan_that_has_a_person_is_not_shared():
    shares = deal(NOBODY | {"s0": "eva"}, ("ana", "ben"), overlap=4)
    assert shares["s0"] == ("eva",)
    assert {len(shares[f"s{n}"]) for n in range(1, 5)} == {2}


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
