"""The reader's thread: changes by anybody are told within two seconds, nothing else is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from coldal_tui.jobs.folder import JobFolder
from coldal_tui.maps import save_map
from coldal_tui.project.job_rows import get_job
from coldal_tui.project.project import Project
from coldal_tui.project.views.snapshot import Snapshot, take_snapshot
from coldal_tui.scheduler import queue
from coldal_tui.tui.pane import View
from coldal_tui.tui.shell.reader import Reader
from tests.support.small_projects import set_config

News = list[View | Exception]


def add_map(root: Path) -> None:
    """The map that the round of ``queued`` stands on: six scans in a row."""
    names = tuple(f"scan_{n}" for n in range(6))
    with Project(root) as project:
        path = project.layout.maps / "one.npz"
        save_map(path, names, np.arange(12, dtype=np.float64).reshape(6, 2))
        project.store.insert(
            "maps",
            map_id=1,
            encoder_hash="e",
            file=project.layout.relative(path),
            sha256="",
            seed=0,
            scans=6,
            params={},
            created_at=project.store.now(),
        )


@pytest.fixture
def start() -> Iterator[Callable[[Path], tuple[Reader, News]]]:
    readers: list[Reader] = []

    def begin(root: Path, **options: bool) -> tuple[Reader, News]:
        news: News = []
        reader = Reader(root, news.append, poll_s=0.05, **options)
        readers.append(reader)
        reader.go_on()  # no screen has to draw first
        reader.start()
        until(lambda: bool(news) and reader._seen is not None)
        return reader, news

    yield begin
    for reader in readers:
        reader.stop()
        reader.join(5)


def until(true: Callable[[], bool], within_s: float = 300.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def newest(news: News) -> View:
    assert isinstance(news[-1], View)
    return news[-1]


def test_the_first_picture_comes_before_the_map(queued: Path, start) -> None:
    add_map(queued)
    _, news = start(queued)
    assert isinstance(news[0], View)
    assert news[0].map_view is None
    assert len(news[0].snapshot.queue) == 3
    until(lambda: len(news) == 2)
    map_view = newest(news).map_view
    assert map_view is not None
    assert len(map_view) == 6


def test_nothing_is_told_while_nothing_changes(queued: Path, start) -> None:
    _, news = start(queued)
    before = len(news)
    time.sleep(0.5)
    assert len(news) == before


def test_a_change_of_the_database_is_told(queued: Path, start) -> None:
    _, news = start(queued)
    with Project(queued) as other:
        other.store.update("queue", {"scan_id": "scan_1"}, status="exported")
    until(lambda: newest(news).snapshot.budget.exported == 1)


def test_a_change_of_the_configuration_is_told(queued: Path, start) -> None:
    _, news = start(queued)
    set_config(queued, "total = 100", "total = 50")
    until(lambda: newest(news).snapshot.budget.total == 50)


def test_the_map_is_the_same_object_while_it_is_the_same(queued: Path, start) -> None:
    add_map(queued)
    _, news = start(queued)
    until(lambda: newest(news).map_view is not None)
    map_view = newest(news).map_view
    set_config(queued, "total = 100", "total = 50")
    until(lambda: newest(news).snapshot.budget.total == 50)
    assert newest(news).map_view is map_view


def running_job(root: Path) -> tuple[int, JobFolder]:
    """The number and the folder of a training that runs."""
    with Project(root) as project:
        number = queue.submit(project, "train")
        queue.set_status(project, number, "running")
        folder: JobFolder = get_job(project, number).folder
    folder.path.mkdir(parents=True)
    return number, folder


def test_progress_of_a_running_job_is_told(queued: Path, start) -> None:
    _, folder = running_job(queued)
    _, news = start(queued, revives=False)
    folder.append_progress(1, 4, "", {})
    until(lambda: newest(news).snapshot.jobs[-1].fraction == 0.25)


def test_progress_alone_is_told_without_reading_the_project_again(
    queued: Path, start, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Snapshot] = []

    def taken(project: Project) -> Snapshot:
        read.append(take_snapshot(project))
        return read[-1]

    monkeypatch.setattr("coldal_tui.tui.shell.reader.take_snapshot", taken)
    number, folder = running_job(queued)
    _, news = start(queued, revives=False)
    for done in (1, 2, 3):
        folder.append_progress(done, 4, "", {})
        until(lambda wanted=done / 4: newest(news).snapshot.jobs[-1].fraction == wanted)
    assert len(read) == 1
    with Project(queued) as project:
        queue.set_status(project, number, "failed")
    until(lambda: newest(news).snapshot.jobs[-1].status == "failed")
    assert len(read) == 2


def test_trouble_is_told_once_and_what_comes_after_it(queued: Path, start) -> None:
    _, news = start(queued)
    set_config(queued, "total = 100", "total = -1")
    until(lambda: isinstance(news[-1], Exception))
    time.sleep(0.3)
    assert sum(isinstance(one, Exception) for one in news) == 1
    set_config(queued, "total = -1", "total = 100")
    until(lambda: isinstance(news[-1], View))


def test_a_project_that_was_replaced_is_read_anew(queued: Path, start) -> None:
    _, news = start(queued)
    away = queued.with_name("away")
    queued.rename(away)
    until(lambda: isinstance(news[-1], Exception))
    away.rename(queued)
    until(lambda: isinstance(news[-1], View))


def test_a_stopped_reader_ends(queued: Path, start) -> None:
    reader, _ = start(queued)
    reader.stop()
    reader.join(5)
    assert not reader.is_alive()
