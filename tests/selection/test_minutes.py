"""Picks by S per minute: those of a plain loop, and the plain picks where minutes are equal."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.minutes_words import fitting, interval_words, minutes_words
from coldal_tui.selection.acquisition import entropy_diversity
from coldal_tui.selection.needs import BY_MINUTES
from coldal_tui.selection.pool import Pool
from coldal_tui.selection.shortcuts import buckets
from coldal_tui.selection.strategies import strategy


def plainly(
    points: list[list[float]],
    covered: list[int],
    entropy: list[float],
    minutes: list[float],
    batch: int,
    alpha: float,
) -> list[tuple[int, float, float]]:
    """Scan, S and S per minute of each pick, by loops."""
    left = [n for n in range(len(points)) if n not in covered]
    near = list(covered)
    low, high = min(entropy[n] for n in left), max(entropy[n] for n in left)
    found = []
    for _ in range(batch):
        gaps = {n: min(math.dist(points[n], points[m]) for m in near) for n in left}
        largest = max(gaps.values())
        best, most, score = -1, -math.inf, 0.0
        for n in left:
            h = (entropy[n] - low) / (high - low)
            s = alpha * h + (1 - alpha) * (gaps[n] / largest if largest else 0.0)
            if s / minutes[n] > most:
                best, most, score = n, s / minutes[n], s
        found.append((best, score, most))
        left.remove(best)
        near.append(best)
    return found


def scene(seed: int, count: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    points = chance.normal(size=(count, 2))
    covered = np.zeros(count, np.bool_)
    covered[chance.choice(count, 4, replace=False)] = True
    return points, covered, chance.random(count), chance.lognormal(2.0, 0.6, count)


def pool(seed: int, *, minutes: bool = True, count: int = 40) -> Pool:
    points, covered, entropy, took = scene(seed, count)
    return Pool(
        points=points,
        clusters=np.zeros(count, np.int64),
        candidate=~covered,
        covered=covered,
        labelled=covered,
        entropy=entropy,
        bald=entropy / 2,
        foreground_entropy=entropy**2,
        boundary_entropy=1 - entropy,
        minutes=took if minutes else None,
    )


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_picks_are_those_of_a_plain_loop(seed: int, alpha: float) -> None:
    points, covered, entropy, minutes = scene(seed)
    wanted = plainly(
        points.tolist(), np.flatnonzero(covered).tolist(), entropy.tolist(), minutes.tolist(),
        12, alpha,
    )  # fmt: skip
    found = entropy_diversity(points, ~covered, covered, entropy, 12, alpha, minutes=minutes)
    assert [one.index for one in found] == [index for index, _, _ in wanted]
    for one, (index, score, rate) in zip(found, wanted, strict=True):
        assert one.score == pytest.approx(score)
        terms = one.terms(alpha)
        assert terms["minutes"] == minutes[index]
        assert terms["per_minute"] == pytest.approx(rate)


def test_equal_minutes_change_no_pick() -> None:
    points, covered, entropy, _ = scene(7)
    plain = entropy_diversity(points, ~covered, covered, entropy, 15, 0.5)
    even = entropy_diversity(
        points, ~covered, covered, entropy, 15, 0.5, minutes=np.full(len(points), 8.0)
    )
    assert [replace(one, minutes=None) for one in even] == plain


def test_many_candidates_are_weighed_like_few() -> None:
    """Above the size from which groups are skipped, minutes still decide."""
    count = buckets.WORTH + 50
    chance = np.random.default_rng(3)
    points = chance.normal(size=(count, 2))
    covered = np.zeros(count, np.bool_)
    covered[0] = True
    minutes = np.full(count, 10.0)
    minutes[17] = 0.01
    found = entropy_diversity(
        points, ~covered, covered, chance.random(count), 1, 0.5, minutes=minutes
    )
    assert found[0].index == 17


def test_a_short_scan_goes_before_a_better_one_that_takes_long() -> None:
    """H̃ is 1 and 0.6: at 30 and 10 minutes, 0.033 against 0.06 per minute."""
    points = np.zeros((4, 2))
    points[:, 0] = [0, 1, 1, 1]
    covered = np.array([True, False, False, False])
    entropy = np.array([0.0, 1.0, 0.6, 0.0])
    found = entropy_diversity(
        points, ~covered, covered, entropy, 2, 1.0, minutes=np.array([1.0, 30.0, 10.0, 1.0])
    )
    assert [(one.index, round(one.score, 6)) for one in found] == [(2, 0.6), (1, 1.0)]


@pytest.mark.parametrize("name", [name for name in BY_MINUTES if not name.endswith("diversity")])
def test_strategies_of_one_number_are_sorted_by_it_per_minute(name: str) -> None:
    of = pool(11)
    values = {
        "entropy": None,
        "entropy-foreground": of.foreground_entropy,
        "entropy-boundary": of.boundary_entropy,
        "bald": of.bald,
    }[name]
    raw = of.entropy if values is None else values
    assert raw is not None
    assert of.minutes is not None
    there = np.flatnonzero(of.candidate)
    low, high = raw[there].min(), raw[there].max()
    worth = (raw - low) / (high - low) if values is None else raw
    wanted = sorted(there.tolist(), key=lambda n: -worth[n] / of.minutes[n])[:6]
    picks = strategy(name)(of, 6)
    assert [one.index for one in picks] == wanted
    assert [one.terms["minutes"] for one in picks] == [of.minutes[n] for n in wanted]


@pytest.mark.parametrize("name", ["random", "power-entropy"])
def test_minutes_have_no_say_in_other_strategies(name: str) -> None:
    with_minutes = strategy(name)(pool(5), 8, seed=2)
    assert with_minutes == strategy(name)(pool(5, minutes=False), 8, seed=2)


def test_a_pool_refuses_minutes_that_are_not_above_0() -> None:
    with pytest.raises(ColdalError, match="not above 0"):
        replace(pool(1), minutes=np.zeros(40))


def test_a_round_ends_before_the_first_scan_that_does_not_fit() -> None:
    assert fitting([10, 20, 30, 1], 60) == 3
    assert fitting([10, 20, 31, 1], 60) == 2
    assert fitting([0.1] * 3, 0.3) == 3
    assert fitting([5], 4) == 0


def test_minutes_in_words() -> None:
    assert [minutes_words(m) for m in (0.96, 1.0, 9.94, 9.96, 1234.4)] == [
        "1 minute", "1 minute", "9.9 minutes", "10 minutes", "1,234 minutes",
    ]  # fmt: skip
    assert interval_words(4.04, 110.4) == "90 % 4 to 110"
