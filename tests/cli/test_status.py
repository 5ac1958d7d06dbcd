"""``status``: narrow, piped, at every state of the loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldal_tui.project.project import Project
from tests.support.small_projects import Call


def test_an_untouched_project(call: Call, project: Path, tmp_path: Path) -> None:
    lines = [line.rstrip() for line in call("status", project, cwd=tmp_path).out.splitlines()]
    assert lines[0].startswith("lungs  ·  ")
    assert lines[1:] == [
        "budget      100: 0 labelled, 0 out, 0 queued, 100 left",
        "scans       6 of 6 patients, 0 embedded (efficientnet-lite0)",
        "next        embed 6 scans and pick the first queue:  coldal-tui select lungs",
    ]


def test_a_round_with_clusters(call: Call, queued: Path) -> None:
    lines = [line.rstrip() for line in call("status", cwd=queued).out.splitlines()]
    assert lines[0].endswith("·  round 0")
    assert lines[3:] == [
        "",
        "Clusters  k = 2 (silhouette 0.750)",
        "cluster  size  labelled  out  queued",
        "────────────────────────────────────",
        "C1          4         0    0       3",
        "C2          2         0    0       0",
        "",
        "silhouette  k=2:0.750 k=3:0.500",
        "next        hand 3 queued scans to labelers:  coldal-tui export-queue",
    ]


def add_run(project: Path, run_id: str, classes: tuple[str, ...]) -> None:
    measured = {name: {"dice": 0.875, "hd": 4.0, "hd95": 2.5, "unit": "mm"} for name in classes}
    with Project(project) as opened:
        opened.store.insert(
            "runs",
            run_id=run_id,
            round=0,
            seed=1,
            train_scans=["scan_0", "scan_1"],
            validation_scans=["scan_2"],
            summary={
                "validation": {"mean": {"dice": 0.875, "hd": 4.0, "hd95": 2.5}, "classes": measured}
            },
            created_at="2026-01-01T00:00:00+00:00",
        )


def test_runs_with_several_classes(call: Call, queued: Path) -> None:
    add_run(queued, "run-001", ("liver", "[red]"))
    lines = [" ".join(line.split()) for line in call("status", queued).out.splitlines()]
    assert "run round labels measured scans Dice 95 % HD95 Dice [red] Dice liver" in lines
    assert "run-001 0 2 frozen validation 0 0.875 – 2.5 mm 0.875 0.875" in lines


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_nothing_is_wider_than_the_terminal(
    columns: int, call: Call, queued: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_run(queued, "run-001", ("foreground",))
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = call("status", queued).out.splitlines()
    assert max(map(len, lines)) <= columns


def test_a_narrow_terminal_loses_no_word(
    call: Call, queued: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = _letters(call("status", queued).out)
    monkeypatch.setenv("COLUMNS", "80")
    assert _letters(call("status", queued).out) == wide


def _letters(text: str) -> str:
    """All that is said, however the lines break (a long path breaks inside)."""
    return "".join(text.split()).replace("─", "")


def add_job(project: Path, status: str, **values: object) -> None:
    with Project(project) as opened:
        row: dict[str, object] = {
            "kind": "train",
            "request": {},
            "status": status,
            "depends_on": [],
            "folder": ".coldal/jobs/000001-train",
            "backend": "local",
            "created_at": "2026-01-01T00:00:00+00:00",
        }
        opened.store.insert("jobs", **(row | values))


def test_a_waiting_job_is_shown(call: Call, queued: Path) -> None:
    add_job(queued, "waiting")
    assert "job 1       train waits" in call("status", queued).out


def test_the_last_failure_is_shown_as_it_was_said(call: Call, queued: Path) -> None:
    add_job(queued, "failed", error={"what": "raise [budget] total: \x1b[31mred", "code": "x"})
    out = call("status", queued).out
    assert r"job 1       train failed: raise [budget] total: \x1b[31mred" in out


def test_a_failure_that_was_followed_by_another_job_is_old_news(call: Call, queued: Path) -> None:
    add_job(queued, "failed", error={"what": "the disk is full", "code": "x"})
    add_job(queued, "done")
    assert "the disk is full" not in call("status", queued).out


def test_masks_in_quarantine_are_counted_with_the_way_to_them(call: Call, queued: Path) -> None:
    with Project(queued) as opened:
        opened.store.insert(
            "quarantine",
            scan_id="scan_0",
            file="",
            source="/m/x.png",
            source_sha256="",
            code="empty",
            message="empty",
            state="waiting",
            created_at="2026-01-01T00:00:00+00:00",
        )
    assert "quarantine  1 mask (coldal-tui labels list)" in call("status", cwd=queued).out


def test_scans_that_a_job_left_out_are_said(call: Call, queued: Path) -> None:
    with Project(queued) as project, project.store.transaction():
        scan = project.scan("scan_0")
        project.store.insert(
            "left_out",
            step="train",
            scan_id="scan_0",
            quick_hash=scan.quick_hash,
            file="/data/scan_0.png",
            message="cut short",
            job_id=3,
        )
    said = call("status", queued).out
    assert "1 file unreadable or refused, 1 of them left out by a job" in " ".join(said.split())
    listed = call("index", queued, "--problems").out
    assert "scan_0 (/data/scan_0.png): left out of training: cut short (job 3)" in listed


def test_a_class_that_no_validation_label_holds_is_said(call: Call, queued: Path) -> None:
    add_run(queued, "run-001", ("lung", "rare"))
    with Project(queued) as project, project.store.transaction():
        for name, empty in (("lung", 0), ("rare", 1)):
            where = f"$.validation.classes.{name}"
            project.store.execute(
                "UPDATE runs SET summary = json_set(summary, ?, 1, ?, ?)",
                (f"{where}.scans", f"{where}.both_empty", empty),
            )
    said = " ".join(call("status", queued).out.split())
    assert "run-001 no measured label holds rare: left out of the mean" in said


def test_it_says_whether_the_labels_are_enough(call: Call, queued: Path) -> None:
    """Three runs that all had the same Dice on their labels: nothing is gained, for sure."""
    assert call("status", queued, "--json").json["enough"] is None
    for labels in (4, 5, 6):
        with Project(queued) as project:
            names = [f"scan_{n}" for n in range(labels)]
            _measured_run(project, f"run-{labels}", names, dice=0.995)
        if labels == 4:
            short = call("status", queued).out
    assert "can't say yet: it takes measured runs with 3 different label counts" in _joined(short)
    assert "there is 1" in _joined(short)
    found = call("status", queued, "--json").json["enough"]
    assert (found["gain"]["labels"], found["gain"]["runs"], found["missing"]) == (6, 3, "")
    assert found["gain"]["low"] < 0 < found["gain"]["expected"] < found["gain"]["high"] < 0.01
    assert (found["stop"], found["worth"], found["minutes"]) == (True, 0.01, None)
    shown = _joined(call("status", queued).out)
    assert f"enough? next {found['gain']['more']}: +0.00" in shown
    assert f"in 19 of 20 cases the next {found['gain']['more']} gain less than 0.01 Dice" in shown


def _joined(text: str) -> str:
    return " ".join(text.split())


def _measured_run(project: Project, run_id: str, names: list[str], dice: float) -> None:
    project.store.insert(
        "runs",
        run_id=run_id,
        round=0,
        seed=0,
        train_scans=names,
        validation_scans=[],
        summary={},
        created_at=f"2026-01-01 {run_id}",
    )
    for name in names:
        key = {"run_id": run_id, "split": "cross-fitted", "scan_id": name, "class": "foreground"}
        project.store.insert("metrics", **key, dice=dice, hd=1, hd95=1, unit="px", note="")
