"""The clusters pane: size, labels, queue and coverage per cluster, and how k was chosen."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message

from coldal_tui.project.views.coverage import LABELLED, Coverage, first_picks, map_coverage
from coldal_tui.project.views.map_view import MapView
from coldal_tui.tui.clusters.rows import (
    PLOT_HEIGHT,
    ClusterRows,
    Silhouettes,
    silhouettes_content,
    silhouettes_of,
)
from coldal_tui.tui.drawing.styles import number, share
from coldal_tui.tui.pane import View
from coldal_tui.tui.verbs import bind
from coldal_tui.tui.widgets.drawing import Drawing, Painted
from coldal_tui.tui.widgets.seen import WhileSeen
from coldal_tui.tui.widgets.table import BigTable
from coldal_tui.tui.widgets.table_model import EMPTY
from coldal_tui.tui.widgets.table_pane import TablePane

PLOT_WIDTH, BESIDE_WIDTH = 36, 120


class ClustersPane(WhileSeen, TablePane):
    """One row per cluster; ``enter`` filters the queue and the map by it."""

    number: ClassVar[int] = 3
    title: ClassVar[str] = "3 Clusters"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("open", "pick", "its scans", id="clusters.pick", show=True),
    ]
    DEFAULT_CSS = """
    ClustersPane {
        layout: vertical;
        & > BigTable { height: 1fr; width: 1fr; }
        & > #silhouettes { height: 1; width: 1fr; padding: 0 1; }
        & > #no-clusters { height: 1fr; padding: 0 1; color: $foreground-muted; }
    }
    """

    class Picked(Message):
        """Sent when only this cluster's scans are to be shown."""

        def __init__(self, cluster: int) -> None:
            super().__init__()
            self.cluster = cluster

    def __init__(self) -> None:
        super().__init__(id="clusters")
        self._view: View | None = None
        self._coverage: Coverage | None = None
        self._asked: object = None
        self._scan_id: str | None = None
        self._here: int | None = None
        self._drawn: object = None
        self._wanted: str | None = None
        self.border_title = Content(self.title)

    def compose(self) -> ComposeResult:
        yield BigTable()
        yield Painted(id="silhouettes")
        yield Drawing(id="no-clusters", wraps=True)

    def show(self, view: View) -> None:
        self._view = view
        # The current scan may have been named before there was a map to find it on.
        self._here = self._cluster_of(self._scan_id)
        if self.seen:
            self.catch_up()

    def catch_up(self) -> None:
        if self._view is not None:
            self._measure(self._view)
            self._draw()

    def _measure(self, view: View) -> None:
        """Compute the coverage again when the map, its labels or the first queue changed."""
        picks = first_picks(view.snapshot.queue)
        k = len(view.snapshot.clusters)
        asked = (_labels_on(view.map_view), picks, k)
        if asked == self._asked:
            return
        self._asked = asked
        map_view = view.map_view
        self.services.read(
            "clusters",
            lambda _project: map_coverage(map_view, picks, k) if map_view is not None else None,
            self._measured,
        )

    def _measured(self, coverage: Coverage | None) -> None:
        if coverage != self._coverage:
            self._coverage = coverage
            self._draw()

    def go_to(self, scan_id: str | None) -> None:
        self._scan_id = scan_id
        here = self._cluster_of(scan_id)
        if here != self._here:
            self._here = here
            if self.seen:
                self._draw()

    def _cluster_of(self, scan_id: str | None) -> int | None:
        map_view = self._view.map_view if self._view else None
        row = map_view.index.get(scan_id) if map_view is not None and scan_id is not None else None
        return None if row is None or map_view is None else int(map_view.cluster[row])

    def on_resize(self, event: events.Resize) -> None:
        if self._view is not None and self.seen:
            self._draw()

    def _draw(self) -> None:
        """Draw what has changed, in the layout that fits the size."""
        if self._view is None or not self.is_mounted:
            return
        snapshot, coverage = self._view.snapshot, self._coverage
        width, height = self.content_size
        scores = silhouettes_of(snapshot.rounds)
        now = (snapshot.clusters, coverage, scores, self._here, width, height, self.app.theme)
        if now == self._drawn:
            return
        self._drawn = now
        self._title(scores)
        empty = self.query_one("#no-clusters", Drawing)
        empty.display = not snapshot.clusters
        self.table.display = bool(snapshot.clusters)
        if not snapshot.clusters:
            self.table.set_model(EMPTY)
            self.query_one("#silhouettes").display = False
            empty.draw(Content(f"no clusters yet: {(snapshot.then or snapshot.next).text}"))
            return
        room = self._place(scores, width, height)
        rows = ClusterRows(snapshot.clusters, coverage, self.look, room, self._here)
        self.table.set_model(rows, keep=self._wanted)
        self._wanted = None

    def _title(self, scores: Silhouettes | None) -> None:
        if scores is None or scores.best is None:
            self.border_title = Content(self.title)
        else:
            best = number(scores.best, 2, self.look)
            self.border_title = Content(f"{self.title}  k = {scores.k} (silhouette {best})")
        coverage = self._coverage
        covered = share(coverage.overall, self.look) if coverage else ""
        self.border_subtitle = Content(f"labels cover {covered} of the map") if covered else None

    def _place(self, scores: Silhouettes | None, width: int, height: int) -> int:
        """Silhouettes beside the table, below it, or in one line; returns the table's width."""
        plot = self.query_one("#silhouettes", Painted)
        plot.display = scores is not None and height >= 4
        beside = width >= BESIDE_WIDTH and height >= PLOT_HEIGHT
        self.styles.layout = "horizontal" if beside else "vertical"
        if scores is None or not plot.display:
            return width
        rows = len(self._view.snapshot.clusters) + 2 if self._view else 0
        self.table.styles.height = "1fr"
        plot.styles.width = "1fr"
        plot_width, lines = width, 1
        if beside:
            plot_width, lines = width - width // 2, min(height, 2 * PLOT_HEIGHT)
            plot.styles.width = plot_width
        elif width >= PLOT_WIDTH and height - rows >= PLOT_HEIGHT:
            # Rows first: the chart has what they leave over.
            lines = min(2 * PLOT_HEIGHT, height - rows)
            self.table.styles.height = rows
        plot.styles.height = lines
        plot.draw(partial(silhouettes_content, scores, self.look))
        return width - plot_width if beside else width

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Clusters can't be marked."""
        return action not in ("mark", "range", "invert")

    def action_pick(self) -> None:
        if self.table.current is not None:
            self.post_message(self.Picked(int(self.table.current)))

    def on_big_table_opened(self, message: BigTable.Opened) -> None:
        message.stop()
        self.action_pick()

    def state(self) -> dict[str, Any]:
        return {"cluster": self.table.current} if self.is_mounted else {}

    def restore(self, state: dict[str, Any]) -> None:
        wanted = state.get("cluster")
        self._wanted = wanted if isinstance(wanted, str) else None


def _labels_on(map_view: MapView | None) -> object:
    """A key that changes only with the map or its labels: each ``MapView`` is a new object."""
    if map_view is None:
        return None
    labelled = map_view.status == LABELLED
    return map_view.map_id, len(map_view), labelled.tobytes(), map_view.cluster.tobytes()
