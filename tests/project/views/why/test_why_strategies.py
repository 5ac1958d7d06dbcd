"""What every registered strategy's picks say about themselves on the screen."""

from __future__ import annotations

import re

import numpy as np
import pytest

from coldal_tui.project.views.why.why_words import because
from coldal_tui.selection.pool import Pool, queue_row
from coldal_tui.selection.strategies import strategies, strategy

NAMES = [f"s{n:02d}" for n in range(40)]


def _pool(covered: int = 4) -> Pool:
    rng = np.random.default_rng(0)
    known = np.arange(40) < covered
    rows = np.repeat(np.eye(4, 6) * 4, 10, axis=0) + rng.normal(size=(40, 6)) / 3
    scores = rng.random(40)
    return Pool(
        rng.normal(size=(40, 2)),
        np.repeat(np.arange(4), 10),
        ~known,
        known,
        known,
        scores,
        rows,
        scores,
        scores[:, None],
        scores,
        scores,
        rows,
        round=1,
    )


def _said(name: str, *, batch: int = 6, covered: int = 4) -> list[list[str]]:
    found = []
    for pick in strategy(name)(_pool(covered), batch, seed=1):
        facts = queue_row(pick, NAMES) | {"status": "queued", "round": 1, "rank": 1}
        found.append(because(facts))
    return found


@pytest.mark.parametrize("name", [known.name for known in strategies()])
def test_no_pick_is_told_in_bare_terms(name: str) -> None:
    for said in _said(name):
        text = "; ".join(said)
        assert 1 <= len(said) <= 3
        assert "_" not in text
        assert not re.search(r"\d\.\d{4}", text), text
        assert not text.startswith("step")


def test_kmeans_names_its_group() -> None:
    nearest, group = _said("kmeans", batch=4, covered=0)[0]
    assert re.fullmatch(r"the nearest to the middle of its group \(0\.\d\d away\)", nearest)
    assert group == "a group of 10 scans, of which none had been picked before"


def test_core_set_names_what_it_is_far_from() -> None:
    assert re.fullmatch(
        r"of all scans the farthest from what was picked before \(1\.\d\d from s\d\d\)",
        _said("k-center")[0][0],
    )


def test_core_set_says_where_it_began() -> None:
    first = _said("k-center", covered=0)[0]
    assert first[0].startswith("the nearest to the middle of all scans")


def test_probcover_says_what_a_scan_stands_for_and_when_all_is_covered() -> None:
    said = _said("probcover", batch=30)
    assert said[0][0].startswith("stands for ")
    assert said[-1][0].startswith("every scan is covered; this one is farthest")


def test_power_noise_is_told_as_a_lot() -> None:
    (first, *_) = _said("power-entropy")
    assert re.fullmatch(r"uncertain \(H 0\.\d\d\)", first[0])
    assert first[1].startswith("drawn by lot in proportion to that (β 1, noise +")
