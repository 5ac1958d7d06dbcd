"""Small projects made from tiny pictures, with queue rows put in by hand: no job ever runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from coldal_tui.files import sha256_file
from coldal_tui.maps import save_clusters
from coldal_tui.project.project import Project, encoder_key
from coldal_tui.project.scans.indexing import reindex

QUEUED = (
    ("scan_0", 1, "medoid", {"cluster_size": 3, "summed_distance": 4.25}),
    (
        "scan_1",
        2,
        "farthest-point",
        {"distance": 1.5, "nearest": "scan_0", "order": 1, "places": 2, "quota": 1.75},
    ),
    ("scan_2", 3, "validation", {"patient": "scan:scan_2"}),
)


@dataclass(frozen=True)
class Result:
    """What a call left behind: standard output, standard error, exit status."""

    out: str
    err: str
    status: int

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Result]


def write_image(path: Path, seed: int, shape: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_mask(path: Path, value: int = 1, shape: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(shape, np.uint8)
    pixels[2:5, 2:6] = value
    Image.fromarray(pixels).save(path)


def make_project(folder: Path) -> Path:
    """``folder/lungs`` with six scans, scan_0 to scan_5, of ``folder/images``."""
    for number in range(6):
        write_image(folder / "images" / f"scan_{number}.png", number)
    with Project.create(folder / "lungs", folder / "images") as made:
        reindex(made)
    return folder / "lungs"


def add_embeddings(project: Path, vectors: NDArray[np.float32]) -> None:
    """One row of ``vectors`` for each scan, in the order of the project, by its own encoder."""
    with Project(project) as opened:
        file = opened.layout.embeddings / "shard.npy"
        np.save(file, vectors)
        store = opened.store
        with store.transaction():
            store.replace("meta", key=encoder_key(opened.encoder), value="hash")
            shard_id = store.insert(
                "shards",
                encoder_hash="hash",
                file=opened.layout.relative(file),
                sha256=sha256_file(file),
                created_at=store.now(),
            )
            for row, scan in enumerate(opened.scans()):
                store.insert(
                    "embeddings",
                    encoder_hash="hash",
                    scan_id=scan.scan_id,
                    quick_hash=scan.quick_hash,
                    shard_id=shard_id,
                    shard_row=row,
                )


def add_round(project: Path) -> None:
    """A round 0: clusters of four and two scans, three scans queued."""
    with Project(project) as opened:
        names = tuple(f"scan_{n}" for n in range(6))
        file = opened.layout.maps / "clusters-0.npz"
        save_clusters(file, names, np.array([0, 0, 0, 0, 1, 1]), 2)
        opened.store.insert(
            "rounds",
            round=0,
            strategy="coldstart",
            seed=7,
            alpha=None,
            budget=3,
            map_id=1,
            run_id=None,
            clusters=opened.layout.relative(file),
            k=2,
            silhouettes=[[2, 0.75], [3, 0.5]],
            params={"notes": []},
            created_at="2026-01-01T00:00:00+00:00",
        )
        add_to_queue(opened, QUEUED)


def add_to_queue(
    opened: Project, rows: Sequence[tuple[str, int, str, dict[str, Any]]], **values: Any
) -> None:
    for scan_id, rank, role, terms in rows:
        row = {"round": 0, "cluster": 0, "status": "queued"} | values
        opened.store.insert("queue", scan_id=scan_id, rank=rank, role=role, terms=terms, **row)


def set_config(project: Path, old: str, new: str) -> None:
    """Replace one line's text in coldal.toml; it must be there."""
    file = project / "coldal.toml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


@pytest.fixture(scope="session")
def plain_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: a copy costs none of the waiting for the disk that a new database does."""
    return make_project(tmp_path_factory.mktemp("plain")).parent


@pytest.fixture(scope="session")
def queued_template(plain_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("queued") / "copy"
    shutil.copytree(plain_template, folder)
    add_round(folder / "lungs")
    return folder


@pytest.fixture
def project(plain_template: Path, tmp_path: Path) -> Path:
    """A project of six scans, nothing selected; its images lie beside it."""
    shutil.copytree(plain_template, tmp_path, dirs_exist_ok=True)
    return tmp_path / "lungs"


@pytest.fixture
def queued(project: Path, queued_template: Path) -> Path:
    """The same project with a round 0: two clusters, scan_0 to scan_2 queued."""
    shutil.rmtree(project)
    shutil.copytree(queued_template / "lungs", project)
    return project


@pytest.fixture
def images(project: Path) -> Path:
    """Six pictures, scan_0.png to scan_5.png."""
    return project.parent / "images"
