"""A moment of fuzzing with a fixed seed, without coverage; ``make soak`` does it for minutes."""

from __future__ import annotations

import random

import pytest

from tests.faults.fuzzing import TARGETS, call, inputs, mutated

ROUNDS = 60


@pytest.mark.parametrize("name", TARGETS)
def test_good_inputs_are_taken(name: str) -> None:
    """No seed is refused at the door: mutations of one that is would try nothing."""
    target = TARGETS[name]
    for seed in target.seeds():
        target.call(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_inputs_are_refused_and_break_nothing(name: str) -> None:
    rng = random.Random(name)
    known = inputs(name)
    for data in known:
        call(name, data)
    for _ in range(ROUNDS):
        data = mutated(rng.choice(known), known, rng)
        try:
            call(name, data)
        except Exception as error:
            raise AssertionError(f"{name} on {data!r}") from error
