"""The actions for scans selected on the map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coldal_tui.project.project import Project
from coldal_tui.project.views.map_view import STATUSES, MapView
from coldal_tui.tui.pane import Services
from coldal_tui.visible import counted

QUEUE, ASSIGN, EXCLUDE, SHOW, ZOOM = "queue", "assign", "exclude", "show", "zoom"
IN_QUEUE = ("queued", "exported", "labelled", "skipped")
OPEN = ("queued", "exported")
NOT_EXCLUDED = ("candidate", *OPEN, "skipped")


def of_status(map_view: MapView, rows: NDArray[np.int64], names: Sequence[str]) -> list[str]:
    """The scans among ``rows`` that have one of these statuses."""
    codes = [STATUSES.index(name) for name in names]
    return [map_view.scan_ids[n] for n in rows[np.isin(map_view.status[rows], codes)].tolist()]


def counts_text(map_view: MapView, rows: NDArray[np.int64]) -> str:
    """``312 scans: 290 candidates, 2 queued, 20 labelled``."""
    counts = np.bincount(map_view.status[rows], minlength=len(STATUSES)).tolist()
    parts = [
        f"{count:,} {name}{'s' if name == 'candidate' and count != 1 else ''}"
        for name, count in zip(STATUSES, counts, strict=True)
        if count
    ]
    return f"{scans(len(rows))}: {', '.join(parts)}" if parts else scans(0)


def choices(map_view: MapView, rows: NDArray[np.int64], *, readonly: bool) -> list[tuple[str, str]]:
    """The menu for these scans, with the number of scans per entry."""
    queued = len(of_status(map_view, rows, IN_QUEUE))
    offers = [
        (QUEUE, "queue {} by hand", len(of_status(map_view, rows, ("candidate",)))),
        (ASSIGN, "assign {} to someone", len(of_status(map_view, rows, OPEN))),
        (EXCLUDE, "exclude {} from the pool", len(of_status(map_view, rows, NOT_EXCLUDED))),
    ]
    found = [] if readonly else [(key, words, count) for key, words, count in offers if count]
    found += [(SHOW, "show only {} in the queue", queued)] if queued else []
    found += [(ZOOM, "zoom in on {}", len(rows))]
    return [(key, words.format(scans(count))) for key, words, count in found]


def act(services: Services, map_view: MapView, rows: NDArray[np.int64], key: str) -> None:
    """Ask for what is needed, then run the action; the pane handles ``SHOW`` and ``ZOOM``."""
    if key == QUEUE:
        _queue(services, of_status(map_view, rows, ("candidate",)))
    elif key == ASSIGN:
        _assign(services, of_status(map_view, rows, OPEN))
    elif key == EXCLUDE:
        _exclude(services, of_status(map_view, rows, NOT_EXCLUDED))


def _queue(services: Services, scan_ids: list[str]) -> None:
    view = services.view
    left = f" {view.snapshot.budget.left:,} of the budget are left." if view else ""

    def work(project: Project) -> str:
        from coldal_tui.project.queue.add import queue_by_hand

        queue_by_hand(project, scan_ids)
        return f"queued {scans(len(scan_ids))} by hand"

    services.confirm(
        f"Queue {scans(len(scan_ids))} by hand?{left}",
        lambda: services.change("queue by hand", work),
        yes="queue",
    )


def _assign(services: Services, scan_ids: list[str]) -> None:
    def assign_to(person: str) -> None:
        def work(project: Project) -> str:
            from coldal_tui.project.queue.actions import assign

            assign(project, scan_ids, person)
            return f"assigned {scans(len(scan_ids))} to {person.strip() or 'nobody'}"

        services.change("assign", work)

    services.ask(f"Assign {scans(len(scan_ids))}", "to whom (empty: to nobody)", assign_to)


def _exclude(services: Services, scan_ids: list[str]) -> None:
    def exclude_for(reason: str) -> None:
        def work(project: Project) -> str:
            from coldal_tui.project.queue.actions import exclude

            exclude(project, scan_ids, reason.strip() or None)
            return f"excluded {scans(len(scan_ids))}"

        services.change("exclude", work)

    services.ask(f"Exclude {scans(len(scan_ids))} from the pool", "why", exclude_for)


def scans(count: int) -> str:
    return counted(count, "scan")
