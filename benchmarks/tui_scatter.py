"""A million points as text beside plotext's scatter, taken in turns.

    python benchmarks/tui_scatter.py [--points 1000000] [--plotext-points 100000] [--pairs 5]

A frame is all that a zoom or a new colour costs: counting, shading, marks, names of clusters, and
the styled lines that go to the terminal. Plotext draws the same clusters in braille, each in a
colour of its own; it gets fewer points, and its time is scaled up by their number (it grows
faster than that). Times depend on the machine and are there to read the ratio by.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from measuring import figures
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from coldal_tui.project.views.map_view import MapView
from coldal_tui.tui.drawing.glyphs import UNICODE
from coldal_tui.tui.map.colouring import by_cluster
from coldal_tui.tui.map.ink import Inks
from coldal_tui.tui.map.model import MapModel

COLUMNS, ROWS, CLUSTERS = 120, 40, 8


def map_view(count: int) -> MapView:
    """Overlapping clusters, one scan in a thousand queued, exported or labelled."""
    random = np.random.default_rng(0)
    cluster = random.integers(0, CLUSTERS, count)
    centres = random.normal(size=(CLUSTERS, 2)) * 30
    xy = centres[cluster] + random.normal(size=(count, 2)) * (9, 6)
    status = np.zeros(count, np.uint8)
    picked = random.choice(count, count // 1000, replace=False)
    status[picked] = random.integers(1, 4, len(picked))
    return MapView(
        map_id=1,
        scan_ids=tuple(f"scan_{n}" for n in range(count)),
        xy=xy.astype(np.float32),
        cluster=cluster.astype(np.int16),
        status=status,
        entropy=np.full(count, np.nan, np.float32),
        medoids=picked[:CLUSTERS].astype(np.int64),
    )


def frames(shown: MapView) -> Callable[[], list[Strip]]:
    """Each call draws the whole map anew, at another zoom than before."""
    colouring = by_cluster(shown, UNICODE)
    model = MapModel(UNICODE, shown, colouring)
    model.resize(COLUMNS, ROWS)
    plain = {name: Style() for name in ("plain", "muted", "mark", "here", "box")}
    zooms = iter(1 + 0.001 * n for n in range(1, 10**6))

    def draw() -> list[Strip]:
        model.look_back(next(zooms), 0.0, 0.0)
        canvas = model.canvas
        inks = Inks(colouring, canvas.depth, canvas.marks, Style(), (18, 18, 18), plain, UNICODE)
        return [
            Strip([Segment(text, inks.style(ink)) for text, ink in canvas.runs(row)])
            for row in range(ROWS)
        ]

    return draw


def plotext_frames(shown: MapView) -> Callable[[], str]:
    from plotext import figure

    parts = [shown.xy[shown.cluster == n].astype(float).T.tolist() for n in range(CLUSTERS)]

    def draw() -> str:
        figure.clear()
        figure.plot_size(COLUMNS, ROWS)
        for x, y in parts:
            figure.draw(figure.signal(x, y, marker="braille"))
        return str(figure.build())

    return draw


def seconds(draw: Callable[[], object]) -> float:
    began = time.perf_counter()
    draw()
    return time.perf_counter() - began


def scatter(points: int = 1_000_000, theirs: int = 100_000, pairs: int = 5) -> tuple[float, float]:
    """Measure and print; the median time of our frame in seconds, and how often plotext's."""
    draw, other = frames(map_view(points)), plotext_frames(map_view(theirs))
    draw()
    other()
    times, ratios = [], []
    for _ in range(pairs):
        scaled = seconds(other) * points / theirs
        times.append(statistics.median(seconds(draw) for _ in range(5)))
        ratios.append(scaled / times[-1])
    print(f"{points:,} points at {COLUMNS}x{ROWS}, {os.cpu_count()} cores, {pairs} pairs")
    print(f"a frame takes {statistics.median(times) * 1000:.1f} ms")
    print(
        f"plotext takes {statistics.median(ratios):.0f} times as long (from {min(ratios):.0f} "
        f"to {max(ratios):.0f}; measured with {theirs:,} points and scaled up)"
    )
    return statistics.median(times), statistics.median(ratios)


def main() -> int:
    """1 when a frame takes longer than it may."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--plotext-points", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--most-ms", type=float, default=30.0)
    parser.add_argument("--json")
    asked = parser.parse_args()
    taken, ratio = scatter(asked.points, asked.plotext_points, asked.pairs)
    row = {"what": "a frame", "size": asked.points, "ours": taken, "unit": "s"}
    figures("tui_scatter", [row | {"peer": "plotext, scaled up", "ratio": 1 / ratio}], asked.json)
    return int(taken * 1000 > asked.most_ms)


if __name__ == "__main__":
    sys.exit(main())
