"""Labels per day, and when the budget will be spent at that rate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from coldal_tui.project.labels.raters.drawing_times import read_drawing_times
from coldal_tui.project.project import Project

WINDOW = timedelta(days=7)
DAY = timedelta(days=1)
ENOUGH = timedelta(hours=1)


@dataclass(frozen=True)
class LabelTimes:
    """The times of each scan's first label, in order, and the start of labeling.

    ``began`` is the first export or the first label, whichever came first.
    """

    began: datetime
    times: tuple[datetime, ...]
    minutes: tuple[tuple[datetime, float], ...] = ()
    """When each drawing came whose minutes are known, and these."""


@dataclass(frozen=True)
class Pace:
    """Labels per day over the last days; ``spent_at`` is None without recent labels."""

    per_day: float
    spent_at: datetime | None
    minutes_per_day: float | None = None


def read_label_times(project: Project) -> LabelTimes | None:
    """None before the first label. A corrected label counts once, at its first version."""
    store = project.store
    rows = store.rows(
        "SELECT min(created_at) AS at FROM labels WHERE scan_id IN "
        "(SELECT scan_id FROM labels WHERE state = 'active') GROUP BY scan_id"
    )
    if not rows:
        return None
    times = sorted(datetime.fromisoformat(row["at"]) for row in rows)
    exported = store.value("SELECT min(created_at) FROM exports")
    began = min(times[0], datetime.fromisoformat(exported)) if exported else times[0]
    minutes = tuple(
        (datetime.fromisoformat(one.created_at), one.minutes)
        for one in read_drawing_times(store)
        if one.minutes is not None
    )
    return LabelTimes(began, tuple(times), minutes)


def pace(
    known: LabelTimes, remaining: int, now: datetime, minutes_left: float | None = None
) -> Pace | None:
    """Labels per day over the last 7 days, or since labeling began; None when too early.

    There is no pace before labels span an hour or two different days. Less than a day counts as a
    whole day, because people don't label around the clock. ``remaining`` labels are still to come;
    ``now`` must have a time zone. With ``minutes_left`` the budget is spent when the first of both
    is.
    """
    last = known.times[-1]
    days = {at.astimezone(now.tzinfo).date() for at in known.times}
    if last - known.began < ENOUGH and len(days) < 2:
        return None
    since = max(known.began, now - WINDOW)
    lately = sum(at >= since for at in known.times)
    days_of = max(now - since, DAY) / DAY
    per_day = lately / days_of
    minutes = [took for at, took in known.minutes if at >= since]
    minutes_per_day = sum(minutes) / days_of if minutes else None
    ends = [_spent_at(remaining, per_day, now)]
    if minutes_left is not None and minutes_per_day:
        ends.append(_spent_at(minutes_left, minutes_per_day, now))
    there = [end for end in ends if end is not None]
    return Pace(per_day, min(there) if there else None, minutes_per_day)


def _spent_at(remaining: float, per_day: float, now: datetime) -> datetime | None:
    try:
        return now + DAY * (remaining / per_day)
    except (ZeroDivisionError, OverflowError):
        return None
