"""A project in the middle of its second round, the same to the last byte whenever it is made.

Images, masks, selection, export and import are real; embedding, training and scoring are written
as their workers would leave them, with values drawn from fixed seeds.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image

from coldal_compute.select_step import select
from coldal_tui.files import sha256_file
from coldal_tui.imaging.labelfile import write_label
from coldal_tui.jobs.spec import OutputFile, Receipt, Silent
from coldal_tui.maps import save_map
from coldal_tui.project.database.store import Store
from coldal_tui.project.export.exporting import export_queue
from coldal_tui.project.job_rows import get_job
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.settings.config import edit_config
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.commit import commit_receipt
from coldal_tui.scheduler.planning import build_spec
from tests.support.places import SAMPLE

SAMPLE = SAMPLE / "cxr"
Wrote = tuple[Mapping[str, Any], Sequence[str]]


class Clock:
    """UTC, from Monday 2 March 2026 at nine; a minute later every time it is asked."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self, _store: Store) -> str:
        self.at += timedelta(minutes=1)
        return self.at.isoformat(timespec="seconds")

    def next_day(self) -> None:
        self.at = self.at.replace(hour=9, minute=0) + timedelta(days=1)


def make_showcase(folder: Path) -> Path:
    """``folder/lungs``: round 0 labelled, a run, round 1 half out, a mask in quarantine."""
    clock = Clock()
    with mock.patch.object(Store, "now", lambda store: clock(store)):
        shutil.copytree(SAMPLE / "images", folder / "images")
        shutil.copy(SAMPLE / "metadata.csv", folder / "metadata.csv")
        with Project.create(folder / "lungs", folder / "images") as project:
            _configure(project)
            reindex(project)
            _embed(project)
            _map(project)
            _select(project, 10)
            _label(project, clock, folder / "drawn")
            _train(project)
            _score(project)
            _select(project, 8)
            _score(project)
            export_queue(project, top=3, assign=("ana", "ben"))
            _quarantine(project, folder / "late")
            return project.root


def _configure(project: Project) -> None:
    changes: dict[tuple[str, str], Any] = {
        ("classes", "names"): ("lung",),
        ("budget", "total"): 40,
        ("images", "patients_csv"): "../metadata.csv",
    }
    edit_config(project.layout.config, changes)
    project.reload_config()


def _job(
    project: Project,
    kind: str,
    write: Callable[[Path, Any], Wrote],
    request: Mapping[str, Any] | None = None,
) -> None:
    number = queue.submit(project, kind, request)
    spec = build_spec(project, kind, request or {})
    assert spec is not None
    folder = get_job(project, number).folder
    queue.start(project, number)
    folder.prepare(spec)
    result, files = write(folder.path, spec)
    outputs = tuple(
        OutputFile(name, sha256_file(folder.path / name), (folder.path / name).stat().st_size)
        for name in files
    )
    folder.write_receipt(Receipt(str(number), kind, outputs, dict(result)))
    commit_receipt(project, number)


def _embed(project: Project) -> None:
    def write(folder: Path, spec: Any) -> Wrote:
        ids = [scan.scan_id for scan in spec.scans]
        vectors = np.random.default_rng(1).normal(size=(len(ids), 8)).astype(np.float32)
        np.save(folder / "shard.npy", vectors)
        shard = {"file": "shard.npy", "sha256": sha256_file(folder / "shard.npy"), "scan_ids": ids}
        result = {"encoder_hash": "ab" * 32, "encoder": "efficientnet-lite0", "dim": 8}
        return result | {"record": {}, "shards": [shard]}, ["shard.npy"]

    _job(project, "embed", write)


