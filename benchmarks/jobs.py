"""How soon a submitted job starts on this machine, over the worker's own imports.

    python benchmarks/jobs.py [--runs 10]

A job has started when its worker has noted who it is, which it does before its step. Once where
the supervisor has to be started first, and once where it runs already; medians.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import figures
from PIL import Image

from coldal_tui.project.job_rows import get_job, list_jobs
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.supervisor import ensure_supervisor, supervisor_running

POLL_S = 0.002


def imports_s() -> float:
    """A bare interpreter with the worker's imports, from its start to its end."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-P", "-c", "import coldal_launch.worker"], check=True)
    return time.monotonic() - began


def start_s(project: Project) -> float:
    """From before a job is submitted until its worker has noted who it is."""
    earlier = {job.folder.handle() for job in list_jobs(project)}
    began = time.monotonic()
    number = queue.submit(project, "embed", {"again": True, "device": "cpu"})
    ensure_supervisor(project.layout)
    # A job may go on in the folder of an earlier one, where that one's worker has its note.
    while get_job(project, number).folder.handle() in earlier | {None}:
        time.sleep(POLL_S)
    took = time.monotonic() - began
    queue.cancel(project, number)
    while not get_job(project, number).ended:
        time.sleep(0.02)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--json")
    options = parser.parse_args()
    runs = options.runs
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "images").mkdir()
        for number in range(4):
            Image.new("L", (64, 64), number * 40).save(root / "images" / f"{number}.png")
        with Project.create(root / "project", root / "images") as project:
            reindex(project)
            took: dict[str, list[float]] = {"cold": [], "warm": [], "imports": []}
            for _ in range(runs):
                took["imports"].append(imports_s())
                while supervisor_running(project.layout):
                    time.sleep(0.05)
                took["cold"].append(start_s(project))
                took["warm"].append(start_s(project))
            while supervisor_running(project.layout):
                time.sleep(0.05)
    imports, cold, warm = (statistics.median(took[key]) for key in ("imports", "cold", "warm"))
    print(f"the worker's own imports            {imports:.2f} s")
    print(f"submit to start, supervisor runs    {warm:.2f} s: {warm - imports:+.2f} s")
    print(f"submit to start, no supervisor yet  {cold:.2f} s: {cold - imports:+.2f} s")
    rows = [
        {"what": f"submit to start, {how}", "ours": ours, "unit": "s",
         "peer": "the worker's own imports", "theirs": imports, "ratio": ours / imports}
        for how, ours in (("supervisor runs", warm), ("no supervisor yet", cold))
    ]  # fmt: skip
    figures("jobs", rows, options.json)


if __name__ == "__main__":
    main()
