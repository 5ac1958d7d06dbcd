"""New contents of a few files: taken in as an index of all scans would, without comparing them."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pydicom
import pytest
from PIL import Image

from coldal_tui.errors import ColdalError
from coldal_tui.project.database.store import Store
from coldal_tui.project.project import Project
from coldal_tui.project.scans import few_changed, indexing
from coldal_tui.project.scans.indexing import IndexReport, reindex
from tests.support.dicom_files import SLICES, save, write_series
from tests.support.small_projects import write_image

FOLDERS = ("a/one.png", "a/two.png", "b/three.png", "b/four.png", "four.png", "a/one_mask.png")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\S+")
TABLES = ("scans", "files", "problems", "scores", "labels", "quarantine", "queue", "scan_uids")


def _labelled(root: Path, *, pattern: str = "", dicom: bool = False) -> None:
    """Six pictures and a text file; one labelled, one scored, one queued."""
    for number, name in enumerate(FOLDERS):
        write_image(root / "images" / name, number)
    (root / "images" / "notes.txt").write_text("no picture")
    if dicom:
        _series(root / "images" / "known", "1.8.1")
        _series(root / "images" / "gap", "1.8.2", left_out=(2,))
    Project.create(root / "p", root / "images").close()
    if pattern:
        file = root / "p" / "coldal.toml"
        text = file.read_text("utf-8")
        line = f"[images]\npatients_pattern = '{pattern}'\n"
        file.write_text(text.replace("[images]\n", line, 1), "utf-8")
    with Project(root / "p") as project:
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
        assert sum(scan.kind == "dicom" for scan in project.scans()) == dicom


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
    _swap_files(images / "a/one.png", images / "a/two.png")


def _swap_files(first: Path, second: Path) -> None:
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


def _add(images: Path) -> None:
    write_image(images / "c/two.png", 50)  # a name that is taken
    write_image(images / "c/five.png", 51)


def _remove(images: Path) -> None:
    (images / "b/three.png").unlink()
    (images / "b/four.png").unlink()


def _move(images: Path) -> None:
    (images / "c").mkdir()
    (images / "a/two.png").rename(images / "c/other.png")
    (images / "b/three.png").rename(images / "three.png")


def _move_and_rewrite(images: Path) -> None:
    (images / "b/three.png").rename(images / "three.png")
    write_image(images / "a/two.png", 78)


def _add_copy(images: Path) -> None:
    shutil.copy(images / "a/one.png", images / "copy.png")


def _add_equal(images: Path) -> None:
    write_image(images / "new.png", 60)
    write_image(images / "newer.png", 60)


def _add_mask(images: Path) -> None:
    Image.new("L", (8, 8), 1).save(images / "a/two_mask.png")


def _add_scan_of_mask(images: Path) -> None:
    write_image(images / "b/one.png", 61)


def _add_text(images: Path) -> None:
    (images / "more.txt").write_text("no picture")


def _text_comes_goes_and_changes(images: Path) -> None:
    (images / "notes.txt").write_text("other words")
    (images / "c").mkdir()
    (images / "c/table.csv").write_text("a,b")
    (images / "c/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")


def _remove_text(images: Path) -> None:
    (images / "notes.txt").unlink()


def _text_becomes_a_picture(images: Path) -> None:
    write_image(images / "notes.png", 70)
    (images / "notes.png").rename(images / "notes.txt")


def _series(folder: Path, uid: str, left_out: tuple[int, ...] = ()) -> None:
    """A DICOM series of five slices; of those left out there is no file."""
    for k, ds in enumerate(write_series(folder).slices):
        (folder / f"{SLICES - k}.dcm").unlink()
        ds.SeriesInstanceUID, ds.PatientID = uid, f"patient of {uid}"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{uid}.{k}"
        if k not in left_out:
            save(ds, folder / f"{uid}-{k}.dcm")


def _add_series(images: Path) -> None:
    _series(images / "d", "1.9.1")
    _series(images / "e", "1.9.2")
    write_image(images / "e/five.png", 51)


def _add_series_with_a_gap(images: Path) -> None:
    _series(images / "d", "1.9.1", left_out=(2,))


def _add_series_twice(images: Path) -> None:
    _series(images / "d", "1.9.1")
    shutil.copytree(images / "d", images / "e")


def _add_slice_of_known_series(images: Path) -> None:
    _series(images / "e", "1.8.1")
    for path in sorted((images / "e").iterdir())[1:]:
        path.unlink()


def _add_files_of_a_known_gap(images: Path) -> None:
    _series(images / "e", "1.8.2")
    for path in (images / "e").glob("*-[0134].dcm"):
        path.unlink()


def _remove_slice(images: Path) -> None:
    (images / "known/1.8.1-0.dcm").unlink()


def _write_slice(images: Path) -> None:
    path = images / "known/1.8.1-0.dcm"
    ds = pydicom.dcmread(path)
    ds.PatientID = "somebody else"
    ds.save_as(path)


def _remove_scan_of_mask(images: Path) -> None:
    (images / "a/one.png").unlink()


def _move_mask(images: Path) -> None:
    (images / "a/one_mask.png").rename(images / "b/four_mask.png")


def _copy_and_rewrite(images: Path) -> None:
    shutil.copy(images / "a/two.png", images / "b/copy.png")
    write_image(images / "a/two.png", 78)


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
        (_add, True, ()),
        (_remove, True, ()),
        (_move, True, ()),
        (_move_and_rewrite, True, ("two",)),
        (_add_copy, False, ()),
        (_add_equal, False, ()),
        (_add_mask, False, ()),
        (_add_scan_of_mask, False, ()),
        (_add_text, True, ()),
        (_text_comes_goes_and_changes, True, ()),
        (_remove_text, True, ()),
        (_text_becomes_a_picture, False, ()),
        (_add_series, True, ()),
        (_add_series_with_a_gap, True, ()),
        (_add_series_twice, True, ()),
        (_add_slice_of_known_series, False, ()),
        (_add_files_of_a_known_gap, False, ()),
        (_remove_slice, False, ()),
        (_write_slice, False, ("known-s1",)),
        (_remove_scan_of_mask, False, ()),
        (_move_mask, False, ()),
        (_copy_and_rewrite, False, ()),
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
    _labelled(tmp_path / "few", dicom=True)
    edit(tmp_path / "few" / "images")
    shutil.copytree(tmp_path / "few", tmp_path / "all")
    whole: list[int] = []
    read_all = indexing._known
    monkeypatch.setattr(indexing, "_known", lambda project: whole.append(1) or read_all(project))
    reports: list[IndexReport] = []
    for name in ("few", "all"):
        if name == "all":
            monkeypatch.setattr(indexing, "few_changed", lambda *_: None)
        with Project(tmp_path / name / "p") as project:
            reports.append(reindex(project))
    assert len(whole) == (1 if quick else 2)
    assert reports[0].changed == changed
    assert reports[0].suspended == (("one",) if "one" in changed else ())
    assert reports[0] == reports[1]
    assert _state(tmp_path / "few") == _state(tmp_path / "all")


def _text(images: Path, rng: random.Random) -> None:
    """A file without a scan comes, changes or goes."""
    path = images / f"{rng.choice('abc')}.txt"
    if path.exists() and rng.random() < 0.5:
        path.unlink()
    else:
        path.write_text(str(rng.random()))


def _some_series(images: Path, rng: random.Random) -> None:
    """A series comes, whole or not, or a slice of one goes."""
    number = rng.randrange(3)
    folder = images / f"s{number}"
    if not folder.exists():
        _series(folder, f"1.7.{number}", left_out=rng.choice([(), (), (2,), (0, 1, 2, 3)]))
    elif there := sorted(folder.iterdir()):
        rng.choice(there).unlink()
    else:
        folder.rmdir()


OTHERS = ("x.png", "x_mask.png", "x_t1.png", "thumbs/x.png", "p9/x.png", "p9/img_1.png", "y.png")


def _any_edit(images: Path, rng: random.Random) -> None:
    """One of the things that happen to a folder of pictures."""
    there = sorted(path for path in images.rglob("*.png"))
    if rng.random() < 0.2:
        rng.choice((_text, _some_series))(images, rng)
        return
    one = rng.choice(there)
    fresh = [images / name for name in (*OTHERS, *FOLDERS) if not (images / name).exists()]
    target = rng.choice(fresh or there)
    target.parent.mkdir(exist_ok=True)
    what = rng.choice(("add", "add", "copy", "remove", "move", "move", "write", "touch", "swap"))
    if what == "add":
        size = rng.choice([(8, 8), (4, 4)])
        write_image(target, rng.randrange(100, 10_000), size)
    elif what == "copy":
        shutil.copy(one, target)
    elif what == "remove" and len(there) > 1:
        one.unlink()
    elif what == "move" and one != target:
        one.rename(target)
    elif what == "write":
        write_image(one, rng.randrange(100, 10_000))
    elif what == "touch":
        os.utime(one, ns=(7, rng.randrange(10**9)))
    elif what == "swap":
        _swap_files(one, rng.choice(there))


@pytest.mark.parametrize("seed", range(8))
def test_any_edits_end_as_an_index_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Ten times some edits: scans, patients, copies, files and the report are those of all."""
    rng = random.Random(seed)
    _labelled(tmp_path / "few", pattern="^(p\\d|[abc])/" if seed % 2 else "")
    (tmp_path / "few" / "images" / "a/one_mask.png").unlink()
    quick = indexing.few_changed
    taken = []
    for _ in range(10):
        for _ in range(rng.randint(1, 3)):
            _any_edit(tmp_path / "few" / "images", rng)
        shutil.rmtree(tmp_path / "all", ignore_errors=True)
        shutil.copytree(tmp_path / "few", tmp_path / "all")
        with Project(tmp_path / "few" / "p") as project:
            monkeypatch.setattr(
                indexing, "few_changed", lambda *all_: taken.append(quick(*all_)) or taken[-1]
            )
            few = reindex(project)
        with Project(tmp_path / "all" / "p") as project:
            monkeypatch.setattr(indexing, "few_changed", lambda *_: None)
            assert reindex(project) == few
        assert _state(tmp_path / "few") == _state(tmp_path / "all")
    assert any(taken)


