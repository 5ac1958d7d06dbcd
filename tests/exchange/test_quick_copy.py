"""A quick copy is what ``dataclasses.replace`` makes, for the classes that it is used on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from coldal_tui.exchange.candidate import Candidate
from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.exchange.quick_copy import changed


def _load() -> None:
    pass


@pytest.mark.parametrize(
    ("one", "fields"),
    [
        (Candidate(Path("a.png"), "a", "mask", _load), {"load": print}),
        (Verdict("accepted", Path("a.png"), notes=("x",)), {"stored": 3, "label": None}),
    ],
    ids=["candidate", "verdict"],
)
def test_it_equals_a_replacement_and_leaves_the_first_alone(one, fields) -> None:
    before = vars(one).copy()
    copied = changed(one, **fields)
    assert type(copied) is type(one)
    assert vars(copied) == vars(replace(one, **fields))
    assert vars(one) == before
    assert not hasattr(type(one), "__post_init__")
