"""The expected minutes of scans of a project: from their size, the classes and past drawings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from coldal_tui.exchange.names import person_key
from coldal_tui.project.labels.raters.drawing_times import DrawingTime, read_drawing_times
from coldal_tui.project.minutes.time_model import Size, Timed, TimeModel, Total, fit
from coldal_tui.project.project import Project
from coldal_tui.project.records import USABLE

_BATCH = 500


@dataclass(frozen=True)
class Expectation:
    """What drawings of this project's scans are expected to take, at one moment.

    ``times`` are the past drawings, ``model`` what they say. Nothing is known of a scan that the
    project does not have (KeyError).
    """

    model: TimeModel
    classes: int
    times: tuple[DrawingTime, ...]
    sizes: dict[str, Size] = field(repr=False)

    @property
    def learned(self) -> bool:
        """Whether any past drawing stands behind it; else it is the default."""
        return self.model.drawings > 0

    def minutes(self, scan_id: str, person: str = "") -> float:
        """Expected minutes of one drawing of a scan, by ``person`` where it is known who."""
        return self.model.minutes(self.sizes[scan_id], self.classes, person_key(person))

    def total(self, scan_ids: Iterable[str]) -> Total:
        """Expected minutes of one drawing each of these scans, with a 90 % interval."""
        return self.model.total([self.minutes(scan_id) for scan_id in scan_ids])


def read_expectation(project: Project, scan_ids: Iterable[str] | None = ()) -> Expectation:
    """The expected minutes of ``scan_ids``, of all scans in the queue and of all that were drawn.

    None: of every scan of the project.
    """
    times = read_drawing_times(project.store)
    if scan_ids is None:
        sizes = _sizes(project, None)
    else:
        queued = [scan for (scan,) in project.store.tuples("SELECT scan_id FROM queue")]
        wanted = {*scan_ids, *queued, *(one.scan_id for one in times)}
        sizes = _sizes(project, sorted(wanted))
    model = fit(
        [
            Timed(sizes[one.scan_id], one.minutes, person_key(one.author), one.classes)
            for one in times
            if one.minutes is not None and one.scan_id in sizes
        ],
        project.config.budget.minutes_per_scan,
    )
    return Expectation(model, len(project.config.classes.names), times, sizes)


def expected_of(project: Project, drawings: Iterable[tuple[str, str]]) -> Total | None:
    """Expected minutes of drawings of scans (scan, person or "") together.

    None where neither past drawings nor the project file say how long they take.
    """
    wanted = list(drawings)
    known = read_expectation(project, [scan_id for scan_id, _ in wanted])
    section = project.config.budget
    if not known.learned and section.minutes is None and section.minutes_per_scan is None:
        return None
    return known.model.total([known.minutes(scan_id, person) for scan_id, person in wanted])


def expected_of_next(project: Project, count: int) -> Total:
    """Expected minutes of ``count`` scans that nobody has picked yet: the mean of the usable ones.

    With a 90 % interval; scans have few different sizes, so that a million of them are no burden.
    """
    known = read_expectation(project)
    rows = project.store.tuples(
        f"SELECT shape, spacing, count(*) FROM scans WHERE {USABLE} GROUP BY shape, spacing"
    )
    scans = sum(n for *_, n in rows)
    each = (n * known.model.minutes(_size(shape, grid), known.classes) for shape, grid, n in rows)
    mean = sum(each) / scans if scans else 0.0
    return known.model.total([mean] * count)


def _sizes(project: Project, scan_ids: Sequence[str] | None) -> dict[str, Size]:
    query = "SELECT scan_id, shape, spacing FROM scans"
    if scan_ids is None:
        rows = project.store.tuples(query)
    else:
        rows = []
        for start in range(0, len(scan_ids), _BATCH):
            some = scan_ids[start : start + _BATCH]
            marks = ",".join("?" * len(some))
            rows += project.store.tuples(f"{query} WHERE scan_id IN ({marks})", tuple(some))
    return {scan_id: _size(shape, spacing) for scan_id, shape, spacing in rows}


def _size(shape: str, spacing: str | None) -> Size:
    return Size.of(json.loads(shape), json.loads(spacing) if spacing else None)
