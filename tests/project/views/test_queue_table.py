"""The queue and all scans as columns: which rows, in which order, in which state."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from coldal_tui.project.project import Project
from coldal_tui.project.queue import actions
from coldal_tui.project.views.queue_table import ScanTable, Words, read_queue_table
from tests.support.second_round import add_round, queue, second_round


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project(second_round(tmp_path)) as opened:
        yield opened


def status(table: ScanTable, scan_id: str) -> str:
    return table.status[table.index[scan_id]]


def test_open_rounds_are_the_newest_and_those_with_open_items(project: Project) -> None:
    both = read_queue_table(project, "open")
    assert list(both.scan_id) == ["s00", "s05", "s10", *queue(project)]
    project.store.update("queue", {"scan_id": "s10"}, status="labelled")
    with project.store.action("test"):
        pass
    assert list(read_queue_table(project, "open").scan_id) == queue(project)
    assert len(read_queue_table(project, "rounds")) == 8


def test_a_newest_round_without_open_items_is_still_shown(project: Project) -> None:
    project.store.execute("UPDATE queue SET status = 'labelled'")
    assert list(read_queue_table(project, "open").scan_id) == queue(project)


def test_pinned_first_and_a_skipped_scan_behind_who_took_its_place(project: Project) -> None:
    one, two, three, four, five = queue(project)
    heir = actions.skip(project, [two], "motion")[0].replaced_by
    actions.pin(project, [five])
    table = read_queue_table(project, "open")
    assert list(table.scan_id)[3:] == [five, one, heir, two, three, four]
    row = table.index[two]
    assert (table.status[row], table.reason[row], table.rank[row]) == ("skipped", "motion", 2)
    assert table.pinned.nonzero()[0].tolist() == [3]


def test_all_scans_come_by_name_with_the_state_that_counts_most(project: Project) -> None:
    first = queue(project)[0]
    store = project.store
    store.update("scans", {"scan_id": "s02"}, excluded="too dark")
    store.update("scans", {"scan_id": "s03"}, duplicate_of="s04")
    store.update("scans", {"scan_id": "s06"}, state="missing")
    store.update("scans", {"scan_id": "s07"}, patient_id="scan:s00")
    store.insert("validation", patient_id="scan:s00", scan_id="s00", round=0)
    table = read_queue_table(project, "all")
    assert list(table.scan_id) == [f"s{n:02d}" for n in range(30)]
    wanted = {
        "s00": "labelled",
        "s02": "excluded",
        "s03": "duplicate",
        "s06": "missing",
        "s07": "held out",
        "s08": "candidate",
        "s10": "exported",
        first: "queued",
    }
    assert {scan: status(table, scan) for scan in wanted} == wanted


def test_candidates_have_their_entropy_on_the_scale_of_all_candidates(project: Project) -> None:
    table = read_queue_table(project, "all")
    raw = {r["scan_id"]: r["entropy"] for r in project.store.rows("SELECT * FROM scores")}
    candidates = [name for name in table.scan_id if status(table, name) == "candidate"]
    low, high = (f(raw[name] for name in candidates) for f in (min, max))
    for name in candidates:
        expected = (raw[name] - low) / (high - low)
        assert math.isclose(table.entropy[table.index[name]], expected)
    assert math.isnan(table.entropy[table.index["s00"]])


def test_picks_have_the_terms_of_their_step(project: Project) -> None:
    first = queue(project)[0]
    row = project.store.row("SELECT * FROM queue WHERE scan_id = ?", (first,))
    assert row is not None
    for scope in ("open", "all"):
        table = read_queue_table(project, scope)
        n = table.index[first]
        found = (table.entropy[n], table.diversity[n], table.score[n])
        assert found == (row["entropy"], row["diversity"], row["score"])


def test_what_is_in_no_queue_has_no_rank_but_a_cluster(project: Project) -> None:
    table = read_queue_table(project, "all")
    n = table.index["s08"]
    assert (table.rank[n], table.round[n], table.role[n]) == (-1, -1, "")
    assert table.cluster[n] in (0, 1)


def test_metadata_on_which_all_agree_is_left_out(project: Project) -> None:
    project.store.update("scans", {"scan_id": "s00"}, meta='{"format":"png","age":"61"}')
    project.store.update("scans", {"scan_id": "s05"}, meta='{"format":"png","age":"7.5"}')
    table = read_queue_table(project, "open")
    assert list(table.meta) == ["age"]
    assert [table.meta["age"][n] for n in range(3)] == ["61", "7.5", ""]
    assert table.meta["age"].numbers[:2].tolist() == [61.0, 7.5]


def test_a_patient_that_is_only_the_scan_itself_is_none(project: Project) -> None:
    project.store.update("scans", {"scan_id": "s00"}, patient_id="P7")
    table = read_queue_table(project, "open")
    assert (table.patient[0], table.patient[1]) == ("P7", "")


def test_an_unchanged_project_is_not_read_again(project: Project) -> None:
    table = read_queue_table(project, "open")
    assert read_queue_table(project, "open", table) is table
    assert read_queue_table(project, "all", table) is not table
    actions.pin(project, [queue(project)[0]])
    fresh = read_queue_table(project, "open", table)
    assert fresh is not table
    assert fresh.pinned.any()


def test_undo_is_a_change_too(project: Project) -> None:
    actions.pin(project, [queue(project)[0]])
    table = read_queue_table(project, "open")
    project.store.undo_last()
    assert not read_queue_table(project, "open", table).pinned.any()


def test_an_empty_project_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with Project.create(tmp_path / "project", tmp_path / "images") as project:
        for scope in ("open", "rounds", "all"):
            assert len(read_queue_table(project, scope)) == 0


def test_words_sort_by_letter_whatever_the_case() -> None:
    words = Words.of(["b", "A", "", "c", "b", None])
    assert words.order.tolist() == [2, 1, 0, 3, 2, 0]
    assert [words[n] for n in range(6)] == ["b", "A", "", "c", "b", ""]


def test_an_older_round_that_has_nothing_open_is_left_out(project: Project) -> None:
    project.store.execute("UPDATE queue SET status = 'labelled'")
    add_round(project, 2, "x.npz", alpha=0.5, strategy="random", run_id=None)
    assert len(read_queue_table(project, "open")) == 0
