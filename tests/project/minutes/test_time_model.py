"""The model of labelling times: worked-out values, and intervals that hold out of sample."""

from __future__ import annotations

import math
import random

import pytest

from coldal_tui.project.minutes.time_model import (
    Size,
    Timed,
    TimeModel,
    default_minutes,
    fit,
)

PICTURE = Size(1000)


def test_the_slices_of_a_volume_lie_along_its_widest_spacing():
    assert Size.of([60, 90]) == Size(5400, 1)
    assert Size.of([10, 20, 30], [5.0, 1.0, 1.0]) == Size(6000, 10)
    assert Size.of([10, 20, 30], [1.0, 1.0, 1.0]) == Size(6000, 30)
    assert Size.of([10, 20, 30]) == Size(6000, 30)


def test_the_default_goes_by_slices_and_classes():
    assert default_minutes(PICTURE) == 3
    assert default_minutes(PICTURE, 3) == 6
    assert default_minutes(Size(1000, 8)) == pytest.approx(12)
    assert default_minutes(Size(1000, 27), 2) == pytest.approx(3 * 9 * 1.5)
    assert default_minutes(Size(1000, 27), 2, 40) == 40


def test_without_a_drawing_it_is_the_default_and_wide():
    model = fit([])
    assert model.minutes(PICTURE, 2) == 4.5
    assert fit([], 7).minutes(Size(1000, 9)) == 7
    # One scan: ln(1 + (e^0.25 - 1) + (e^1 - 1)) = ln 3.0023072 = 1.0993810, its root 1.0485138.
    total = model.total([10.0])
    assert (total.scans, total.minutes) == (1, 10)
    assert total.low == pytest.approx(10 * math.exp(-0.5496905 - 1.6448536 * 1.0485138), rel=1e-5)
    assert total.high == pytest.approx(10 * math.exp(-0.5496905 + 1.6448536 * 1.0485138), rel=1e-5)
    assert model.total([]).high == 0


def test_one_drawing_moves_the_default_by_four_fifths():
    model = fit([Timed(PICTURE, 12.0)])
    assert model.level == pytest.approx(0.8 * math.log(4))
    # Left over: 0.2 ln 4 = 0.277259; times 1.4826 and squared: 0.168973; (4 · 0.25 + that) / 5.
    assert model.spread**2 == pytest.approx(0.2337946, rel=1e-6)
    # Of the median 1 / (1 + 1 / (1.5707963 · 0.2337946)), of the spread 1.36 · 0.2337946² / 5.
    assert model.level_sd**2 == pytest.approx(0.2686035 + 0.0148674, rel=1e-5)
    assert model.minutes(PICTURE) == pytest.approx(
        3 * 4**0.8 * math.exp(0.8 * 0.2337946 / 2), rel=1e-6
    )


def test_people_are_told_apart_and_shrunk():
    """ana takes 6 minutes, ben 24: the median ratio is 2 (of 2, 2, 2, 8, 8)."""
    drawn = [Timed(PICTURE, 6.0, "ana")] * 3 + [Timed(PICTURE, 24.0, "ben")] * 2
    model = fit(drawn)
    level = 5 / 5.25 * math.log(2)
    assert model.level == pytest.approx(level)
    assert model.people["ana"] == pytest.approx(3 / 5 * (math.log(2) - level))
    assert model.people["ben"] == pytest.approx(2 / 4 * (math.log(8) - level))
    assert model.minutes(PICTURE, 1, "ben") > 1.9 * model.minutes(PICTURE, 1, "ana")
    assert model.minutes(PICTURE, 1, "carla") == model.minutes(PICTURE)


def test_a_slip_of_the_clock_moves_little():
    honest = [Timed(PICTURE, 5.0 + 0.1 * n) for n in range(9)]
    plain, slipped = fit(honest), fit([*honest, Timed(PICTURE, 6000.0)])
    assert slipped.minutes(PICTURE) == pytest.approx(plain.minutes(PICTURE), rel=0.05)


def test_drawings_of_no_minutes_say_nothing():
    assert fit([Timed(PICTURE, 0.0)]) == fit([])


def test_the_slope_is_that_of_pairs_of_one_person_shrunk_by_half_at_ten():
    """Minutes grow with the square root of the pixels: the slope is 0.5, times 10 / (10 + 10)."""
    drawn = [Timed(Size(1000 * 4**n), 3.0 * 2**n, "ana") for n in range(5)]
    other = [Timed(Size(1000 * 4**n), 30.0 * 2**n, "ben") for n in range(5)]
    assert fit(drawn).slope == 0
    model = fit(drawn + other)
    assert model.slope == pytest.approx(0.25)
    assert model.centre == pytest.approx(math.log(16000))
    assert model.minutes(Size(64000)) / model.minutes(Size(16000)) == pytest.approx(4**0.25)


def test_sizes_that_hardly_differ_have_no_slope():
    drawn = [Timed(Size(1000 + 10 * n), 3.0 + n) for n in range(20)]
    assert fit(drawn).slope == 0


def test_a_common_error_does_not_average_out():
    model = TimeModel(drawings=4, spread=0.5, level_sd=0.2)
    hundred = model.total([1.0] * 100)
    # Variance: 100 (e^0.25 - 1) + 100² (e^0.04 - 1), over 100²: 0.0284025 + 0.0408108 / 1.
    log_variance = math.log(1 + 0.00284025 + 0.04081077)
    assert hundred.high == pytest.approx(
        100 * math.exp(-log_variance / 2 + 1.6448536 * math.sqrt(log_variance)), rel=1e-5
    )


@pytest.mark.parametrize(("drawings", "own"), [(4, 0.3), (12, 0.5), (40, 0.8)])
def test_intervals_hold_in_nine_of_ten_projects_out_of_sample(drawings: int, own: float):
    """The next 15 scans of a project take, in sum, what the interval says; few drawings: wider."""
    chance = random.Random(drawings)
    held, ratios = 0, []
    for _ in range(400):
        typical = 3 * math.exp(chance.gauss(0, 0.8))
        take = [typical * math.exp(chance.gauss(0, own)) for _ in range(drawings + 15)]
        model = fit([Timed(PICTURE, minutes) for minutes in take[:drawings]])
        total = model.total([model.minutes(PICTURE)] * 15)
        held += total.low <= sum(take[drawings:]) <= total.high
        ratios.append(math.log(total.minutes / sum(take[drawings:])))
    assert 0.85 <= held / 400 <= 0.985
    assert abs(sum(ratios) / 400) < 0.08


def test_intervals_hold_where_nobody_knows_who_of_three_will_draw():
    """People differ by a factor of about 1.4; fifteen drawings are known, fifteen are to come."""
    chance = random.Random(9)
    held = 0
    for _ in range(400):
        typical = 3 * math.exp(chance.gauss(0, 0.8))
        people = {name: math.exp(chance.gauss(0, 0.35)) for name in "abc"}
        who = [chance.choice("abc") for _ in range(30)]
        take = [typical * people[name] * math.exp(chance.gauss(0, 0.5)) for name in who]
        model = fit(
            [Timed(PICTURE, took, name) for took, name in zip(take[:15], who[:15], strict=True)]
        )
        total = model.total([model.minutes(PICTURE)] * 15)
        held += total.low <= sum(take[15:]) <= total.high
    assert 0.82 <= held / 400 <= 0.97
