"""A project of 650,000 scans: what each command costs, with a real store and made-up vectors.

    python benchmarks/large_project.py [--scans 650000] [--json FILE] [--keep FOLDER]

Scans are rows; those that are picked get a picture file before they are handed out. Vectors (16
wide) and the map are random points around twelve centres, the scores random: no encoder and no
network runs. Each command is a process of its own: processor seconds, seconds by the clock and peak
memory are those of the whole process, Python's start included. A selection is three of them:
planning, the worker, and taking its result in.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring import machine
from PIL import Image
from tui_app import measure

from coldal_tui.files import sha256_file
from coldal_tui.maps import save_map
from coldal_tui.project.job_rows import get_job
from coldal_tui.project.project import Project, encoder_key
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.commit import commit_receipt
from coldal_tui.scheduler.plan_embed import plan_map
from coldal_tui.scheduler.planning import build_spec

REAL = 4
HASH, RUN, WIDTH, PICKS = "made-up", "run-001", 16, 200
Found = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=650_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="a folder for the project, which stays")
    parser.add_argument("--step", choices=("make", *STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--app", action="store_true", help="the terminal app, too")
    options = parser.parse_args()
    if options.step is not None:
        if options.step == "make":
            make(options.keep, options.scans)
        else:
            STEPS[options.step](options.keep)
        return 0
    where = machine()
    with tempfile.TemporaryDirectory() as made:
        folder = options.keep or Path(made)
        if not (folder / "project").exists():
            # In a process of its own: a command's peak begins with the memory of its parent.
            again = [sys.executable, __file__, "--keep", str(folder), "--step", "make"]
            cost([*again, "--scans", str(options.scans)])
        rows = measured(folder)
        if options.app:
            app = measure(folder / "project", folder, b"scan_0")
            rows.append(
                {"what": "app: first paint", "wall_s": app.first_paint_s,
                 "peak_mb": app.settled_rss_mb}
            )  # fmt: skip
    found = {"benchmark": "large_project", "scans": options.scans, **where, "results": rows}
    for row in rows:
        cpu = f"{row['cpu_s']:8.2f} s" if "cpu_s" in row else " " * 10
        print(f"{row['what']:44} {cpu} {row['wall_s']:8.2f} s {row['peak_mb']:6.0f} MB")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def make(folder: Path, scans: int) -> None:
    """The project's folder: scans, vectors in shards, a map."""
    rng = np.random.default_rng(0)
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for number in range(REAL):
        picture(images / f"{name_of(number)}.png")
    Project.create(folder / "project", images).close()
    settings = folder / "project" / "coldal.toml"
    text = settings.read_text("utf-8").replace("total = 100 ", f"total = {5 * PICKS} ")
    settings.write_text(text, "utf-8")
    with Project(folder / "project") as project:
        reindex(project)
        store = project.store
        columns = (
            "scan_id, rel_path, kind, files, shape, channels, dtype, patient_id, meta, "
            "quick_hash, size, added_at"
        )
        with store.transaction():
            for number in range(REAL, scans):
                name = name_of(number)
                store.execute(
                    f"INSERT INTO scans ({columns}) VALUES (?, ?, 'raster', ?, '[64,64]', 1, "
                    "'uint8', ?, '{}', ?, 4096, '2026-01-01T00:00:00+00:00')",
                    (name, f"{name}.png", f'["{name}.png"]', f"P{number // 3:06d}", f"{number:x}"),
                )
        centres = rng.normal(scale=20, size=(12, WIDTH))
        group = rng.integers(0, 12, scans)
        vectors = centres[group] + rng.normal(size=(scans, WIDTH))
        put_vectors(project, vectors.astype(np.float32))
        put_map(project, centres[group][:, :2] + rng.normal(size=(scans, 2)))


def picture(path: Path) -> None:
    pixels = np.random.default_rng(int(path.stem[5:])).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def put_vectors(project: Project, vectors: np.ndarray) -> None:
    store = project.store
    ids = store.tuples("SELECT scan_id, quick_hash FROM scans ORDER BY scan_id")
    with store.transaction():
        store.replace("meta", key=encoder_key(project.encoder), value=HASH)
        for start in range(0, len(ids), 65_536):
            file = project.layout.embeddings / f"shard-{start}.npy"
            np.save(file, vectors[start : start + 65_536])
            shard = store.insert(
                "shards", encoder_hash=HASH, file=project.layout.relative(file),
                sha256=sha256_file(file), created_at=store.now(),
            )  # fmt: skip
            for row, (name, digest) in enumerate(ids[start : start + 65_536]):
                store.execute(
                    "INSERT INTO embeddings VALUES (?, ?, ?, ?, ?)",
                    (HASH, name, digest, shard, row),
                )


