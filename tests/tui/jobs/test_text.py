"""Jobs as rows and in detail: exact text, with a clock that is given."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

from coldal_tui.jobs.devices import Device, Host
from coldal_tui.jobs.folder import JobError, JobFolder
from coldal_tui.project.job_rows import Job
from coldal_tui.project.views.job_view import Pace, Sample
from coldal_tui.tui.drawing.glyphs import ASCII, UNICODE
from coldal_tui.tui.jobs.rows import JobRows, outcome, rate, waits_for
from coldal_tui.tui.jobs.text import device_lines, job_lines, log_rows, wrapped

NOW = datetime(2026, 11, 23, 9, 30, 0, tzinfo=UTC)
STAMP = NOW.timestamp()
GB = 2**30


def job(number: int = 7, kind: str = "train", status: str = "running", **values: Any) -> Job:
    known: dict[str, Any] = {
        "request": {},
        "depends_on": (),
        "folder": JobFolder(Path("/nowhere")),
        "backend": "local",
        "handle": None,
        "attempts": 1,
        "cancel_asked": False,
        "error": None,
        "result": {},
        "created_at": "2026-11-23T09:00:00+00:00",
        "started_at": "2026-11-23T09:26:40+00:00",
        "ended_at": None,
    }
    return Job(number, kind, status, **(known | values))


def training(count: int = 11) -> tuple[Sample, ...]:
    """Two steps a second up to now, the loss falling from 1 to 0."""
    return tuple(
        Sample(STAMP - (count - 1 - n) / 2, n, 100, "training", {"loss": 1 - n / (count - 1)})
        for n in range(count)
    )


def row(one: Job, *others: Job, samples: Any = None) -> list[str]:
    rows = JobRows((one, *others), samples or {}, NOW, UNICODE)
    return [cell.plain if isinstance(cell, Text) else cell for cell in rows.cells(0)]


def lines(one: Job, *others: Job, samples: Any = (), log: Any = (), **size: int) -> list[str]:
    width, height = size.get("width", 78), size.get("height", 9)
    drawn = job_lines(one, (one, *others), samples, log, NOW, width, height, UNICODE)
    return [line.plain for line in drawn]


ERROR = JobError("the disk is full", "/data/x", "free space, then retry", "disk")


def test_a_running_job_tells_how_far_it_is() -> None:
    assert row(job(), samples={7: training()}) == [
        "7",
        "train",
        "▶ running",
        "▊         10 %  45 s left  training  2.0/s  loss 0.00",
        "3 m 20 s",
        "09:26",
    ]


def test_a_job_that_has_just_begun() -> None:
    assert row(job())[3] == "starting"


def test_work_of_unknown_length_has_no_bar() -> None:
    samples = {7: [Sample(STAMP, 3, 0, "reading", {})]}
    assert row(job(), samples=samples)[3] == "reading"


def test_a_job_that_was_told_to_end_is_ending() -> None:
    assert row(job(cancel_asked=True))[2] == "▶ ending"


def test_a_running_job_that_waits_in_a_queue_says_for_what() -> None:
    assert row(job(waiting_for="PENDING (Resources)"))[3] == "PENDING (Resources)"


def test_a_waiting_job_names_what_it_needs() -> None:
    waiting = job(8, "score", "waiting", depends_on=(6, 7), started_at=None)
    done = job(6, "map", "done")
    assert row(waiting, job(7), done)[2:] == ["○ waiting", "after train 7", "", "09:00"]


def test_a_reason_that_was_told_comes_first() -> None:
    waiting = job(8, "score", "waiting", depends_on=(7,), waiting_for="GPU 0 is held by others")
    assert waits_for(waiting, [job(7)]) == "GPU 0 is held by others"
    assert waits_for(job(8, "score", "waiting"), []) == "waits for its turn"


def test_a_failed_job_says_why() -> None:
    failed = job(status="failed", error=ERROR, ended_at="2026-11-23T09:26:48+00:00")
    assert row(failed)[2:5] == ["✗ failed", "the disk is full", "8 s"]


@pytest.mark.parametrize(
    ("kind", "result", "words"),
    [
        ("embed", {"embedded": 2114, "failed": []}, "2,114 scans embedded"),
        ("embed", {"embedded": 1, "failed": [1, 2]}, "1 scan embedded, 2 scans failed"),
        ("map", {"scans": 10, "method": "openTSNE"}, "10 scans by openTSNE"),
        ("select", {"round": 2, "picked": 20}, "round 2: 20 scans"),
        (
            "train",
            {"run_id": "run-002", "validation": {"dice": 0.94321}},
            "run-002, Dice 0.943 (frozen validation)",
        ),
        ("train", {"run_id": "run-002", "validation": None}, "run-002"),
        (
            "crossfit",
            {"run_id": "run-002", "mean": {"dice": 0.91234}},
            "run-002, Dice 0.912 (cross-fitted)",
        ),
        ("score", {"run_id": "run-002", "scored": 225}, "225 scans by run-002"),
        ("evaluate", {"mean": {"dice": 0.9}, "counts": {"scans": 3}}, "3 scans, Dice 0.900"),
        ("evaluate", {"mean": {"dice": 0.9}, "scans": {"a": 1}}, "1 scan, Dice 0.900"),
        ("map", {"nothing_to_do": True}, "nothing to do"),
        ("export", {}, ""),
    ],
)
def test_what_a_finished_job_brought(kind: str, result: dict[str, Any], words: str) -> None:
    assert outcome(job(kind=kind, status="done", result=result), UNICODE) == words


@pytest.mark.parametrize(
    ("per_s", "text"),
    [(250.4, "250/s"), (2.04, "2.0/s"), (0.5, "30.0/min"), (0.01, "36.0/h"), (None, "")],
)
def test_rates_have_a_unit_that_suits_them(per_s: float | None, text: str) -> None:
    assert rate(Pace(1, 2, "", {}, per_s, None, None), UNICODE) == text


def test_a_running_job_in_detail() -> None:
    running = job(attempts=2, request={"steps": 100, "seed": None}, handle={"host": "gpu07"})
    assert lines(running, samples=training(), log=["one", "two", "three"], height=6) == [
        "train 7  ▶ running  began 09:26, took 3 m 20 s  attempt 2  on gpu07  steps 100",
        "training  10 of 100  2.0/s  45 s left",
        "loss  0.000  █▇▇▆▅▅▄▃▂▂▁  from 1.000",
        "log",
        "two",
        "three",
    ]


def test_silence_is_told() -> None:
    quiet = [Sample(STAMP - 60, 1, 10, "training", {})]
    assert lines(job(), samples=quiet)[1] == "training  1 of 10  no news for 1 m 00 s"


def test_a_job_that_went_without_some_scans_is_not_told_to_be_done() -> None:
    failed = [{"scan_id": "s1", "file": "f", "message": "cut short"}]
    result = {"run_id": "run_2", "validation": {}, "failed": failed}
    short = job(kind="train", status="done", result=result)
    assert row(short)[2] == "! incomplete"
    assert row(short)[3].endswith(", not measured, 1 scan failed")
    whole = job(kind="train", status="done", result=result | {"failed": []})
    assert row(whole)[2] == "✓ done"


def test_a_failed_job_in_detail() -> None:
    failed = job(status="failed", error=ERROR, ended_at="2026-11-23T09:26:48+00:00")
    assert lines(failed) == [
        "train 7  ✗ failed  began 09:26, took 8 s",
        "the disk is full",
        "in /data/x",
        "→ free space, then retry",
    ]


def test_a_long_error_is_wrapped_not_cut() -> None:
    what = "a " * 30 + "end"
    told = lines(job(status="failed", error=JobError(what)), width=40, height=9)
    assert " ".join(told[1:]) == what


def test_a_waiting_job_in_detail() -> None:
    waiting = job(8, "score", "waiting", depends_on=(7,), started_at=None)
    assert lines(waiting, job(7)) == [
        "score 8  ○ waiting  submitted 09:00",
        "after train 7",
    ]


def test_scans_that_a_finished_job_could_not_use_are_told() -> None:
    failed = [{"scan_id": "s1", "file": "f", "message": "cut short"}, {"scan_id": "s2"}]
    done = job(kind="embed", status="done", result={"embedded": 3, "failed": failed})
    assert lines(done)[1:] == [
        "3 scans embedded, 2 scans failed",
        "✗ s1: cut short (and 1 scan more)",
    ]


def test_detail_never_leaves_its_place() -> None:
    log = ["x" * 300] * 50
    told = lines(job(), samples=training(), log=log, width=30, height=7)
    assert len(told) == 7
    assert max(map(len, told)) == 30


def test_names_from_outside_can_not_steer_the_screen() -> None:
    evil = job(status="failed", error=JobError("bad \x1b[2J name"))
    assert lines(evil)[1] == "bad \\x1b[2J name"


def test_long_lines_of_a_log_go_on_in_the_next_row() -> None:
    assert log_rows(["abcdef", "", "日本語"], 4) == ["abcd", "ef", "", "日本", "語"]


def test_words_are_wrapped_between_words() -> None:
    assert wrapped("one two three", 8) == ["one two", "three"]


def test_a_line_a_gpu() -> None:
    gpus = (
        Device("0", "u", "NVIDIA H100", 60 * GB, 80 * GB, 0.5),
        Device("1", "v", "Orin", None, None, None),
    )
    assert [line.plain for line in device_lines(gpus, None, 78, 4, UNICODE)] == [
        "GPU 0  ████      50 % busy  ██       20.0 of 80 GB  NVIDIA H100",
        "GPU 1  shares the machine's memory  Orin",
    ]


def test_a_narrow_line_a_gpu() -> None:
    gpu = Device("0", "u", "NVIDIA H100 80GB HBM3", 60 * GB, 80 * GB, 0.5)
    assert [line.plain for line in device_lines([gpu], None, 40, 4, ASCII)] == [
        "GPU 0  50 % busy  20.0 of 80 GB  NVIDIA~"
    ]


def test_more_gpus_than_lines() -> None:
    gpus = [Device(str(n), "u", "H100", GB, 2 * GB, 0.0) for n in range(8)]
    drawn = [line.plain for line in device_lines(gpus, None, 78, 3, UNICODE)]
    assert len(drawn) == 3
    assert drawn[-1] == "6 GPUs more"


def test_without_a_gpu_the_machine_is_told() -> None:
    host = Host(16, 0.42, 12 * GB, 64 * GB)
    assert [line.plain for line in device_lines((), host, 78, 2, UNICODE)] == [
        "no GPU  42 % of 16 processors busy  12.0 of 64 GB memory"
    ]
    assert device_lines((), host, 78, 0, UNICODE) == []


def test_what_the_status_says_already_is_not_said_twice() -> None:
    ended = job(status="cancelled", error=JobError("cancelled"), ended_at="2026-11-23T09:26:48Z")
    assert row(ended)[2:4] == ["× cancelled", ""]
    assert lines(ended) == ["train 7  × cancelled  began 09:26, took 8 s"]
