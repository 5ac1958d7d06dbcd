"""New contents of a few files: taken in as an index of all scans would, without comparing them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from coldal_tui.project.project import Project
from coldal_tui.project.scans import indexing
from coldal_tui.project.scans.indexing import IndexReport, reindex
from tests.support.small_projects import write_image

FOLDERS = ("a/one.png", "a/two.png", "b/three.png", "b/four.png", "four.png", "a/one_mask.png")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\S+")
TABLES = ("scans", "files", "problems", "scores", "labels", "quarantine", "queue")


def _labelled(root: Path) -> None:
    """Six pictures and a text file; one labelled, one scored, one queued."""
    for number, name in enumerate(FOLDERS):
        write_image(root / "images" / name, number)
    (root / "images" / "notes.txt").write_text("no picture")
    with Project.create(root / "p", root / "images") as project:
        reindex(project)
        store = project.store
        with store.transaction():
            for scan_id in ("one", "two"):
                store.insert("scores", run_id="run-001", scan_id=scan_id, entropy=0.5)
            store.insert(
                "labels", scan_id="one", version=1, file="one.png", sha256="x", state="active",
                role="train", source="mask.png", source_sha256="y", format="png", geometry="",
                notes=[], voxels={}, created_at=store.now(),
            )  # fmt: skip
            store.insert(
                "queue", scan_id="one", round=0, rank=1, role="medoid", status="labelled", terms={}
            )
        assert [scan.scan_id for scan in project.scans()][:1] == ["b-four"]


def _rewrite(images: Path) -> None:
    write_image(images / "a/one.png", 77)
    write_image(images / "a/two.png", 78)


def _touch(images: Path) -> None:
    os.utime(images / "a/two.png", ns=(5, 5))


def _other_shape(images: Path) -> None:
    write_image(images / "a/one.png", 77, (9, 8))


def _copy(images: Path) -> None:
    shutil.copy(images / "a/one.png", images / "a/two.png")


def _swap(images: Path) -> None:
    first, second = images / "a/one.png", images / "a/two.png"
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)


def _replace(images: Path) -> None:
    (images / "a/one.png").unlink()
    write_image(images / "a/new.png", 99)


def _damage(images: Path) -> None:
    (images / "a/one.png").write_bytes(b"no picture")


def _equal_news(images: Path) -> None:
    write_image(images / "a/one.png", 77)
    write_image(images / "a/two.png", 77)


def _mask(images: Path) -> None:
    Image.new("L", (8, 8), 1).save(images / "a/one_mask.png")


def _state(root: Path) -> dict[str, Any]:
    with Project(root / "p", readonly=True) as project:
        found = {
            name: [
                [_TIME.sub("", one) if isinstance(one, str) else one for one in row]
                for row in project.store.tuples(f"SELECT * FROM {name} ORDER BY 1")
            ]
            for name in TABLES
        }
        found["last"] = project.store.value("SELECT summary FROM audit ORDER BY audit_id DESC")
    return found


@pytest.mark.parametrize(
    ("edit", "quick", "changed"),
    [
        (_rewrite, True, ("one", "two")),
        (_touch, True, ()),
        (_other_shape, False, ("one",)),
        (_copy, False, ("two",)),
        (_swap, False, ()),
        (_replace, False, ()),
        (_damage, False, ()),
        (_equal_news, False, ("one", "two")),
        (_mask, False, ("one_mask",)),
    ],
)
def test_it_ends_as_an_index_of_all(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    edit: Callable[[Path], None],
    quick: bool,
    changed: tuple[str, ...],
) -> None:
    _labelled(tmp_path / "few")
    edit(tmp_path / "few" / "images")
    shutil.copytree(tmp_path / "few", tmp_path / "all")
    whole: list[int] = []
    read_all = indexing._known
    monkeypatch.setattr(indexing, "_known", lambda project: whole.append(1) or read_all(project))
    reports: list[IndexReport] = []
    for name in ("few", "all"):
        if name == "all":
            monkeypatch.setattr(indexing, "few_changed", lambda project, walk, last: None)
        with Project(tmp_path / name / "p") as project:
            reports.append(reindex(project))
    assert len(whole) == (1 if quick else 2)
    assert reports[0].changed == changed
    assert reports[0].suspended == (("one",) if "one" in changed else ())
    assert reports[0] == reports[1]
    assert _state(tmp_path / "few") == _state(tmp_path / "all")


def test_after_it_nothing_has_changed(tmp_path: Path) -> None:
    _labelled(tmp_path)
    _rewrite(tmp_path / "images")
    with Project(tmp_path / "p") as project:
        reindex(project)
        again = reindex(project)
        assert (again.changed, again.read) == ((), 0)
        summary = project.store.value("SELECT summary FROM audit ORDER BY audit_id DESC LIMIT 1")
    assert summary == "indexed 6 scans: nothing has changed"


def test_other_settings_compare_all_scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _labelled(tmp_path)
    _rewrite(tmp_path / "images")
    file = tmp_path / "p" / "coldal.toml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("[images]\n", '[images]\nexclude = ["b"]\n', 1), "utf-8")
    with Project(tmp_path / "p") as project:
        report = reindex(project)
    assert (report.changed, report.removed) == (("one", "two"), ("b-four", "three"))
