"""The files through which worker and supervisor talk."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.files import try_lock
from coldal_tui.jobs.folder import JobFolder, Progress
from coldal_tui.jobs.spec import MapSpec, ShardRows


def _spec(seed: int = 0) -> MapSpec:
    return MapSpec((ShardRows("a.npy", "0" * 64, ("x",), (0,)),), "hash", seed)


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    made = JobFolder(tmp_path / "job")
    made.prepare(_spec())
    return made


def test_the_newest_progress_is_read(folder: JobFolder) -> None:
    folder.append_progress(1, 8, "training", {"loss": 0.5})
    folder.append_progress(2, 8, "training", {"loss": 0.25})
    newest = folder.progress()
    assert newest is not None
    assert (newest.done, newest.total, newest.message) == (2, 8, "training")
    assert (newest.metrics, newest.fraction) == ({"loss": 0.25}, 0.25)


@pytest.mark.parametrize("torn", ['{"at": 5.0, "done": 3, "tot', "{", "7\n", "null\n", "\x00\x00"])
def test_a_torn_last_line_is_passed_over(folder: JobFolder, torn: str) -> None:
    folder.append_progress(2, 8, "", {})
    with folder.progress_file.open("a") as stream:
        stream.write(torn)
    newest = folder.progress()
    assert newest is not None
    assert newest.done == 2


def test_progress_is_found_at_the_end_of_a_long_file(folder: JobFolder) -> None:
    for n in range(400):
        folder.append_progress(n, 400, "a message of some length", {"loss": 1.0})
    assert folder.progress_file.stat().st_size > 10 * 4096
    newest = folder.progress()
    assert newest is not None
    assert newest.done == 399


def test_no_progress_yet(folder: JobFolder) -> None:
    assert folder.progress() is None


def test_a_fraction_stays_within_0_and_1() -> None:
    assert Progress(9, 8, "", {}, 0.0).fraction == 1.0
    assert Progress(0, 0, "", {}, 0.0).fraction == 0.0


def test_partial_results_are_kept_for_the_same_work(folder: JobFolder) -> None:
    (folder.path / "last.ckpt").write_text("half")
    folder.receipt_file.write_text("{}")
    folder.error_file.write_text("{}")
    folder.prepare(_spec())
    assert (folder.path / "last.ckpt").read_text() == "half"
    assert not folder.receipt_file.exists()
    assert not folder.error_file.exists()


def test_partial_results_are_cleared_for_other_work_but_for_log_and_lock(folder: JobFolder) -> None:
    (folder.path / "last.ckpt").write_text("half")
    (folder.path / "predictions").mkdir()
    (folder.path / "predictions" / "a.png").write_text("")
    folder.log.write_text("what happened")
    folder.lock.touch()
    folder.prepare(_spec(seed=1))
    assert sorted(path.name for path in folder.path.iterdir()) == ["lock", "log.txt", "spec.json"]
    assert folder.log.read_text() == "what happened"
    assert folder.read_spec() == _spec(seed=1)


@pytest.mark.parametrize("content", [b"", b"{", b'{"job_id": 1}', b"\xff\xfe"])
def test_a_damaged_receipt_is_an_error_that_names_it(folder: JobFolder, content: bytes) -> None:
    folder.receipt_file.write_bytes(content)
    with pytest.raises(ColdalError) as caught:
        folder.receipt()
    assert caught.value.code == "receipt"
    assert caught.value.where == str(folder.receipt_file)


def test_the_lock_tells_whether_a_worker_runs(folder: JobFolder) -> None:
    assert not folder.worker_running()
    with folder.lock.open("ab") as held:
        assert try_lock(held)
        assert folder.worker_running()
    assert not folder.worker_running()


def test_the_end_of_the_log(folder: JobFolder) -> None:
    assert folder.log_tail() == []
    folder.log.write_bytes(b"".join(b"line %d\n" % n for n in range(30_000)) + b"\xffend")
    assert folder.log_tail(2) == ["line 29999", "\ufffdend"]
