"""Clusters as table rows, and the silhouettes of every k as a column chart. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual.content import Content

from coldal_tui.project.views.coverage import Coverage
from coldal_tui.project.views.snapshot import ClusterState, RoundState
from coldal_tui.textcharts import columns as chart_columns
from coldal_tui.textcharts import sparkline
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.styles import ACCENT, BOLD, MUTED, lines, number, share
from coldal_tui.tui.widgets.columns import Column
from coldal_tui.tui.widgets.table_lines import LEAD
from coldal_tui.tui.widgets.table_model import Cell

PLOT_HEIGHT = 7
"""Lines of the silhouettes with their heading and axis, where there is room for all of it."""
COMPACT_WIDTH = 58
MOST_BAR = 40
PERCENT = 5


@dataclass(frozen=True)
class Silhouettes:
    """The mean silhouette of every k that was tried, and the chosen k.

    ``estimated``: some are estimates, so that one may be above the chosen k's.
    """

    scores: tuple[tuple[int, float], ...]
    k: int
    estimated: bool

    @property
    def best(self) -> float | None:
        return dict(self.scores).get(self.k)


def silhouettes_of(rounds: Sequence[RoundState]) -> Silhouettes | None:
    """The silhouettes of the newest round that made clusters; later rounds keep them."""
    for one in reversed(rounds):
        if one.silhouettes:
            return Silhouettes(one.silhouettes, one.k, one.estimated)
    return None


class ClusterRows:
    """One row per cluster, for a table ``width`` cells wide.

    In narrow ones titles are short, and what is out counts as queued. ``here`` is the cluster of
    the current scan, None for none.
    """

    def __init__(
        self,
        clusters: Sequence[ClusterState],
        coverage: Coverage | None,
        look: Look,
        width: int,
        here: int | None = None,
    ) -> None:
        self._clusters, self._coverage, self._look = clusters, coverage, look
        self._here = here
        self._compact = width < COMPACT_WIDTH
        before = _compact_columns(clusters, look) if self._compact else _columns(clusters)
        gap = 1 if self._compact else 2
        taken = LEAD + sum(column.width + gap for column in before) + gap + PERCENT
        self._bar = max(0, min(MOST_BAR, width - taken))
        self.columns = (
            *before,
            *((Column("bar", "coverage", self._bar, short="cover"),) if self._bar else ()),
            # It may leave, so that narrow gaps are taken where wide ones would cost it its place.
            Column("coverage", "", PERCENT, align="right", priority=1),
        )

    @property
    def row_count(self) -> int:
        return len(self._clusters)

    def key(self, row: int) -> str:
        return str(self._clusters[row].id)

    def find(self, key: str) -> int | None:
        return next((n for n, one in enumerate(self._clusters) if str(one.id) == key), None)

    def cells(self, row: int) -> Sequence[Cell]:
        one, look = self._clusters[row], self._look
        colour = look.cluster_colour(one.id)
        name = Text(f"C{one.id + 1}".ljust(4 if len(self._clusters) > 9 else 3))
        name.append(look.cluster_glyph(one.id), colour)
        if one.id == self._here:
            name.append(f" {look.here}", "accent")
        counts = [one.labelled, one.exported, one.queued]
        if self._compact:
            counts = [one.labelled, one.exported + one.queued]
        covered = self._share_of(one.id)
        bar = Text(look.share(covered or 0.0, self._bar), style=colour)
        return (
            name,
            f"{one.size:,}",
            *(f"{count:,}" if count else look.dash for count in counts),
            *((bar,) if self._bar else ()),
            share(covered, look),
        )

    def _share_of(self, cluster: int) -> float | None:
        known = self._coverage.clusters if self._coverage else ()
        return known[cluster] if cluster < len(known) else None


def _columns(clusters: Sequence[ClusterState]) -> tuple[Column, ...]:
    return (
        Column("cluster", "cluster", 7),
        Column("size", "size", max(6, _digits(clusters, "size")), align="right"),
        Column("labelled", "labelled", 8, align="right"),
        Column("out", "out", max(3, _digits(clusters, "exported")), align="right"),
        Column("queued", "queued", 6, align="right"),
    )


def _compact_columns(clusters: Sequence[ClusterState], look: Look) -> tuple[Column, ...]:
    labelled, queued = look.state("labelled"), look.state("queued")
    waiting = max(_digits(clusters, "queued"), _digits(clusters, "exported"))
    return (
        Column("cluster", "", 7 if len(clusters) > 9 else 6),
        Column("size", "size", max(4, _digits(clusters, "size")), align="right"),
        Column("labelled", labelled, max(2, _digits(clusters, "labelled")), align="right"),
        Column("queued", queued, max(2, waiting), align="right"),
    )


def _digits(clusters: Sequence[ClusterState], name: str) -> int:
    return max(len(f"{getattr(one, name):,}") for one in clusters)


def silhouettes_content(known: Silhouettes, look: Look, width: int, height: int) -> Content:
    """A column chart if there is room, else one line."""
    if height > 1:
        return silhouette_plot(known, width, height, look)
    return silhouette_line(known, width, look)


def silhouette_line(known: Silhouettes, width: int, look: Look) -> Content:
    """``k 2 █▇▅▅▃▂▁ 30`` in one line."""
    first, last = known.scores[0][0], known.scores[-1][0]
    values = [score for _, score in known.scores]
    if first == last:
        return Content.styled(f"silhouette {number(known.best, 2, look)} at k = {first}", MUTED)
    head, tail = f"silhouette by k: {first} ", f" {last}"
    room = width - len(head) - len(tail)
    spark = sparkline(values, max(1, room), plain=not look.braille, zero=True)
    if len(spark) < len(values):
        return Content.assemble((head, MUTED), spark, (tail, MUTED))
    at = [k for k, _ in known.scores].index(known.k) if known.best is not None else -1
    marked = Content(spark).stylize(f"{BOLD} {ACCENT}", at, at + 1) if at >= 0 else Content(spark)
    return Content.assemble((head, MUTED), marked, (tail, MUTED))


def silhouette_plot(known: Silhouettes, width: int, height: int, look: Look) -> Content:
    """Columns from 0 to the greatest score, the chosen k in the accent's colour."""
    values = [score for _, score in known.scores]
    ks = [k for k, _ in known.scores]
    heading = _heading(known, width, look)
    margin = max(len(f"{value:.2f}") for value in (min(*values, 0.0), max(values))) + 1
    step = next((s for s in (4, 3, 2, 1) if s * len(ks) <= width - margin), 1)
    shown = min(len(ks), max(0, width - margin) // step)
    rows = height - 2
    if rows < 2 or not shown:
        return lines([heading, silhouette_line(known, width, look)][:height])
    bars = chart_columns(values[:shown], rows, plain=not look.braille)
    names = {0: f"{max(values):.2f}", rows - 1: f"{min(*values, 0.0):.2f}"}
    thick = max(1, step - 1)
    drawn = []
    for row, bar in enumerate(bars):
        cells: list[Content | tuple[str, str]] = [
            (names.get(row, "").rjust(margin - 1) + " ", MUTED)
        ]
        for k, glyph in zip(ks, bar, strict=False):
            cells.append((glyph * thick + " " * (step - thick), ACCENT if k == known.k else MUTED))
        drawn.append(Content.assemble(*cells))
    axis = Content.assemble(" " * margin, *_axis(ks[:shown], known.k, step, width - margin))
    return lines([heading, *drawn, axis])


def _heading(known: Silhouettes, width: int, look: Look) -> Content:
    """The heading in as many words as fit: the measure, the chosen k, whether it is estimated."""
    score = "" if known.best is None else f"k = {known.k}: {number(known.best, 2, look)}"
    ends = ["", ""]
    if known.best is not None and known.best >= max(value for _, value in known.scores):
        ends = [", the highest", ""]
    if known.estimated:
        ends = [f"{ends[0]}; not all exact", "; not all exact", ""]
    for start in ("mean silhouette by k  ", "silhouettes  "):
        for end in ends:
            if len(start) + len(score) + len(end) <= width:
                chosen = (score, f"{BOLD} {ACCENT}")
                return Content.assemble((start, MUTED), chosen, (end, MUTED))
    return Content.styled(score, f"{BOLD} {ACCENT}")


def _axis(ks: Sequence[int], chosen: int, step: int, width: int) -> list[tuple[str, str]]:
    """Labels of k under their columns: the chosen first, then the ends, fives, all others."""
    row: list[str] = [" "] * min(width, len(ks) * step + 1)
    order = sorted(range(len(ks)), key=lambda n: _rank(ks, n, chosen))
    spans: dict[int, tuple[int, int]] = {}
    for n in order:
        start, text = n * step, str(ks[n])
        around = row[max(0, start - 1) : start + len(text) + 1]
        if start + len(text) <= len(row) and all(cell == " " for cell in around):
            row[start : start + len(text)] = text
            spans[n] = (start, start + len(text))
    line = "".join(row).rstrip()
    if chosen not in ks or ks.index(chosen) not in spans:
        return [(line, MUTED)]
    start, end = spans[ks.index(chosen)]
    return [(line[:start], MUTED), (line[start:end], f"{BOLD} {ACCENT}"), (line[end:], MUTED)]


def _rank(ks: Sequence[int], n: int, chosen: int) -> tuple[int, int]:
    k = ks[n]
    if k == chosen:
        return 0, n
    if n in (0, len(ks) - 1):
        return 1, n
    return (2, n) if k % 5 == 0 else (3, n)
