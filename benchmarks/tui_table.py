"""A queue of a million rows on the screen beside Textual's DataTable, each in a fresh process.

    python benchmarks/tui_table.py [--rows 1000000] [--theirs 10000] [--pairs 3]

Ready: from columns that lie in memory to the first picture. A page down: processor time until it
is drawn. Memory: what a process has grown by, the columns not counted. DataTable gets fewer rows,
and its time and memory are scaled up by their number (a page down is not scaled). Figures in
seconds depend on the machine and are there to read the ratios by.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from measuring import figures

SIZE = (120, 40)
PAGES = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--theirs", type=int, default=10_000, help="rows that DataTable gets")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--json")
    parser.add_argument("--child", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(measure(asked.child, asked.rows)))
    else:
        figures("tui_table", table(asked.rows, asked.theirs, asked.pairs), asked.json)


def table(rows: int, theirs: int, pairs: int) -> list[dict[str, Any]]:
    """Measure in turns and print the medians with their ratios (ours over the peer's in rows)."""
    own, other = [], []
    found = []
    for _ in range(pairs):
        own.append(_child("ours", rows))
        other.append(_child("theirs", theirs))
    scale = rows / theirs
    print(f"{rows:,} rows at {SIZE[0]}x{SIZE[1]}, {os.cpu_count()} cores, {pairs} pairs")
    print(f"{'':24}{'ours':>10}{'DataTable':>12}{'ratio':>8}")
    lines: tuple[tuple[str, str, float, int], ...] = (
        ("ready, s", "ready_s", scale, 2),
        ("page down, ms of CPU", "page_ms", 1.0, 1),
        ("memory, MB", "memory_mb", scale, 1),
    )
    for words, key, factor, digits in lines:
        mine = statistics.median(one[key] for one in own)
        its = statistics.median(one[key] for one in other) * factor
        ratio = its / max(mine, 10**-digits)
        print(f"{words:24}{mine:>10.{digits}f}{its:>12.{digits}f}{ratio:>8.0f}")
        row = {"what": words, "ours": mine, "peer": "DataTable", "theirs": its, "ratio": 1 / ratio}
        found.append(row | {"size": rows})
    print(f"(DataTable measured with {theirs:,} rows; ready and memory scaled up)")
    return found


def _child(which: str, rows: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", which, "--rows", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(which: str, rows: int) -> dict[str, float]:
    """Ready (s), processor time of a page down (ms) and memory (MB) of one of the two."""
    return asyncio.run(_measure(*(_ours(rows) if which == "ours" else _theirs(rows))))


Show = Callable[[Any], Any]


async def _measure(make: Callable[[], Any], show: Show, page: Show) -> dict[str, float]:
    import psutil
    from textual.app import App

    class Bench(App[None]):
        def compose(self) -> Any:
            yield make()

    app, process = Bench(), psutil.Process()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        widget = app.screen.children[0]
        before = process.memory_info().rss
        start = time.perf_counter()
        show(widget)
        await pilot.pause()
        ready = time.perf_counter() - start
        grown = (process.memory_info().rss - before) / 1e6
        page(widget)
        await pilot.pause()
        spent = time.process_time()
        for _ in range(PAGES):
            page(widget)
            await pilot.pause()
        spent = time.process_time() - spent
    return {"ready_s": ready, "page_ms": spent / PAGES * 1000, "memory_mb": grown}


def _ours(rows: int) -> tuple[Callable[[], Any], Show, Show]:
    import numpy as np

    from coldal_tui.project.views.queue_table import ScanTable, Words
    from coldal_tui.tui.drawing.glyphs import UNICODE
    from coldal_tui.tui.queue.columns import QueueModel, columns_of
    from coldal_tui.tui.widgets.table import BigTable

    columns = _columns(rows)
    zeros, none = np.zeros(rows, np.int32), Words(np.zeros(rows, np.int32), ("",))

    def show(widget: BigTable) -> None:
        scans = ScanTable(
            scope="open",
            version=1,
            scan_id=columns["scan"],
            path=columns["scan"],
            round=zeros,
            rank=columns["rank"],
            cluster=columns["cluster"],
            pinned=zeros.astype(np.bool_),
            role=Words(zeros, ("acquired",)),
            status=Words(columns["status"], ("queued", "exported", "labelled")),
            assignee=none,
            reason=none,
            patient=none,
            entropy=columns["entropy"],
            diversity=columns["entropy"],
            score=columns["entropy"],
        )
        widget.set_model(QueueModel(scans, np.arange(rows), UNICODE, columns_of(scans)))

    return BigTable, show, lambda widget: widget.move("page-down")


def _theirs(rows: int) -> tuple[Callable[[], Any], Show, Show]:
    from rich.text import Text
    from textual.widgets import DataTable

    columns = _columns(rows)
    words = ("○ queued", "◐ exported", "● labelled")

    def show(widget: Any) -> None:
        widget.focus()
        widget.add_columns("#", "scan", "cluster", "role", "H", "D", "S", "status")
        numbers = [f"{value:.2f}" for value in columns["entropy"]]
        widget.add_rows(
            (
                str(columns["rank"][n]),
                columns["scan"][n],
                Text(f"C{columns['cluster'][n] + 1} ■", style="#56B4E9"),
                "acquired",
                *(numbers[n],) * 3,
                Text(words[columns["status"][n]]),
            )
            for n in range(rows)
        )

    def make() -> Any:
        return DataTable(cursor_type="row")

    return make, show, lambda widget: widget.action_page_down()


def _columns(rows: int) -> dict[str, Any]:
    """What both are given: numpy columns and a list of names."""
    import numpy as np

    drawn = np.random.default_rng(0)
    return {
        "rank": np.arange(1, rows + 1, dtype=np.int32),
        "scan": [f"scan_{n:07d}" for n in range(rows)],
        "cluster": drawn.integers(0, 8, rows).astype(np.int32),
        "status": drawn.integers(0, 3, rows).astype(np.int32),
        "entropy": drawn.random(rows),
    }


if __name__ == "__main__":
    main()
