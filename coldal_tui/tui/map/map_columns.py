"""Further facts about the map's scans: queue, patient, Dice, metadata columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from coldal_tui.project.views.map_view import (
    PATIENT,
    STATUSES,
    Column,
    MapView,
    column_names,
    read_column,
)
from coldal_tui.project.views.snapshot import QueueItem
from coldal_tui.tui.map.colouring import CLUSTER, ENTROPY, STATUS, title_of
from coldal_tui.tui.map.legend import About
from coldal_tui.tui.map.model import MapModel
from coldal_tui.tui.pane import Services, View

IN_SCENE = (CLUSTER, STATUS, ENTROPY)
"""Colourings that need no column."""


class MapColumns:
    """Reads columns in a thread on first use; ``arrived`` is called with each new one."""

    def __init__(self, arrived: Callable[[Column], None]) -> None:
        self.names: tuple[str, ...] = ()
        """Columns that the project has."""
        self._arrived = arrived
        self._found: dict[str, Column] = {}
        self._read_for: tuple[Any, ...] = ()
        self._scene: MapView | None = None

    def get(self, name: str) -> Column | None:
        """The column, if it has been read."""
        return self._found.get(name)

    def use(self, map_view: MapView) -> None:
        """Switch to a map; columns of the previous one are dropped."""
        old = self._scene
        if old is None or (old.map_id, len(old)) != (map_view.map_id, len(map_view)):
            self._found.clear()
        self._scene = map_view

    def follow(self, services: Services, view: View, colour: str) -> None:
        """Read again the columns that may have changed."""
        seen, map_view = view.snapshot, self._scene
        if map_view is None:
            return
        measured = sum(job.kind == "evaluate" and job.status == "done" for job in seen.jobs)
        key = (map_view.map_id, seen.scans, seen.patients, len(seen.runs), measured)
        if key == self._read_for:
            return
        self._read_for = key
        services.read("map.names", column_names, self._know)
        if seen.patients < seen.usable:
            self.want(services, PATIENT)
        if colour not in (PATIENT, *IN_SCENE):
            self.want(services, colour)

    def _know(self, names: tuple[str, ...]) -> None:
        self.names = names

    def want(self, services: Services, name: str) -> None:
        map_view = self._scene
        if map_view is not None:
            key = "map.patient" if name == PATIENT else "map.column"
            services.read(key, lambda project: read_column(project, map_view, name), self._have)

    def _have(self, column: Column) -> None:
        """Store a column that was read, unless it is of an older map."""
        if self._scene is None or len(column) != len(self._scene):
            return
        if not column.same(self._found.get(column.name)):
            self._found[column.name] = column
            self._arrived(column)


def about_scan(
    model: MapModel, n: int, items: Mapping[str, QueueItem], columns: MapColumns, colour: str
) -> About:
    """The facts about the map's scan ``n``; ``items`` are queue items by scan."""
    map_view = model.map_view
    facts = []
    entropy = float(map_view.entropy[n])
    if not math.isnan(entropy):
        facts.append(("H", f"{entropy:.2f}"))
    for name in dict.fromkeys((colour, PATIENT)):
        column = columns.get(name)
        value = None if column is None else column.text(n)
        if value is not None:
            facts.append((title_of(name), value))
    cluster = int(map_view.cluster[n])
    return About(
        scan_id=map_view.scan_ids[n],
        cluster=cluster if cluster >= 0 else None,
        status=STATUSES[map_view.status[n]],
        item=items.get(map_view.scan_ids[n]),
        facts=tuple(facts),
        others=model.others_here(),
    )
