"""Another α for a picked round: the same as selection would pick, undoable, never behind a back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.project.project import Project
from coldal_tui.project.queue import actions
from coldal_tui.project.queue.rerank import Bench, Place, apply, read_bench, rerank
from coldal_tui.project.views.why.explain import explain
from coldal_tui.selection.acquisition import cover, entropy_diversity
from tests.support.second_round import RUN, add_label, queue, second_round


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project(second_round(tmp_path)) as opened:
        yield opened


def dump(project: Project) -> list[dict[str, object]]:
    return project.store.rows("SELECT * FROM queue ORDER BY scan_id")


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_its_own_alpha_gives_an_untouched_queue_as_selection_picked_it(
    tmp_path: Path, alpha: float
) -> None:
    with Project(second_round(tmp_path, alpha=alpha)) as project:
        bench = read_bench(project)
        found = rerank(bench, bench.alpha)
        before = {row["scan_id"]: row for row in dump(project)}
        assert bench.alpha == alpha
        assert [row["scan_id"] for row in found.rows] == queue(project)
        assert (found.came, found.left) == ((), ())
        for row in found.rows:
            kept = before[row["scan_id"]]
            for key in ("rank", "cluster", "score", "entropy", "diversity"):
                assert row[key] == kept[key], key


@pytest.mark.parametrize("alpha", [0.0, 0.15, 0.8, 1.0])
def test_it_picks_what_the_acquisition_picks(project: Project, alpha: float) -> None:
    from coldal_tui.maps import load_map

    placed = load_map(project.layout.maps / "map.npz")
    waiting = set(queue(project))
    scores = {row["scan_id"]: row["entropy"] for row in project.store.rows("SELECT * FROM scores")}
    names = placed.scan_ids
    covered = np.array([name in ("s00", "s05", "s10") for name in names])
    entropy = np.array([scores.get(name, np.nan) for name in names])
    wanted = entropy_diversity(placed.xy, ~covered, covered, entropy, 5, alpha)
    found = rerank(read_bench(project), alpha)
    assert [row["scan_id"] for row in found.rows] == [names[one.index] for one in wanted]
    assert set(found.came) == {names[one.index] for one in wanted} - waiting
    assert set(found.left) == waiting - {names[one.index] for one in wanted}


def test_what_somebody_holds_keeps_its_rank_and_covers(project: Project) -> None:
    first, second, third, fourth, fifth = queue(project)
    actions.pin(project, [second])
    actions.assign(project, [third], "ana")
    project.store.update("queue", {"scan_id": fourth}, status="exported")
    bench = read_bench(project)
    assert [place.scan_id for place in bench.free] == [first, fifth]
    apply(project, bench, rerank(bench, 1.0))
    ranks = {row["scan_id"]: row["rank"] for row in dump(project) if row["round"] == 1}
    assert (ranks[second], ranks[third], ranks[fourth]) == (2, 3, 4)
    assert sorted(ranks.values()) == [1, 2, 3, 4, 5]
    at = {name: n for n, name in enumerate(bench.scan_ids)}
    assert all(bench.covered[at[name]] for name in (second, third, fourth, "s00", "s10"))
    assert all(bench.candidate[at[name]] for name in (first, fifth))


def test_apply_writes_terms_and_alpha_and_undo_takes_it_all_back(project: Project) -> None:
    before, round_before = dump(project), project.store.row("SELECT * FROM rounds WHERE round = 1")
    bench = read_bench(project)
    found = rerank(bench, 1.0)
    assert found.came
    said = apply(project, bench, found)
    assert said == (f"round 1 re-ranked with α 1.00: {len(found.came)} in, {len(found.left)} out")
    assert queue(project) == [row["scan_id"] for row in found.rows]
    row = project.store.row("SELECT * FROM rounds WHERE round = 1")
    assert row is not None
    assert (row["alpha"], row["strategy"]) == (1.0, "entropy-diversity")
    first = explain(project, found.rows[0]["scan_id"])
    assert (first["terms"]["alpha"], first["status"], first["role"]) == (1.0, "queued", "acquired")
    assert read_bench(project).alpha == 1.0
    project.store.undo_last()
    assert dump(project) == before
    assert project.store.row("SELECT * FROM rounds WHERE round = 1") == round_before


def test_a_skipped_scan_finds_who_holds_its_place(project: Project) -> None:
    gone = queue(project)[0]
    heir = actions.skip(project, [gone], "motion")[0].replaced_by
    bench = read_bench(project)
    found = rerank(bench, 0.0)
    assert heir in found.left
    apply(project, bench, found)
    now = project.store.value("SELECT replaced_by FROM queue WHERE scan_id = ?", (gone,))
    assert now == found.rows[0]["scan_id"]
    assert found.rows[0]["rank"] == 1


CHANGES = {
    "pinned": lambda project, names: actions.pin(project, [names[0]]),
    "assigned": lambda project, names: actions.assign(project, [names[0]], "ana"),
    "skipped": lambda project, names: actions.skip(project, [names[0]], None),
    "labelled": lambda project, names: add_label(project, names[0]),
    "another excluded": lambda project, _: actions.exclude(project, ["s02"], None),
    "exported": lambda project, names: project.store.update(
        "queue", {"scan_id": names[0]}, status="exported"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_queue_that_changed_meanwhile_is_left_alone(project: Project, change: str) -> None:
    bench = read_bench(project)
    found = rerank(bench, 1.0)
    CHANGES[change](project, queue(project))
    before = dump(project)
    with pytest.raises(ColdalError) as caught:
        apply(project, bench, found)
    assert caught.value.code == "stale"
    assert dump(project) == before


def test_alpha_outside_its_range_is_refused(project: Project) -> None:
    with pytest.raises(UsageError, match=r"alpha is 1\.2"):
        rerank(read_bench(project), 1.2)


def refusal(project: Project) -> ColdalError:
    with pytest.raises(ColdalError) as caught:
        read_bench(project)
    return caught.value


def test_the_first_round_has_no_alpha(project: Project) -> None:
    project.store.execute("DELETE FROM rounds WHERE round = 1")
    assert "first round is picked before there is any" in refusal(project).what


def test_no_round_has_no_alpha(project: Project) -> None:
    project.store.execute("DELETE FROM rounds")
    assert refusal(project).what == "nothing is selected yet"


def test_a_random_round_has_no_alpha(project: Project) -> None:
    project.store.update("rounds", {"round": 1}, alpha=None, strategy="random")
    assert refusal(project).what == "round 1 was picked by random, which has no α"


def test_a_round_of_entropy_alone_has_alpha_one(project: Project) -> None:
    project.store.update("rounds", {"round": 1}, strategy="entropy")
    assert read_bench(project).alpha == 1.0


def test_a_round_that_is_all_out_makes_no_room(project: Project) -> None:
    project.store.update("queue", {"round": 1}, status="exported")
    assert refusal(project).code == "no-free"


def test_scores_that_are_gone_are_named(project: Project) -> None:
    project.store.execute("DELETE FROM scores")
    assert refusal(project).what == f"no candidate has an entropy of {RUN}"


def test_fewer_scored_candidates_than_places_leave_places_empty(project: Project) -> None:
    kept = queue(project)[:2]
    project.store.execute(f"DELETE FROM scores WHERE scan_id NOT IN ('{kept[0]}', '{kept[1]}')")
    bench = read_bench(project)
    found = rerank(bench, 0.5)
    assert {row["scan_id"] for row in found.rows} == set(kept)
    apply(project, bench, found)
    assert set(queue(project)) == set(kept)


def test_ten_thousand_candidates_are_ranked_in_a_moment() -> None:
    count, batch = 10_000, 50
    drawn = np.random.default_rng(0)
    points = drawn.normal(size=(count, 2))
    covered = np.arange(count) < 200
    bench = Bench(
        round=1,
        alpha=0.5,
        free=tuple(Place(str(n), n, None) for n in range(200, 200 + batch)),
        scan_ids=tuple(map(str, range(count))),
        clusters=np.zeros(count, np.int64),
        points=points,
        candidate=~covered,
        covered=covered,
        entropy=drawn.random(count),
        coverage=cover(points, ~covered, covered),
        stamp=0,
    )
    start = time.process_time()
    assert len(rerank(bench, 0.3).rows) == batch
    assert time.process_time() - start < 0.5
