"""An index writes what differs, in short transactions, and survives being cut short."""

from __future__ import annotations

import os
import shutil

import pytest

from coldal_tui.project.project import Project
from coldal_tui.project.scans import few_changed, index_writes, indexing
from coldal_tui.project.scans.indexing import reindex


@pytest.fixture
def counted(monkeypatch):
    """How many writes each call of ``write_shortly`` was handed."""
    found = []

    def spy(store, writes):
        listed = list(writes)
        found.append(len(listed))
        write(store, listed)

    write = indexing.write_shortly
    for module in (indexing, few_changed):
        monkeypatch.setattr(module, "write_shortly", spy)
    return found


def _paths(project: Project) -> dict[str, str]:
    return {scan.scan_id: scan.rel_path for scan in project.scans() if scan.state == "present"}


def test_an_unchanged_folder_is_told_by_its_digest(lab, monkeypatch):
    lab.pictures("a", "b")
    (lab.images / "notes.txt").write_text("hello")
    shutil.copy(lab.images / "a.png", lab.images / "c.png")
    project = lab.start()
    monkeypatch.setattr(indexing, "index_folder", None)
    report = reindex(project)
    assert (report.scans, report.added, report.duplicates) == (3, (), {"c": "a"})
    assert [problem.rel_path for problem in report.problems] == ["notes.txt"]
    summary = project.store.value("SELECT summary FROM audit ORDER BY audit_id DESC LIMIT 1")
    assert summary == "indexed 3 scans: nothing has changed"


def test_only_what_differs_is_written(lab, counted):
    lab.pictures("a", "b", "d")
    project = lab.start()
    counted.clear()
    lab.pictures("c")  # one scan and one file
    os.utime(lab.images / "a.png", ns=(5, 5))  # the file's time alone: its entry, not its scan
    assert reindex(project).added == ("c",)
    assert counted == [3]


def test_a_file_that_is_gone_leaves_the_list_of_files(lab, counted):
    lab.pictures("a", "b")
    project = lab.start()
    counted.clear()
    (lab.images / "a.png").unlink()
    assert reindex(project).removed == ("a",)
    assert counted == [2]
    assert project.store.value("SELECT count(*) FROM files") == 1


def test_a_file_known_in_another_form_is_read_again(lab):
    lab.pictures("a", "b")
    project = lab.start()
    with project.store.transaction():
        project.store.execute("DELETE FROM files WHERE rel_path = 'a.png'")
    assert reindex(project).read == 1
    assert reindex(project).read == 0


def test_a_patient_rule_that_changes_is_applied_to_unchanged_files(lab):
    lab.pictures("p1-a", "p2-b")
    project = lab.start()
    config = project.layout.config
    text = config.read_text("utf-8")
    config.write_text(text.replace("[images]", '[images]\npatients_pattern = "^(p\\\\d)"'), "utf-8")
    project.reload_config()
    reindex(project)
    assert [scan.patient_id for scan in project.scans()] == ["p1", "p2"]


def test_a_copy_that_comes_into_use_takes_the_place_of_its_original(lab):
    lab.pictures("a")
    project = lab.start()
    shutil.copy(lab.images / "a.png", lab.images / "b.png")
    assert reindex(project).duplicates == {"b": "a"}
    project.store.insert("queue", scan_id="b", round=0, rank=1, role="medoid", terms={})
    assert reindex(project).duplicates == {"a": "b"}
    assert reindex(project).duplicates == {"a": "b"}


def test_writes_are_spread_over_short_transactions(lab, monkeypatch):
    lab.pictures("a")
    project = lab.start()
    monkeypatch.setattr(index_writes, "LOCK_S", -1.0)
    monkeypatch.setattr(index_writes, "_AT_ONCE", 2)
    began = []
    transaction = project.store.transaction
    monkeypatch.setattr(project.store, "transaction", lambda: began.append(1) or transaction())
    done = []
    index_writes.write_shortly(project.store, (lambda n=n: done.append(n) for n in range(5)))
    assert done == [0, 1, 2, 3, 4]
    assert len(began) == 5


@pytest.mark.parametrize("survive", [0, 1, 2, 3])
def test_an_index_that_is_cut_short_is_completed_by_the_next(lab, monkeypatch, survive):
    lab.pictures("a", "b", "c")
    project = lab.start()
    before = {scan.scan_id: scan.quick_hash for scan in project.scans()}
    (lab.images / "a.png").rename(lab.images / "x")
    (lab.images / "b.png").rename(lab.images / "a.png")
    (lab.images / "x").rename(lab.images / "b.png")
    (lab.images / "c.png").unlink()
    lab.pictures("d")
    left = [survive]

    def dying(store, writes):
        for one in list(writes):
            if not left[0]:
                raise InterruptedError
            left[0] -= 1
            with store.transaction():
                one()

    with monkeypatch.context() as patched:
        for module in (indexing, few_changed):
            patched.setattr(module, "write_shortly", dying)
        with pytest.raises(InterruptedError):
            reindex(project)
    reindex(project)
    assert _paths(project) == {"a": "b.png", "b": "a.png", "d": "d.png"}
    now = {scan.scan_id: scan.quick_hash for scan in project.scans()}
    assert {name: now[name] for name in before} == before
    assert reindex(project).read == 0


def test_a_folder_put_back_after_an_index_was_cut_short_is_looked_at(lab, monkeypatch):
    lab.pictures("a", "b")
    project = lab.start()
    kept = lab.folder / "kept.png"
    (lab.images / "b.png").rename(kept)

    def dying(store, writes):
        for one in writes:
            with store.transaction():
                one()
        raise InterruptedError

    with monkeypatch.context() as patched:
        for module in (indexing, few_changed):
            patched.setattr(module, "write_shortly", dying)
        with pytest.raises(InterruptedError):
            reindex(project)
        with project.store.transaction():
            project.store.update("scans", {"scan_id": "b"}, state="missing")
    kept.rename(lab.images / "b.png")
    assert reindex(project).returned == ("b",)
