"""A project opened from Python: what its tables hold, that nothing is written, what goes wrong."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import coldal_tui
from coldal_tui.api import (
    LABEL_COLUMNS,
    MAP_COLUMNS,
    MINUTE_COLUMNS,
    QUARANTINE_COLUMNS,
    SCAN_COLUMNS,
)
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.maps import save_map
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project
from tests.support.places import ROOT
from tests.support.small_projects import write_mask


def open_records(project: Path) -> coldal_tui.api.OpenProject[coldal_tui.api.Records]:
    return coldal_tui.open(project, frames="records")


def test_the_queue_has_the_keys_and_rows_of_the_command_line(queued: Path) -> None:
    with open_records(queued) as project:
        rows = project.queue()
    assert [(row["scan_id"], row["rank"], row["status"]) for row in rows] == [
        ("scan_0", 1, "queued"),
        ("scan_1", 2, "queued"),
        ("scan_2", 3, "queued"),
    ]
    keys = "scan_id, rank, round, role, cluster, score, entropy, diversity, status, path, terms"
    assert set(keys.split(", ")) <= set(rows[0])
    assert keys in (ROOT / "README.md").read_text()


def test_scans_with_shape_and_path(project: Path) -> None:
    rows = open_records(project).scans()
    assert [row["scan_id"] for row in rows] == [f"scan_{n}" for n in range(6)]
    assert (rows[0]["shape"], rows[0]["usable"]) == ([8, 8], True)
    assert Path(rows[0]["path"]).is_file()
    assert tuple(rows[0]) == SCAN_COLUMNS


def test_labels_after_an_import(queued: Path, tmp_path: Path) -> None:
    write_mask(tmp_path / "masks" / "scan_0.png")
    write_mask(tmp_path / "masks" / "scan_1.png", shape=(9, 9))
    with Project(queued) as project:
        import_masks(project, tmp_path / "masks")
    opened = open_records(queued)
    (label,) = opened.labels()
    # Drawn by hand: rows 2 to 4, columns 2 to 5.
    assert (label["scan_id"], label["voxels"]) == ("scan_0", {"foreground": 12})
    assert tuple(label) == LABEL_COLUMNS
    (refused,) = opened.quarantine()
    assert refused["source"].endswith("scan_1.png")
    assert tuple(refused) == QUARANTINE_COLUMNS


def add_map(project: Path, vectors: np.ndarray) -> None:
    """Vectors, and a map on which scan_n lies at (n, -n)."""
    names = tuple(f"scan_{n}" for n in range(6))
    with Project(project) as opened:
        shard = opened.layout.embeddings / "e" / "shard-0.npy"
        shard.parent.mkdir(parents=True)
        np.save(shard, vectors)
        line = np.arange(6, dtype=float)
        save_map(opened.layout.maps / "map-1.npz", names, np.column_stack([line, -line]))
        with opened.store.action("test") as action:
            action.summary = "made by hand"
            opened.store.insert("encoders", encoder_hash="e", name="x", dim=2, record="{}")
            digest = hashlib.sha256(shard.read_bytes()).hexdigest()
            opened.store.insert(
                "shards",
                shard_id=1,
                encoder_hash="e",
                file=opened.layout.relative(shard),
                sha256=digest,
                created_at="2026-01-01",
            )
            for row, name in enumerate(names):
                hashed = opened.scan(name).quick_hash
                opened.store.insert(
                    "embeddings",
                    encoder_hash="e",
                    scan_id=name,
                    quick_hash=hashed,
                    shard_id=1,
                    shard_row=5 - row,
                )


def test_vectors_in_the_order_of_scan_ids(queued: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(6, 2)
    add_map(queued, vectors)
    monkeypatch.setattr(Project, "current_encoder_hash", lambda self: "e")
    opened = open_records(queued)
    names, found = opened.vectors()
    assert names == tuple(f"scan_{n}" for n in range(6))
    # Row 5 of the shard is that of scan_0.
    assert found.tolist() == vectors[::-1].tolist()
    assert opened.embeddings()[0] == {"scan_id": "scan_0", "vector": [10.0, 11.0]}
    (queued / ".coldal/embeddings/e/shard-0.npy").write_bytes(b"other")
    with pytest.raises(ColdalError, match="missing or was changed"):
        opened.vectors()


def test_before_anything_was_done_the_tables_are_empty(project: Path) -> None:
    opened = open_records(project)
    assert opened.queue() == opened.labels() == opened.runs() == opened.rounds() == []
    assert (opened.map(), opened.embeddings(), opened.vectors()[0]) == ([], [], ())
    assert opened.status()["scans"] == 6


def test_nothing_is_written(queued: Path) -> None:
    def state() -> dict[str, Any]:
        kept = (
            p for p in queued.rglob("*") if p.is_file() and not p.name.endswith(("-shm", "-wal"))
        )
        return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept}

    before = state()
    with open_records(queued) as project:
        project.status()
        project.scans()
        project.queue()
        project.map()
        project.why("scan_0")
    assert state() == before


def test_a_folder_below_a_project_is_in_it(project: Path) -> None:
    assert coldal_tui.open(project / "exports").root == project
    assert str(project) in repr(coldal_tui.open(project))


def test_what_is_no_project_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no coldal\.toml here"):
        coldal_tui.open(tmp_path)
    with pytest.raises(UsageError, match="no such project"):
        coldal_tui.open(tmp_path / "gone")


class FakeFrame:
    """Keeps what it was made of."""

    def __init__(self, data: Any, **how: Any) -> None:
        self.data, self.how = data, how


def fake(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType(name)
    module.DataFrame = FakeFrame  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_frames_are_made_of_the_same_rows(
    name: Any, queued: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(name, monkeypatch)
    opened = coldal_tui.open(queued, frames=name)
    assert opened.queue().data == open_records(queued).queue()
    assert opened.map().data == {column: [] for column in MAP_COLUMNS}


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_real_frames_hold_every_row(name: Any, queued: Path) -> None:
    library = pytest.importorskip(name)
    opened = coldal_tui.open(queued, frames=name)
    queue = opened.queue()
    assert isinstance(queue, library.DataFrame)
    assert list(queue["scan_id"]) == ["scan_0", "scan_1", "scan_2"]
    assert list(opened.map().columns) == list(MAP_COLUMNS)
    assert len(opened.scans()) == 6


def test_a_library_that_is_absent_is_named(queued: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pandas is not installed"):
        coldal_tui.open(queued, frames="pandas")
    with pytest.raises(UsageError, match="no kind of table"):
        coldal_tui.open(queued, frames="excel")  # type: ignore[arg-type]


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "coldal_tui" / "py.typed").is_file()


def test_minutes_of_drawings_and_releases(queued: Path, tmp_path: Path) -> None:
    write_mask(tmp_path / "ana" / "scan_0.png")
    with Project(queued) as project:
        import_masks(project, tmp_path / "ana")
    opened = open_records(queued)
    (drawn,) = opened.minutes()
    assert tuple(drawn) == MINUTE_COLUMNS
    assert (drawn["scan_id"], drawn["minutes"], drawn["how"]) == ("scan_0", None, "")
    assert opened.releases() == []
