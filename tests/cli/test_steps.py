"""The steps' own checks before any job is submitted; ``jobs`` and ``encoder``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coldal_tui.project.project import Project
from tests.support.small_projects import Call, set_config


def jobs_of(project: Path) -> list[tuple[str, str]]:
    with Project(project) as opened:
        rows = opened.store.rows("SELECT kind, status FROM jobs ORDER BY job_id")
        return [(row["kind"], row["status"]) for row in rows]


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """No supervisor is started: submitted jobs wait."""
    monkeypatch.setattr("coldal_tui.scheduler.follow.ensure_supervisor", lambda layout: None)
    monkeypatch.setattr("coldal_tui.scheduler.supervisor.ensure_supervisor", lambda layout: None)


WRONG: dict[str, tuple[bool, list[str], int, str]] = {
    "a second select": (True, ["select"], 2, "round 0 is there already\n  → coldal-tui next"),
    "next before select": (False, ["next"], 2, "no round yet\n  → coldal-tui select"),
    "unknown strategy": (
        False,
        ["select", "--strategy", "best"],
        2,
        "there is no strategy 'best'\n  → use one of: coldstart, ",
    ),
    "strategy of later rounds": (
        False,
        ["select", "--strategy", "entropy"],
        2,
        "does not suit the first round",
    ),
    "strategy of the first round": (
        True,
        ["next", "--strategy", "coldstart"],
        2,
        "entropy-diversity",
    ),
    "alpha above 1": (True, ["next", "--alpha", "1.5"], 2, "1.5 is not in the range"),
    "no budget": (False, ["select", "--budget", "0"], 2, "0 is not in the range"),
    "a seed too large": (False, ["select", "--seed", "9" * 12], 2, "is not in the range"),
    "next without a label": (True, ["next"], 1, "there is no label to train on\n  → import masks"),
    "score without a run": (True, ["score"], 1, "there is no run yet\n  → coldal-tui train"),
    "evaluate without a run": (True, ["evaluate", "--masks", "."], 1, "there is no run yet"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_step_that_cannot_work_is_refused_before_any_job(
    case: str, call: Call, project: Path, request: pytest.FixtureRequest
) -> None:
    needs_round, words, status, reason = WRONG[case]
    if needs_round:
        request.getfixturevalue("queued")
    done = call(*words, cwd=project)
    assert (done.status, done.out) == (status, "")
    assert reason in done.err
    assert jobs_of(project) == []


def test_a_wrong_strategy_in_the_file_is_found_before_any_job(call: Call, project: Path) -> None:
    set_config(project, '# strategy = "coldstart"', 'strategy = "best"')
    done = call("select", project)
    assert done.status == 1
    assert f"{project}/coldal.toml, selection.strategy: there is no strategy 'best'" in done.err
    assert jobs_of(project) == []


@pytest.mark.usefixtures("idle")
def test_detach_submits_says_how_to_follow_and_returns(call: Call, project: Path) -> None:
    done = call("select", "--detach", cwd=project)
    assert (done.status, done.out) == (0, "")
    assert done.err == "submitted 3 jobs; follow: coldal-tui jobs logs -f 3\n"
    assert jobs_of(project) == [("embed", "waiting"), ("map", "waiting"), ("select", "waiting")]


@pytest.mark.usefixtures("idle")
def test_detach_with_json_prints_the_jobs(call: Call, project: Path) -> None:
    assert call("select", "--detach", "--json", cwd=project).json == {
        "jobs": [
            {"job_id": 1, "kind": "embed"},
            {"job_id": 2, "kind": "map"},
            {"job_id": 3, "kind": "select"},
        ]
    }


@pytest.mark.usefixtures("idle")
def test_a_second_selection_while_one_is_under_way_is_refused(call: Call, project: Path) -> None:
    call("select", "--detach", cwd=project)
    done = call("select", "--detach", cwd=project)
    assert done.status == 2
    assert "a selection is under way (job 3)" in done.err
    assert len(jobs_of(project)) == 3


@pytest.mark.usefixtures("idle")
def test_more_than_the_budget_is_clipped_and_said(call: Call, project: Path) -> None:
    assert (
        "only 100 of the budget are left"
        in call("select", "--detach", "--budget", 300, cwd=project).err
    )


def test_next_with_a_spent_budget_is_refused(call: Call, queued: Path) -> None:
    set_config(queued, "total = 100", "total = 3")
    done = call("next", queued)
    assert done.status == 1
    assert "the budget of 3 is spent" in done.err
    assert jobs_of(queued) == []


@pytest.mark.usefixtures("idle")
def test_ctrl_c_cancels_the_chain_and_ends_with_130(
    call: Call, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("coldal_tui.scheduler.follow.wait_for", interrupted)
    done = call("select", cwd=project)
    assert (done.status, done.out) == (130, "")
    last = len(jobs_of(project))
    assert f"to go on from where it was: coldal-tui jobs retry {last}" in done.err
    assert {status for _, status in jobs_of(project)} == {"cancelled"}


def test_jobs_of_an_empty_project(call: Call, project: Path) -> None:
    assert call("jobs", project).out == "no job yet\n"
    assert call("jobs", project, "--json").json == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["show"], "there is no job yet"),
        (["show", "7"], "job 7: no such job"),
        (["show", "x"], "'x' is not a job's number"),
        (["show", "²"], "'²' is not a job's number"),
        (["show", "9" * 30], "is not a job's number"),
        (["hide"], "no such action 'hide'"),
        (["show", "1", "2"], "unexpected argument '2'"),
        (["list", "1"], "unexpected argument '1'"),
        (["logs", "--json"], "a log is plain text"),
        (["-f"], "-f belongs to logs"),
    ],
)
def test_a_wrong_call_of_jobs(words: list[str], reason: str, call: Call, project: Path) -> None:
    done = call("jobs", *words, cwd=project)
    assert done.status == 2
    assert reason in done.err
    told = done.json["error"]["what"] if "--json" in words else done.out
    assert told == (reason + "; --json belongs to the other actions" if "--json" in words else "")


@pytest.mark.usefixtures("idle")
def test_a_waiting_job_is_cancelled_and_retried(call: Call, project: Path) -> None:
    call("embed", "--detach", cwd=project)
    assert call("jobs", "cancel", 1, cwd=project).out == "job 1 (embed): cancelled\n"
    assert call("jobs", "cancel", cwd=project).out == (
        "job 1 (embed): had ended already (cancelled)\n"
    )
    assert call("jobs", "retry", 1, "--json", cwd=project).json["status"] == "waiting"


@pytest.mark.usefixtures("idle")
def test_a_log_is_shown_without_its_control_characters(call: Call, project: Path) -> None:
    call("embed", "--detach", cwd=project)
    with Project(project) as opened:
        folder = opened.layout.jobs / "000001-embed"
    assert "has no log" in call("jobs", "logs", cwd=project).err
    folder.mkdir()
    (folder / "log.txt").write_text("one\ntwo \x1b[31m[red]\n")
    assert call("jobs", "logs", cwd=project).out == "one\ntwo \\x1b[31m[red]\n"


@pytest.mark.usefixtures("idle")
def test_the_table_of_jobs_shows_an_error_literally(call: Call, project: Path) -> None:
    call("embed", "--detach", cwd=project)
    with Project(project) as opened:
        opened.store.update(
            "jobs", {"job_id": 1}, status="failed", error={"what": "set total under [budget]"}
        )
    assert call("jobs", cwd=project).out.splitlines()[-1].endswith("set total under [budget]")


def test_the_encoders_with_their_licences(call: Call, tmp_path: Path) -> None:
    listed = call("encoder", "list", "--json", cwd=tmp_path).json
    assert listed[0]["name"] == "efficientnet-lite0"
    assert all(one["licence"] and one["source"] for one in listed)


def test_use_writes_the_encoder_to_the_file(call: Call, project: Path, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"weights")
    words = ["use", "radimagenet-resnet50", "--weights", "w.pt"]
    assert call("encoder", project, *words, cwd=tmp_path).status == 0
    with Project(project) as opened:
        assert opened.config.encoder.name == "radimagenet-resnet50"
        assert opened.encoder.weights == str(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["use"], "which encoder?"),
        (["use", "vgg"], "choose one of efficientnet-lite0, radimagenet-resnet50"),
        (["use", "radimagenet-resnet50"], "weights do not come with coldal-tui"),
        (["use", "radimagenet-resnet50", "--weights", "no.pt"], "no.pt: no such file"),
        (["use", "efficientnet-lite0", "more"], "unexpected argument 'more'"),
        (["fetch"], "no such action 'fetch'"),
    ],
)
def test_a_wrong_call_of_encoder(words: list[str], reason: str, call: Call, project: Path) -> None:
    before = (project / "coldal.toml").read_text()
    done = call("encoder", *words, cwd=project)
    assert (done.status, done.out) == (2, "")
    assert reason in done.err
    assert (project / "coldal.toml").read_text() == before
