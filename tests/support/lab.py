"""A small lab: real picture files, a project on them, and jobs' results committed by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from coldal_tui.files import sha256_file
from coldal_tui.imaging.labelfile import write_label
from coldal_tui.jobs.spec import OutputFile, Receipt
from coldal_tui.maps import save_clusters, save_map
from coldal_tui.project.job_rows import get_job
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.commit import commit_receipt
from coldal_tui.scheduler.planning import build_spec

SIZE = (6, 9)
HASH = "ab" * 32


class Lab:
    """Folders ``images``, ``masks`` and ``project`` below one temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = folder / "images"
        self.masks = folder / "masks"
        self.root = folder / "project"
        for path in (self.images, self.masks):
            path.mkdir()
        self.committing = True
        """Whether a job's receipt is committed; else the job is left running, its worker gone."""
        self._pixels = np.random.default_rng(7)
        self._open: list[Project] = []

    def picture(self, name: str, size: tuple[int, int] = SIZE) -> Path:
        """A grey PNG below ``images`` that equals no other."""
        path = self.images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = self._pixels.integers(1, 255, size, dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    def pictures(self, *names: str) -> None:
        for name in names:
            self.picture(f"{name}.png")

    def volume(self, name: str, affine: np.ndarray, shape: tuple[int, ...] = (5, 6, 7)) -> Path:
        path = self.images / name
        nib.save(nib.Nifti1Image(self._pixels.random(shape).astype(np.float32), affine), path)
        return path

    def mask(
        self, name: str, columns: slice = slice(0, 3), value: int = 1, size: tuple[int, int] = SIZE
    ) -> Path:
        """A PNG below ``masks`` with ``value`` in some columns of its second row."""
        path = self.masks / name
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = np.zeros(size, np.uint8)
        drawn[1, columns] = value
        Image.fromarray(drawn).save(path)
        return path

    def start(self, toml: str = "", *, index: bool = True) -> Project:
        """A new project on ``images`` whose coldal.toml has ``toml`` in place of the template."""
        project = Project.create(self.root, self.images)
        if toml:
            self.configure(toml)
        project.close()
        project = self.open()
        if index:
            reindex(project)
        return project

    def open(self) -> Project:
        self._open.append(Project(self.root))
        return self._open[-1]

    def configure(self, toml: str) -> None:
        images = "" if "[images]" in toml else '[images]\ndir = "../images"\n'
        (self.root / "coldal.toml").write_text(images + toml, "utf-8")

    def close(self) -> None:
        for project in self._open:
            project.close()

    def run_job(
        self,
        project: Project,
        kind: str,
        write: Callable[[Path, Any], tuple[Mapping[str, Any], Sequence[str]]],
        request: Mapping[str, Any] | None = None,
    ) -> int:
        """A job as a worker would leave it: ``write`` makes its files and says its result."""
        number = queue.submit(project, kind, request)
        spec = build_spec(project, kind, request or {})
        folder = get_job(project, number).folder
        folder.prepare(spec)
        result, files = write(folder.path, spec)
        outputs = tuple(
            OutputFile(name, sha256_file(folder.path / name), (folder.path / name).stat().st_size)
            for name in files
        )
        folder.write_receipt(Receipt(str(number), kind, outputs, dict(result)))
        if self.committing:
            commit_receipt(project, number)
        else:
            queue.start(project, number)
        return number

    def embed(self, project: Project) -> None:
        def write(folder: Path, spec: Any) -> tuple[dict[str, Any], list[str]]:
            ids = [scan.scan_id for scan in spec.scans]
            np.save(folder / "shard.npy", np.eye(len(ids), dtype=np.float32))
            shard = {
                "file": "shard.npy",
                "sha256": sha256_file(folder / "shard.npy"),
                "scan_ids": ids,
            }
            result = {"encoder_hash": HASH, "encoder": "e", "dim": len(ids), "record": {}}
            return result | {"shards": [shard]}, ["shard.npy"]

        self.run_job(project, "embed", write)

    def map(self, project: Project, points: Mapping[str, tuple[float, float]]) -> None:
        def write(folder: Path, _spec: Any) -> tuple[dict[str, Any], list[str]]:
            ids = tuple(sorted(points))
            save_map(folder / "map.npz", ids, np.array([points[name] for name in ids], float))
            told = {"method": "tsne", "perplexity": 2.0, "distinct": len(ids), "placed": 0}
            return told | {"file": "map.npz", "scans": len(ids)}, ["map.npz"]

        self.run_job(project, "map", write)

    def select(
        self,
        project: Project,
        picks: Sequence[tuple[str, str]],
        clusters: Mapping[str, int],
        **request: Any,
    ) -> None:
        """One round: ``picks`` are (scan, role) in rank order."""

        def write(folder: Path, _spec: Any) -> tuple[dict[str, Any], list[str]]:
            ids = tuple(sorted(clusters))
            k = 1 + max(clusters.values())
            labels = np.array([clusters[name] for name in ids])
            save_clusters(folder / "clusters.npz", ids, labels, k)
            rows = [
                {
                    "scan_id": name,
                    "rank": rank,
                    "role": role,
                    "cluster": clusters[name],
                    "score": None,
                    "entropy": None,
                    "diversity": None,
                    "terms": {"cluster_size": 1},
                }
                for rank, (name, role) in enumerate(picks, start=1)
            ]
            told = {"k": k, "silhouettes": [[k, 0.5]], "estimated": False, "notes": ["a note"]}
            told |= {"clusters_file": "clusters.npz", "picks": rows, "uses_alpha": True}
            return told, ["clusters.npz"]

        self.run_job(project, "select", write, request)

    def train(self, project: Project) -> str:
        def write(_folder: Path, spec: Any) -> tuple[dict[str, Any], list[str]]:
            mean = {"dice": 0.5, "hd": 2.0, "hd95": 1.0}
            values = {"lung": mean | {"unit": "px"}}
            seen = {case.scan.scan_id: values for case in spec.validation}
            told = {"mean": mean, "classes": values} if seen else {"mean": None, "classes": {}}
            return {"validation": told | {"scans": seen}}, []

        self.run_job(project, "train", write)
        return str(project.store.value("SELECT run_id FROM runs ORDER BY run_id DESC"))

    def score(self, project: Project, entropies: Mapping[str, float]) -> None:
        """Entropies of the newest run, and predictions of the queued scans."""

        def write(folder: Path, spec: Any) -> tuple[dict[str, Any], list[str]]:
            (folder / "entropies.json").write_text(json.dumps(dict(entropies)))
            (folder / "predictions").mkdir()
            predicted = [f"predictions/{name}.png" for name in spec.predict]
            for name in predicted:
                write_label(folder / name, np.eye(*SIZE, dtype=np.uint8), None)
            return {"entropies": "entropies.json"}, ["entropies.json", *predicted]

        self.run_job(project, "score", write)

    def line(
        self,
        count: int,
        picks: Sequence[tuple[str, str]],
        clusters: Mapping[str, int] | None = None,
        toml: str = "",
        at: Mapping[str, tuple[float, float]] | None = None,
    ) -> Project:
        """Scans ``s00``, ``s01``, … at x = 0, 1, … on the map, and a first round of ``picks``."""
        names = [f"s{n:02d}" for n in range(count)]
        self.pictures(*names)
        project = self.start(toml)
        self.embed(project)
        points = {name: (float(n), 0.0) for n, name in enumerate(names)}
        self.map(project, points | dict(at or {}))
        self.select(project, picks, clusters or dict.fromkeys(names, 0))
        return project


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab whose project is open until the test ends."""
    made = Lab(tmp_path)
    yield made
    made.close()
