"""Numbers, shares, times and counts as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from textual.content import Content

from coldal_tui.tui.drawing.glyphs import ASCII, UNICODE
from coldal_tui.tui.drawing.styles import clock_time, day, duration, fitted, number, share

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "digits", "signed", "text"),
    [
        (0.9444, 2, False, "0.94"),
        (1234.56, 1, False, "1,234.6"),
        (None, 2, False, "–"),
        (-0.5, 1, True, "−0.5"),
        (0.5, 1, True, "+0.5"),
        (-0.0004, 3, True, "0.000"),
        (0.0, 2, True, "0.00"),
    ],
)
def test_numbers(value: float | None, digits: int, signed: bool, text: str) -> None:
    assert number(value, digits, UNICODE, signed=signed) == text


def test_numbers_of_plain_terminals() -> None:
    assert number(-1234.5, 1, ASCII) == "-1,234.5"


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0, "0 %"), (0.001, "1 %"), (0.554, "55 %"), (0.999, "99 %"), (1, "100 %"), (None, "–")],
)
def test_shares_are_whole_only_when_whole(fraction: float | None, text: str) -> None:
    assert share(fraction, UNICODE) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (8.4, "8 s"),
        (59.6, "1 m 00 s"),
        (200, "3 m 20 s"),
        (7500, "2 h 05 m"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_days_are_named_and_far_ones_dated() -> None:
    assert day(NOW + timedelta(days=11), NOW) == "Fri 4 Dec"
    assert day(NOW + timedelta(days=400), NOW) == "28 Dec 2027"


def test_days_are_those_of_the_reader() -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    assert day(datetime(2026, 12, 3, 20, tzinfo=UTC), tokyo) == "Fri 4 Dec"


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        ("2026-11-23T07:05:09+00:00", "07:05"),
        ("2026-11-22T23:05:09+00:00", "22 Nov 23:05"),
        ("2025-11-22T23:05:09+00:00", "2025-11-22"),
        (None, ""),
    ],
)
def test_times_are_as_short_as_they_can_be(stamp: str | None, text: str) -> None:
    assert clock_time(stamp, NOW) == text


def test_times_are_those_of_the_reader() -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    assert clock_time("2026-11-22T23:05:09+00:00", tokyo) == "08:05"


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abcd", 4, "abcd"),
        ("abcde", 4, "abc…"),
        ("日本語", 4, "日…"),
        ("abc", 1, "…"),
        ("a", 0, ""),
    ],
)
def test_what_is_too_long_ends_in_an_ellipsis(text: str, width: int, shown: str) -> None:
    assert fitted(Content(text), width, UNICODE).plain.replace(" …", "…") == shown