def _map(project: Project) -> None:
    """Four groups of different sizes."""

    def write(folder: Path, _spec: Any) -> Wrote:
        ids = tuple(scan.scan_id for scan in project.scans())
        rng = np.random.default_rng(3)
        centres = np.array([[-20, 8], [14, 16], [10, -14], [-8, -18]])
        group = rng.choice(4, size=len(ids), p=[0.45, 0.25, 0.2, 0.1])
        xy = centres[group] + rng.normal(scale=(4.5, 3.5), size=(len(ids), 2))
        save_map(folder / "map.npz", ids, np.round(xy, 3))
        told = {"method": "tsne", "perplexity": 19.7, "distinct": len(ids), "placed": 0}
        return told | {"file": "map.npz", "scans": len(ids)}, ["map.npz"]

    _job(project, "map", write)


def _select(project: Project, size: int) -> None:
    def write(folder: Path, spec: Any) -> Wrote:
        result = select(spec, folder, Silent())
        return result.result, result.files

    _job(project, "select", write, {"budget": size, "validation": 2})


def _label(project: Project, clock: Clock, drawn: Path) -> None:
    """The masks of the queue come back on three days."""
    export_queue(project, assign=("ana", "ben"))
    rows = project.store.rows("SELECT scan_id FROM queue ORDER BY rank")
    names = [f"{row['scan_id']}.png" for row in rows]
    for start in (0, 3, 7):
        clock.next_day()
        day = drawn / str(start)
        day.mkdir(parents=True)
        for name in names[start : {0: 3, 3: 7, 7: None}[start]]:
            shutil.copy(SAMPLE / "masks" / name, day / name)
        import_masks(project, day)


def _train(project: Project) -> None:
    def write(_folder: Path, spec: Any) -> Wrote:
        rng = np.random.default_rng(11)
        scans = {}
        for case in spec.validation:
            dice = round(float(rng.uniform(0.86, 0.95)), 3)
            value = {"dice": dice, "hd": 31.0, "hd95": round(80 * (1 - dice), 1), "unit": "px"}
            scans[case.scan.scan_id] = {"lung": value}
        values = [scan["lung"] for scan in scans.values()]
        mean = {key: float(np.mean([v[key] for v in values])) for key in ("dice", "hd", "hd95")}
        counts = {"scans": len(scans), "missed": 0, "spurious": 0, "both_empty": 0}
        classes = {"lung": mean | {"unit": "px"} | counts}
        told = {"validation": {"mean": mean, "classes": classes, "scans": scans}, "steps": 240}
        return told, []

    _job(project, "train", write)


def _score(project: Project) -> None:
    """Entropies for all that has none, and predictions of what is queued: masks, shifted."""
    spec = build_spec(project, "score", {})
    if spec is None:
        return

    def write(folder: Path, spec: Any) -> Wrote:
        names = [scan.scan_id for scan in project.scans()]
        drawn = np.random.default_rng(5).beta(2, 9, len(names)).tolist()
        of = {name: round(value, 4) for name, value in zip(names, drawn, strict=True)}
        entropies = {scan.scan_id: of[scan.scan_id] for scan in spec.scans}
        (folder / "entropies.json").write_text(json.dumps(entropies))
        (folder / "predictions").mkdir()
        predicted = []
        for name in spec.predict:
            with Image.open(SAMPLE / "masks" / f"{name}.png") as mask:
                label = (np.asarray(mask) == 255).astype(np.uint8)
            file = f"predictions/{name}.png"
            write_label(folder / file, np.roll(label, 6, axis=1), None)
            predicted.append(file)
        return {"entropies": "entropies.json"}, ["entropies.json", *predicted]

    _job(project, "score", write)


def _quarantine(project: Project, late: Path) -> None:
    """An empty mask: nobody has confirmed that there is nothing to see."""
    late.mkdir()
    row = project.store.row("SELECT scan_id FROM queue WHERE status = 'exported' ORDER BY rank")
    assert row is not None
    name = f"{row['scan_id']}.png"
    with Image.open(SAMPLE / "masks" / name) as mask:
        Image.new("L", mask.size).save(late / name)
    import_masks(project, late)
