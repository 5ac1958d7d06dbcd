"""How often a cluster is asked, and that nobody waits for its answer."""

from __future__ import annotations

import threading

import pytest

from coldal_launch.cluster_poll import LATEST_S, SOONEST_S, Asker
from coldal_tui.errors import ColdalError
from tests.support.playing import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Cluster:
    """Answers what it is told to, and counts the questions."""

    def __init__(self) -> None:
        self.says: object = "a"
        self.asked = 0

    def __call__(self) -> object:
        self.asked += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


def test_the_less_changes_the_less_often_it_is_asked(clock) -> None:
    cluster = Cluster()
    asker = Asker(cluster, clock)
    at = []
    for second in range(120):
        clock.now = float(second)
        before = cluster.asked
        asker.look()
        if cluster.asked > before:
            at.append(second)
    # After each answer that is as the one before, half as long again: 1, 1.5, 2.25, … 15 s.
    assert at == [0, 1, 3, 6, 10, 16, 24, 36, 51, 66, 81, 96, 111]
    assert (SOONEST_S, LATEST_S) == (1.0, 15.0)


def test_a_change_has_it_asked_soon_again(clock) -> None:
    cluster = Cluster()
    asker = Asker(cluster, clock)
    for clock.now in range(40):
        asker.look()
    cluster.says = "b"
    for clock.now in range(40, 60):
        asker.look()
    asked = cluster.asked
    assert asker.answer == "b"
    clock.now = 61.0
    cluster.says = "c"
    asker.soon()
    asker.look()
    assert (cluster.asked, asker.answer) == (asked + 1, "c")


def test_nobody_waits_for_a_slow_answer(clock) -> None:
    answered = threading.Event()

    def slow() -> str:
        answered.wait(30)
        return "late"

    asker = Asker(slow, clock)
    asker.look()
    assert (asker.answer, asker.silence, asker.asked_at) == (None, None, None)
    answered.set()
    clock.now = 5.0
    for _ in range(100):
        asker.look()
        if asker.answer:
            break
        threading.Event().wait(0.01)
    # What was asked for at 0 tells nothing of what happened at 3.
    assert (asker.answer, asker.asked_at, asker.knows_of(3.0)) == ("late", 0.0, False)


def test_of_a_silent_cluster_the_last_answer_is_kept(clock) -> None:
    cluster = Cluster()
    asker = Asker(cluster, clock)
    asker.look()
    cluster.says = ColdalError("silent")
    clock.now = 2.0
    asker.look()
    assert (asker.answer, str(asker.silence), asker.asked_at) == ("a", "silent", 0.0)
    cluster.says = "a"
    clock.now = 9.0
    asker.look()
    assert (asker.silence, asker.asked_at) == (None, 9.0)
