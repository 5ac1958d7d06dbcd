"""The app on a project of 100,000 scans: first paint, memory, and what it costs while idle.

Run with ``python benchmarks/tui_app.py [SCANS]``. The app runs in a pseudo-terminal of 120×40.
First paint: from after ``import textual`` until the first rows of the queue are on the screen.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import select
import statistics
import struct
import sys
import tempfile
import termios
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from measuring import figures

from coldal_tui.maps import save_clusters, save_map
from coldal_tui.project.project import Project

SCANS = 100_000
IDLE_S = 10.0
DEVICE_ATTRIBUTES, ANSWER = b"\x1b[c", b"\x1b[?62;22c"
"""What every terminal is asked at the start, and answers at once."""
CHILD = """
import sys, time
import textual.app, textual.widgets
open(sys.argv[2], "w").write(repr(time.monotonic()))
from pathlib import Path
from coldal_tui.cli.open import run_app
run_app(Path(sys.argv[1]))
"""


def make_project(folder: Path, scans: int) -> Path:
    """A project whose database holds ``scans`` scans on a map, 8 clusters, 500 queued."""
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    names = tuple(f"scan_{n:07d}" for n in range(scans))
    with Project.create(folder / "project", folder / "images") as project:
        store, layout = project.store, project.layout
        columns = (
            "scan_id, rel_path, kind, files, shape, channels, dtype, patient_id, meta, "
            "quick_hash, size, added_at"
        )
        with store.transaction():
            for n, name in enumerate(names):
                store.execute(
                    f"INSERT INTO scans ({columns}) VALUES (?, ?, 'raster', ?, '[512,512]', 1, "
                    "'uint8', ?, ?, ?, 1000, '2026-01-01T00:00:00+00:00')",
                    (
                        name,
                        f"{name}.png",
                        json.dumps([f"{name}.png"]),
                        f"P{n // 3:06d}",
                        json.dumps({"age": str(n % 90), "view": "PA"}),
                        f"{n:016x}",
                    ),
                )
            group = rng.integers(0, 8, scans)
            centre = rng.normal(scale=40, size=(8, 2))
            save_map(
                layout.maps / "m.npz", names, centre[group] + rng.normal(scale=8, size=(scans, 2))
            )
            save_clusters(layout.maps / "c.npz", names, group, 8)
            common = {"created_at": store.now(), "seed": 0}
            store.insert(
                "maps", map_id=1, encoder_hash="e", file=layout.relative(layout.maps / "m.npz"),
                sha256="", scans=scans, params={}, **common,
            )  # fmt: skip
            store.insert(
                "rounds", round=0, strategy="coldstart", alpha=None, budget=500, map_id=1,
                run_id=None, clusters=layout.relative(layout.maps / "c.npz"), k=8,
                silhouettes=[[8, 0.5]], params={"notes": []}, **common,
            )  # fmt: skip
            for rank, n in enumerate(rng.choice(scans, 500, replace=False).tolist(), 1):
                store.insert(
                    "queue", scan_id=names[n], round=0, rank=rank, role="farthest-point",
                    cluster=int(group[n]),
                    terms={"order": rank, "places": 500, "distance": 1.0, "nearest": names[0]},
                )  # fmt: skip
        return project.root


@dataclass(frozen=True)
class Figures:
    """Seconds, bytes, MiB and the share of one core."""

    first_paint_s: float
    settled_rss_mb: float
    idle_bytes: int
    idle_cpu: float


def measure(root: Path, folder: Path, words: bytes = b"farthest-point") -> Figures:
    """``words``: what only the first rows of the queue say."""
    stamp = folder / "stamp"
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "XDG_STATE_HOME": str(folder),
        }
        os.execv(sys.executable, [sys.executable, "-c", CHILD, str(root), str(stamp)])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = psutil.Process(pid)
    try:
        painted = _until(terminal, words)
        first = painted - float(stamp.read_text())
        _drain(terminal, 5.0)
        before = sum(process.cpu_times()[:2])
        written = _drain(terminal, IDLE_S)
        cpu = (sum(process.cpu_times()[:2]) - before) / IDLE_S
        return Figures(first, process.memory_info().rss / 2**20, written, cpu)
    finally:
        process.kill()
        os.waitpid(pid, 0)
        os.close(terminal)


def _until(terminal: int, words: bytes, within_s: float = 60.0) -> float:
    seen, deadline = b"", time.monotonic() + within_s
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 1.0)[0]:
            new = os.read(terminal, 65536)
            if DEVICE_ATTRIBUTES in new:
                os.write(terminal, ANSWER)
            seen += new
            if words in seen:
                return time.monotonic()
    raise TimeoutError(f"{words!r} never came; last: {seen[-500:]!r}")


def _drain(terminal: int, seconds: float) -> int:
    total, deadline = 0, time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            total += len(os.read(terminal, 65536))
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scans", nargs="?", type=int, default=SCANS)
    parser.add_argument("--json")
    options = parser.parse_args()
    scans = options.scans
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = make_project(folder, scans)
        runs = [measure(root, folder) for _ in range(3)]
    paints = ", ".join(f"{one.first_paint_s:.2f}" for one in runs)
    print(f"{scans:,} scans, 120×40, three runs")
    print(f"first paint after import textual: {paints} s (at most 0.60)")
    print(f"memory: {max(one.settled_rss_mb for one in runs):.0f} MiB (at most 120)")
    print(f"idle for {IDLE_S:.0f} s: {max(one.idle_bytes for one in runs)} bytes written (0)")
    rows = [
        {"what": "first paint", "size": scans, "unit": "s",
         "ours": statistics.median(one.first_paint_s for one in runs)},
        {"what": "memory", "size": scans, "unit": "MiB",
         "ours": max(one.settled_rss_mb for one in runs)},
        {"what": "idle", "size": scans, "unit": "of a core",
         "ours": max(one.idle_cpu for one in runs)},
    ]  # fmt: skip
    figures("tui_app", rows, options.json)
    print(f"idle CPU: {max(one.idle_cpu for one in runs):.1%} of one core (below 1 %)")


if __name__ == "__main__":
    main()