def put_map(project: Project, xy: np.ndarray) -> None:
    store, spec = project.store, plan_map(project, {})
    assert spec is not None
    file = project.layout.maps / "map-001.npz"
    names = tuple(str(row[0]) for row in store.tuples("SELECT scan_id FROM scans ORDER BY scan_id"))
    save_map(file, names, xy)
    store.insert(
        "maps", encoder_hash=HASH, file=project.layout.relative(file), sha256=sha256_file(file),
        seed=spec.seed, scans=len(names), params={"vectors": spec.fingerprint},
        created_at=store.now(),
    )  # fmt: skip


def measured(folder: Path) -> list[Found]:
    project = str(folder / "project")
    ours = [sys.executable, "-m", "coldal_tui"]
    step = [sys.executable, str(Path(__file__)), "--keep", str(folder), "--step"]
    worker = [sys.executable, "-P", "-m", "coldal_launch.worker"]
    rows = []

    def note(what: str, command: list[str]) -> None:
        rows.append({"what": what, **cost(command)})
        print(f"  {what}: {rows[-1]['cpu_s']:.1f} s, {rows[-1]['peak_mb']:.0f} MB", flush=True)

    def select(what: str) -> None:
        note(f"{what}: planned", [*step, "plan"])
        with Project(folder / "project") as opened:
            job = get_job(opened, opened.store.value("SELECT max(job_id) FROM jobs"))
        note(f"{what}: worker", [*worker, str(job.folder.path)])
        note(f"{what}: taken in", [*step, "commit"])

    with Project(folder / "project") as opened:
        rounds = opened.store.value("SELECT count(*) FROM rounds")
        scored = opened.store.value("SELECT 1 FROM runs")
    note("status", [*ours, "status", project])
    select(f"select, round {rounds}")
    note("queue", [*ours, "queue", project])
    if not scored:
        # With a run, an export would first have it predict.
        with Project(folder / "project") as opened:
            for (name,) in opened.store.tuples(
                "SELECT rel_path FROM scans JOIN queue USING (scan_id)"
            ):
                picture(folder / "images" / name)
        out = str(folder / f"exported-{rounds}")
        note(f"export {PICKS}", [*ours, "export-queue", project, "--out", out])
        note("scores of a run put in", [*step, "scores"])
    if rounds == 0:
        select("select, round 1, by S(i)")
        note("status, after it", [*ours, "status", project])
    return rows


def cost(command: list[str]) -> Found:
    """Processor seconds, seconds by the clock and peak memory of one process.

    Raises RuntimeError when the command fails.
    """
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            out.seek(0)
            raise RuntimeError(f"{command}: {out.read()[-2000:].decode()}")
    return {
        "cpu_s": used.ru_utime + used.ru_stime,
        "wall_s": time.perf_counter() - began,
        "peak_mb": used.ru_maxrss / 1024,
    }


def plan(folder: Path) -> None:
    """What the supervisor does before a worker starts."""
    with Project(folder / "project") as project:
        request = {"budget": PICKS}
        number = queue.submit(project, "select", request)
        spec = build_spec(project, "select", request)
        assert spec is not None
        get_job(project, number).folder.prepare(spec)
        queue.start(project, number)


def commit(folder: Path) -> None:
    with Project(folder / "project") as project:
        commit_receipt(project, project.store.value("SELECT max(job_id) FROM jobs"))


def scores(folder: Path) -> None:
    """A run, and an entropy of it for every scan."""
    rng = np.random.default_rng(1)
    with Project(folder / "project") as project:
        store = project.store
        ids = [row[0] for row in store.tuples("SELECT scan_id FROM scans ORDER BY scan_id")]
        with store.transaction():
            store.insert(
                "runs", run_id=RUN, round=0, seed=0, train_scans=[], validation_scans=[],
                summary={}, created_at=store.now(),
            )  # fmt: skip
            for name, entropy in zip(ids, rng.random(len(ids)).tolist(), strict=True):
                store.execute(
                    "INSERT INTO scores (run_id, scan_id, entropy) VALUES (?, ?, ?)",
                    (RUN, name, entropy),
                )


def name_of(number: int) -> str:
    return f"scan_{number:07d}"


STEPS: dict[str, Callable[[Path], None]] = {"plan": plan, "commit": commit, "scores": scores}


if __name__ == "__main__":
    raise SystemExit(main())
