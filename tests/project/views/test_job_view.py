"""How a job goes on, from the files in its folder, with a clock that is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coldal_tui.project.job_rows import get_job
from coldal_tui.project.project import Project
from coldal_tui.project.views.job_view import (
    LOG_BYTES,
    LogText,
    Pace,
    Sample,
    history,
    pace_of,
    plain_line,
    read_jobs,
    read_log,
    read_samples,
)
from coldal_tui.scheduler import queue


def told(at: float, done: float, total: float = 100, message: str = "training") -> Sample:
    return Sample(at, done, total, message, {})


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    # One a second at first, two a second in the last 30 s.
    samples = [*(told(t, t) for t in range(20)), *(told(20 + t, 20 + 2 * t) for t in range(31))]
    found = pace_of(samples, 50.0)
    assert found == Pace(80, 100, "training", {}, 2.0, 10.0, None)


def test_only_the_present_phase_counts() -> None:
    samples = [told(0, 0, 20, "reading"), told(10, 20, 20, "reading"), told(11, 1), told(13, 5)]
    found = pace_of(samples, 13.0)
    assert found is not None
    assert (found.per_s, found.left_s) == (2.0, 47.5)


def test_work_that_began_again_counts_from_there() -> None:
    samples = [told(0, 90), told(10, 10), told(15, 20)]
    found = pace_of(samples, 15.0)
    assert found is not None
    assert found.per_s == 2.0


def test_slow_work_is_measured_between_its_last_two_steps() -> None:
    found = pace_of([told(0, 0), told(200, 1), told(400, 2)], 401.0)
    assert found is not None
    assert found.per_s == 1 / 200


@pytest.mark.parametrize(
    "samples", [[told(5, 1)], [told(5, 1), told(5.5, 2)], [told(0, 3), told(9, 3)]]
)
def test_too_little_tells_no_rate(samples: list[Sample]) -> None:
    """One sample, less than a second, no step."""
    found = pace_of(samples, 9.0)
    assert found is not None
    assert (found.per_s, found.left_s) == (None, None)


def test_nothing_told_is_no_pace() -> None:
    assert pace_of([], 0.0) is None


@pytest.mark.parametrize(("now", "quiet"), [(30.0, None), (31.0, 21.0)])
def test_silence_is_told_after_a_while(now: float, quiet: float | None) -> None:
    found = pace_of([told(t, t) for t in range(11)], now)
    assert found is not None
    assert found.quiet_s == quiet


def test_silence_of_slow_work_is_told_later() -> None:
    samples = [told(0, 0), told(100, 1)]
    assert [pace_of(samples, now).quiet_s for now in (400.0, 401.0)] == [None, 301.0]  # type: ignore[union-attr]


def test_a_share_is_never_more_than_all() -> None:
    found = pace_of([told(0, 120)], 0.0)
    assert found is not None
    assert found.fraction == 1.0


def test_samples_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "progress.jsonl"
    lines: list[Any] = [
        {"at": 1, "done": 2, "total": 3, "message": "m", "metrics": {"loss": 0.5}},
        {"at": 2, "done": 3, "total": 3},
    ]
    whole = "".join(json.dumps(line) + "\n" for line in lines)
    file.write_text(whole[:70] + "\n{damaged\n[1]\n" + whole + '{"at": 3, "done"')
    assert read_samples(file) == (
        Sample(1.0, 2.0, 3.0, "m", {"loss": 0.5}),
        Sample(2.0, 3.0, 3.0, "", {}),
    )


def test_only_the_end_of_the_samples_is_read(tmp_path: Path) -> None:
    file = tmp_path / "progress.jsonl"
    file.write_text("".join(f'{{"at": {n}, "done": {n}, "total": 1000}}\n' for n in range(1000)))
    found = read_samples(file, tail=1000)
    assert found[-1].done == 999
    assert 10 < len(found) < 40


def test_samples_of_a_job_that_never_began() -> None:
    assert read_samples(Path("/nowhere/progress.jsonl")) == ()


def test_the_history_of_a_measure() -> None:
    samples = [Sample(0, 0, 1, "", {"loss": 2.0}), told(1, 1), Sample(2, 2, 3, "", {"loss": 1.0})]
    assert history(samples, "loss") == [2.0, 1.0]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[1;32mgreen\x1b[0m", "green"),
        ("\x1b]0;title\x07after", "after"),
        (" 10%\r 50%\r100%", "100%"),
        ("windows\r\n", "windows"),
        ("a\tb", "a   b"),
        ("bell \x07", "bell \x07"),
    ],
)
def test_a_line_is_shown_as_it_stood_at_the_end(written: str, shown: str) -> None:
    assert plain_line(written) == shown


def test_a_log_is_read_again_only_when_it_has_grown(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text("one\ntwo\n")
    assert read_log(file) == LogText(("one", "two"), 8, False)
    assert read_log(file, 8) is None
    file.write_text("one\ntwo\nthree")
    assert read_log(file, 8) == LogText(("one", "two", "three"), 13, False)


def test_of_a_long_log_the_end_is_read(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text("".join(f"line {n:>10}\n" for n in range(LOG_BYTES // 16 + 100)))
    found = read_log(file)
    assert found is not None
    assert found.cut
    assert found.lines[0].startswith("line ")
    assert found.lines[-1] == f"line {LOG_BYTES // 16 + 99:>10}"


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_log(tmp_path / "log.txt") == LogText((), 0, False)
    assert read_log(tmp_path / "log.txt", 0) is None


@pytest.fixture
def root(lab: Any) -> Path:
    lab.start(index=False).close()
    return Path(lab.root)


@pytest.fixture
def working(root: Path) -> Path:
    """Three jobs: the first done, the second running, the third waiting."""
    with Project(root) as opened:
        for kind in ("embed", "map", "select"):
            queue.submit(opened, kind)
        opened.store.update("jobs", {"job_id": 1}, status="done")
        opened.store.update("jobs", {"job_id": 2}, status="running")
        for number in (1, 2):
            folder = get_job(opened, number).folder
            folder.path.mkdir(parents=True)
            folder.append_progress(1, 2, f"job {number}", {})
            folder.log.write_text(f"log of {number}\n")
    return root


def test_jobs_are_listed_newest_first_with_what_runs(working: Path) -> None:
    with Project(working) as project:
        found = read_jobs(project, 2)
    assert [job.job_id for job in found.jobs] == [3, 2, 1]
    assert list(found.samples) == [2]
    assert (found.current, found.log) == (2, ("log of 2",))


def test_the_job_that_is_looked_at_has_its_samples_too(working: Path) -> None:
    with Project(working) as project:
        found = read_jobs(project, 1)
    assert {number: one[0].message for number, one in found.samples.items()} == {
        1: "job 1",
        2: "job 2",
    }
    assert found.log == ("log of 1",)


@pytest.mark.parametrize("current", [None, 99])
def test_without_a_job_to_look_at_it_is_the_newest(working: Path, current: int | None) -> None:
    with Project(working) as project:
        found = read_jobs(project, current)
    assert (found.current, found.log) == (3, ())


def test_a_project_without_jobs(root: Path) -> None:
    with Project(root) as opened:
        found = read_jobs(opened)
    assert (found.jobs, found.current) == ((), None)
