"""How fast labels come in, with a clock that is given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from coldal_tui.project.project import Project
from coldal_tui.project.views.pace import LabelTimes, Pace, pace, read_label_times

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def times(*days_before_noon: float, began: float | None = None) -> LabelTimes:
    found = tuple(sorted(NOON - timedelta(days=days) for days in days_before_noon))
    return LabelTimes(found[0] if began is None else NOON - timedelta(days=began), found)


def test_labels_of_the_last_week_count() -> None:
    # 14 in the last 7 days; the 100 before that don't matter.
    known = times(*[20] * 100, *[n / 2 for n in range(14)])
    assert pace(known, 10, NOON) == Pace(2.0, NOON + timedelta(days=5))


def test_a_short_history_counts_from_the_first_export() -> None:
    # 8 labels came back at once, 2 days ago; they had been out for 2 days.
    assert pace(times(*[2] * 8, began=4), 4, NOON) == Pace(2.0, NOON + timedelta(days=2))


def test_less_than_a_day_counts_as_a_day() -> None:
    known = times(*[0.05] * 6, began=0.25)
    assert pace(known, 12, NOON) == Pace(6.0, NOON + timedelta(days=2))


def test_a_first_batch_that_came_at_once_tells_no_pace() -> None:
    assert pace(times(*[0.5] * 20), 10, NOON) is None


def test_half_an_hour_tells_no_pace() -> None:
    assert pace(times(0.3, 0.28, began=0.3), 10, NOON) is None


def test_two_days_tell_a_pace_however_close() -> None:
    midnight = datetime(2026, 11, 20, tzinfo=UTC)
    close = (midnight - timedelta(minutes=5), midnight + timedelta(minutes=5))
    assert pace(LabelTimes(close[0], close), 2, NOON) is not None


def test_days_are_those_of_the_reader() -> None:
    """The same two moments are one day in London and two in Tokyo."""
    moments = tuple(datetime(2026, 11, 19, 14, minute, tzinfo=UTC) for minute in (50, 59))
    late = (*moments, datetime(2026, 11, 19, 15, 1, tzinfo=UTC))
    known = LabelTimes(late[0], late)
    assert pace(known, 2, NOON) is None
    assert pace(known, 2, NOON.astimezone(timezone(timedelta(hours=9)))) is not None


def test_no_label_lately_has_no_end() -> None:
    assert pace(times(30, 20), 5, NOON) == Pace(0.0, None)


def test_an_end_beyond_the_calendar_is_no_end() -> None:
    known = times(6, 1)
    assert pace(known, 10**8, NOON) == Pace(2 / 6, None)


def add_label(project: Project, scan_id: str, version: int, at: str, state: str = "active") -> None:
    project.store.insert(
        "labels",
        scan_id=scan_id,
        version=version,
        file="",
        sha256="",
        state=state,
        role="medoid",
        source="",
        source_sha256="",
        format="",
        geometry={},
        notes=[],
        voxels={},
        created_at=at,
    )


def test_a_corrected_label_counts_once_when_it_first_came(lab: Any) -> None:
    lab.pictures("a", "b")
    project = lab.start()
    add_label(project, "a", 1, "2026-11-01T10:00:00+00:00", "replaced")
    add_label(project, "a", 2, "2026-11-05T10:00:00+00:00")
    add_label(project, "b", 1, "2026-11-02T10:00:00+00:00")
    found = read_label_times(project)
    first = datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert found == LabelTimes(first, (first, datetime(2026, 11, 2, 10, tzinfo=UTC)))


def test_a_label_that_was_taken_back_does_not_count(lab: Any) -> None:
    lab.pictures("a")
    project = lab.start()
    add_label(project, "a", 1, "2026-11-01T10:00:00+00:00", "rejected")
    assert read_label_times(project) is None


def test_labeling_began_with_the_first_export(lab: Any) -> None:
    lab.pictures("a")
    project = lab.start()
    for at in ("2026-10-30T10:00:00+00:00", "2026-10-31T10:00:00+00:00"):
        project.store.insert(
            "exports", folder="", format="", scans=[], manifest_sha256="", created_at=at
        )
    add_label(project, "a", 1, "2026-11-01T10:00:00+00:00")
    found = read_label_times(project)
    assert found is not None
    assert found.began == datetime(2026, 10, 30, 10, tzinfo=UTC)


def test_minutes_have_a_pace_and_end_the_budget_where_they_are_spent_first() -> None:
    """Four labels of 30 minutes in 2 days: 60 minutes a day; 90 are left, and 8 scans."""
    plain = times(2, 1.5, 1, 0.5, began=2)
    known = LabelTimes(plain.began, plain.times, tuple((at, 30.0) for at in plain.times))
    assert pace(known, 8, NOON) == Pace(2.0, NOON + timedelta(days=4), 60.0)
    assert pace(known, 8, NOON, 90.0) == Pace(2.0, NOON + timedelta(days=1.5), 60.0)
    assert pace(known, 2, NOON, 90.0) == Pace(2.0, NOON + timedelta(days=1), 60.0)