def test_a_folder_of_which_nothing_is_left_is_still_refused(tmp_path: Path) -> None:
    _labelled(tmp_path)
    for path in (tmp_path / "images").rglob("*.png"):
        path.unlink()
    write_image(tmp_path / "images" / "other.png", 99)
    with Project(tmp_path / "p") as project, pytest.raises(ColdalError) as caught:
        reindex(project)
    assert caught.value.code == "all-gone"


@pytest.mark.parametrize("survive", [0, 1, 3, 5])
def test_one_that_is_cut_short_is_completed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survive: int
) -> None:
    _labelled(tmp_path / "few")
    _move_and_rewrite(tmp_path / "few" / "images")
    write_image(tmp_path / "few" / "images" / "c/five.png", 51)
    shutil.copytree(tmp_path / "few", tmp_path / "all")

    def dying(store: Store, writes: Iterable[Callable[[], object]]) -> None:
        with store.transaction():
            for write in islice(writes, survive):
                write()
        raise InterruptedError

    with Project(tmp_path / "few" / "p") as project:
        with monkeypatch.context() as patched:
            patched.setattr(few_changed, "write_shortly", dying)
            with pytest.raises(InterruptedError):
                reindex(project)
        reindex(project)
    monkeypatch.setattr(indexing, "few_changed", lambda *_: None)
    with Project(tmp_path / "all" / "p") as project:
        reindex(project)
    few, whole = _state(tmp_path / "few"), _state(tmp_path / "all")
    assert {name: few[name] for name in TABLES} == {name: whole[name] for name in TABLES}


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
