"""``queue``, ``why`` and ``undo``: what is shown, what is refused, what is taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coldal_tui.cli.queue import why_lines
from coldal_tui.project.project import Project
from tests.support.second_round import queue, second_round
from tests.support.small_projects import Call, add_to_queue

LONG = "patient_0123456789_series_0001_2026-01-01_axial_thorax_with_contrast_agent_v2"


def statuses(project: Path) -> dict[str, str]:
    with Project(project) as opened:
        return {
            row["scan_id"]: row["status"]
            for row in opened.store.rows("SELECT scan_id, status FROM queue ORDER BY rank")
        }


def rename(project: Path, old: str, new: str) -> None:
    with Project(project) as opened:
        for table in ("scans", "queue"):
            opened.store.update(table, {"scan_id": old}, scan_id=new)


def test_the_queue_in_rank_order(call: Call, queued: Path) -> None:
    rows = [line.split() for line in call("queue", queued).out.splitlines()]
    assert rows[0] == ["round", "rank", "scan", "cluster", "role", "status"]
    assert rows[2:] == [
        ["0", "1", "scan_0", "C1", "medoid", "queued"],
        ["0", "2", "scan_1", "C1", "farthest-point", "queued"],
        ["0", "3", "scan_2", "C1", "validation", "queued"],
    ]


def test_scores_are_shown_once_there_are_any(call: Call, queued: Path) -> None:
    with Project(queued) as opened:
        opened.store.update(
            "queue", {"scan_id": "scan_1"}, score=0.625, entropy=1.0, diversity=0.254
        )
    lines = call("queue", queued).out.splitlines()
    assert lines[0].split() == ["round", "rank", "scan", "cluster", "role", *"HDS", "status"]
    assert lines[3].split()[5:8] == ["1.00", "0.25", "0.62"]


def test_names_are_whole_in_a_pipe(call: Call, queued: Path) -> None:
    rename(queued, "scan_1", LONG)
    call("queue", queued, "assign", LONG, "--to", "somebody with a long name of three words")
    line = next(line for line in call("queue", queued).out.splitlines() if LONG in line)
    assert line.endswith("somebody with a long name of three words")


def test_a_narrow_terminal_folds_names_and_cuts_nothing(
    call: Call, queued: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename(queued, "scan_1", LONG)
    monkeypatch.setenv("COLUMNS", "80")
    lines = call("queue", queued).out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "farthest-point" in "\n".join(lines)
    assert "…" not in "\n".join(lines)
    start = lines[0].index("scan")
    width = lines[0].index("cluster") - start
    assert "".join(line[start : start + width].strip() for line in lines[3:-1]) == LONG


def test_names_of_people_are_shown_literally(call: Call, queued: Path) -> None:
    call("queue", queued, "assign", "scan_0", "--to", "[red]ana\x1b[1m :smile:")
    assert r"[red]ana\x1b[1m :smile:" in call("queue", queued).out


def test_queue_json_has_the_names_that_scripts_rely_on(call: Call, queued: Path) -> None:
    first = call("queue", queued, "--json").json[0]
    for own in ("assignee", "pinned", "reason", "terms"):
        del first[own]
    assert first == {
        "scan_id": "scan_0",
        "rank": 1,
        "round": 0,
        "role": "medoid",
        "cluster": 0,
        "score": None,
        "entropy": None,
        "diversity": None,
        "status": "queued",
        "path": str(queued.parent / "images" / "scan_0.png"),
        "expected_minutes": 3.0,
    }


def test_filters(call: Call, queued: Path) -> None:
    call("queue", queued, "skip", "scan_0", "--no-replace")
    assert [i["scan_id"] for i in call("queue", queued, "--json").json] == ["scan_1", "scan_2"]
    skipped = call("queue", queued, "--status", "skipped", "--json").json
    assert [item["scan_id"] for item in skipped] == ["scan_0"]
    assert call("queue", queued, "--round", 4).out == "no scan of the queue is like that\n"


def test_an_empty_queue_says_what_fills_it(call: Call, project: Path) -> None:
    assert call("queue", project).out == "the queue is empty; coldal-tui select fills it\n"


WRONG = {
    "unknown action": (["hide", "scan_0"], "no such action 'hide'"),
    "no scan": (["skip"], "which scan? coldal-tui queue skip SCAN..."),
    "unknown scan": (["skip", "scan_00"], "scan_00: no such scan\n  → did you mean scan_0"),
    "not queued": (["pin", "scan_4"], "scan_4: this scan is not in the queue"),
    "a name for skip": (["skip", "scan_0", "--to", "ana"], "--to belongs to assign and move"),
    "no rank": (["move", "scan_0"], "where to? coldal-tui queue move SCAN... --to RANK"),
    "a name as a rank": (["move", "scan_0", "--to", "ana"], "where to?"),
    "no α": (["rerank"], "which α? coldal-tui queue rerank --alpha A"),
    "a scan for rerank": (["rerank", "scan_0", "--alpha", "1"], "unexpected 'scan_0'"),
    "an α for skip": (["skip", "scan_0", "--alpha", "1"], "--alpha belongs to rerank"),
    "a trial of skip": (["skip", "scan_0", "--dry-run"], "--dry-run belongs to rerank"),
    "a reason for pin": (["pin", "scan_0", "--reason", "x"], "--reason belongs to skip"),
    "a filter for skip": (["skip", "scan_0", "--round", "0"], "--round belongs to the list"),
    "a name for the list": (["--to", "ana"], "--to belongs to assign"),
    "unknown state": (["--status", "gone"], "'gone' is not one of 'queued'"),
    "a folder": (["/tmp", "skip"], "/tmp: neither a project folder nor an action"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_call_changes_nothing(case: str, call: Call, queued: Path) -> None:
    words, reason = WRONG[case]
    done = call("queue", *words, cwd=queued)
    assert (done.status, done.out) == (2, "")
    assert reason in done.err
    assert set(statuses(queued).values()) == {"queued"}


def test_one_wrong_scan_of_several_changes_none(call: Call, queued: Path) -> None:
    assert call("queue", queued, "skip", "scan_0", "nobody", "--no-replace").status == 2
    assert set(statuses(queued).values()) == {"queued"}


def test_a_scan_named_twice_is_skipped_once(call: Call, queued: Path) -> None:
    done = call("queue", queued, "skip", "scan_0", "scan_0", "--no-replace")
    assert done.out == "scan_0: skipped\n"


def test_skip_says_how_to_take_it_back_and_undo_does(call: Call, queued: Path) -> None:
    done = call("queue", queued, "skip", "scan_1", "--no-replace", "--reason", "motion")
    assert "coldal-tui undo" in done.err
    assert statuses(queued)["scan_1"] == "skipped"
    assert call("undo", queued).out.startswith("took back: skipped scan_1 (motion) (")
    assert statuses(queued)["scan_1"] == "queued"


def test_undo_in_an_empty_project_takes_nothing_back(call: Call, project: Path) -> None:
    done = call("undo", project)
    assert (done.status, done.out) == (1, "")
    assert "there is nothing to take back" in done.err


def test_pinned_scans_come_first(call: Call, queued: Path) -> None:
    call("queue", queued, "pin", "scan_2")
    assert call("queue", queued, "--json").json[0]["scan_id"] == "scan_2"
    assert "↑3" in call("queue", queued).out


def why(role: str, terms: dict[str, Any], **more: Any) -> list[str]:
    found: dict[str, Any] = {
        "scan_id": "s",
        "status": "queued",
        "round": 1,
        "rank": 2,
        "role": role,
        "cluster": 3,
        "terms": terms,
        "selection": {"strategy": "x", "seed": 5, "map_id": 1, "run_id": None},
        "reason": None,
        "replaced_by": None,
        "assignee": None,
        "patient_id": "P1",
        "path": "/i/s.png",
        "label": None,
        "entropies": [],
        "standing": None,
    }
    return why_lines(found | more)


PLACE = "  round 1, rank 2, {} of C4; strategy x, seed 5, map 1"
LAST = "  patient P1, file /i/s.png"


def test_why_gives_place_reasons_numbers_and_file() -> None:
    terms = {"step": 4, "alpha": 0.25, "score": 0.45, "entropy_term": 0.9, "diversity_term": 0.3}
    terms |= {"nearest": "t", "distance": 1.5, "runner_up": "u", "runner_up_score": 0.44}
    assert why("acquired", terms) == [
        "s: queued",
        PLACE.format("acquired"),
        "  very uncertain (H .90) and some way from what is picked (D .30; nearest t)",
        "  beat u by .01",
        "  S .45 = .25 × H .90 + .75 × D .30, at step 4",
        "  nearest labelled, queued or picked scan then: t, 1.50 away on the map",
        "  chosen over u (S .44)",
        LAST,
    ]


def test_why_of_a_scan_without_cluster_patient_or_selection() -> None:
    told = why("manual", {}, cluster=None, selection=None, patient_id="scan:s")
    assert told[1] == "  round 1, rank 2, manual"
    assert told[-1] == "  no patient known, file /i/s.png"


def test_why_tells_what_came_after() -> None:
    told = why(
        "random",
        {"replaces": "r"},
        status="skipped",
        replaced_by="t",
        assignee="ana",
        reason="motion",
        label={"version": 2, "source": "/m/s.png"},
        entropies=[{"run_id": "run-001", "entropy": 0.123456}],
    )
    assert told[2:] == [
        "  took the place of r, which was skipped",
        "  skipped (motion); t took its place",
        "  drawn at random",
        "  entropy by run-001: 0.1235",
        "  assigned to ana",
        "  label version 2 from /m/s.png",
        LAST,
    ]


def test_why_of_a_scan_that_was_not_picked(call: Call, queued: Path) -> None:
    assert call("why", queued, "scan_4").out.splitlines() == [
        "scan_4: candidate",
        f"  no patient known, file {queued.parent}/images/scan_4.png",
    ]


@pytest.mark.parametrize("words", [[], ["scan_0", "scan_1"]])
def test_why_wants_one_scan(words: list[str], call: Call, queued: Path) -> None:
    done = call("why", *words, cwd=queued)
    assert done.status == 2
    assert "which scan?" in done.err


def test_a_queue_row_without_cluster_has_a_dash(call: Call, queued: Path) -> None:
    with Project(queued) as opened:
        add_to_queue(opened, [("scan_5", 4, "random", {})], cluster=None)
    assert call("queue", queued).out.splitlines()[-1].split()[3] == "–"


def test_move_says_the_new_rank_and_undo_takes_it_back(call: Call, queued: Path) -> None:
    done = call("queue", queued, "move", "scan_2", "--to", 1)
    assert done.out == "scan_2: queued, rank 1\n"
    assert [i["scan_id"] for i in call("queue", queued, "--json").json] == [
        "scan_2",
        "scan_0",
        "scan_1",
    ]
    assert call("undo", queued).out.startswith("took back: moved scan_2 to rank 1 (")
    assert list(statuses(queued)) == ["scan_0", "scan_1", "scan_2"]


def test_rerank_in_the_first_round_says_why_not(call: Call, queued: Path) -> None:
    done = call("queue", queued, "rerank", "--alpha", "0.3")
    assert (done.status, done.out) == (1, "")
    assert "the first round is picked before there is any" in done.err


def ranks(project: Path) -> list[str]:
    with Project(project) as opened:
        return queue(opened)


def test_rerank_is_shown_before_it_is_done(call: Call, tmp_path: Path) -> None:
    root = second_round(tmp_path)
    before = ranks(root)
    tried = call("queue", root, "rerank", "--alpha", 1, "--dry-run", "--json").json
    assert (tried["round"], tried["alpha"], tried["applied"]) == (1, 1.0, False)
    assert ranks(root) == before
    names = [row["scan_id"] for row in tried["queue"]]
    assert set(tried["came"]) == set(names) - set(before)
    assert set(tried["left"]) == set(before) - set(names)
    done = call("queue", root, "rerank", "--alpha", 1)
    assert ranks(root) == names
    assert f"round 1 re-ranked with α 1.00: {len(tried['came'])} in" in done.out
    assert call("undo", root).out.startswith("took back: round 1 re-ranked with α 1.00")
    assert ranks(root) == before


def test_rerank_tells_where_each_scan_was(call: Call, tmp_path: Path) -> None:
    root = second_round(tmp_path)
    before = ranks(root)
    lines = call("queue", root, "rerank", "--alpha", 1, "--dry-run").out.splitlines()
    assert lines[0].split() == ["rank", "scan", "cluster", "H", "D", "S", "was"]
    shown = {line.split()[1]: line.split()[-1] for line in lines[2:7]}
    wanted = {name: str(before.index(name) + 1) if name in before else "new" for name in shown}
    assert shown == wanted
    assert lines[7] == f"leaving: {', '.join(name for name in before if name not in shown)}"


def test_rerank_beyond_one_is_a_wrong_call(call: Call, tmp_path: Path) -> None:
    done = call("queue", second_round(tmp_path), "rerank", "--alpha", 1.5)
    assert (done.status, done.out) == (2, "")
    assert "not between 0 and 1" in done.err


def test_a_scan_is_queued_by_hand(call: Call, queued: Path) -> None:
    assert call("queue", queued, "add", "scan_4").out.splitlines()[0] == "scan_4: queued"
    items = call("queue", queued, "--json").json
    added = next(item for item in items if item["scan_id"] == "scan_4")
    assert (added["role"], added["round"], added["rank"]) == ("manual", 0, 4)
    assert "queued by hand" in call("why", queued, "scan_4").out
