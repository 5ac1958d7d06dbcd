"""Which cells a simulation has, what each goes on from, and how they are shared out."""

from __future__ import annotations

from coldal_tui.simulation.design import FULL, Arm, CellId, Design

COLD = Design(seeds=(1, 2), cold=("coldstart", "random"), budgets=(10, 20), full=False)
ROUNDS = Design(
    seeds=(1, 2),
    active=(Arm("entropy-diversity", 0.5), Arm("random")),
    start="coldstart",
    round0=10,
    batch=5,
    rounds=2,
    full=True,
)


def test_cold_cells_are_strategies_at_label_counts() -> None:
    assert [cell.name for cell in COLD.cells(2)] == [
        "s002-cold-coldstart-0010",
        "s002-cold-random-0010",
        "s002-cold-coldstart-0020",
        "s002-cold-random-0020",
    ]
    assert len(COLD.all_cells()) == 8


def test_rounds_share_their_first_queue_and_come_in_order() -> None:
    assert [cell.name for cell in ROUNDS.cells(1)] == [
        "s001-cold-coldstart-0010",
        "s001-active-coldstart-0010-entropy-diversity-a0.5-0015-r1",
        "s001-active-coldstart-0010-entropy-diversity-a0.5-0020-r2",
        "s001-active-coldstart-0010-random-0015-r1",
        "s001-active-coldstart-0010-random-0020-r2",
        "s001-full",
    ]


def test_a_round_goes_on_from_the_one_before() -> None:
    second = ROUNDS.active_cell(1, ROUNDS.active[0], 2)
    assert (second.labels, second.batch) == (20, 5)
    assert second.before == ROUNDS.active_cell(1, ROUNDS.active[0], 1)
    assert second.before.before == CellId(1, "cold", "coldstart", 10)
    assert second.before.before.before is None


def test_arms_are_called_by_strategy_and_weight() -> None:
    assert list(ROUNDS.curves("active", 1)) == ["entropy-diversity α=0.5", "random"]
    assert list(ROUNDS.curves("full", 1)) == [FULL]
    assert {cells[0] for cells in ROUNDS.curves("active", 2).values()} == {
        (CellId(2, "cold", "coldstart", 10),)
    }


def test_label_counts() -> None:
    assert COLD.label_counts("cold") == [10, 20]
    assert ROUNDS.label_counts("active") == [10, 15, 20]
    assert (COLD.smallest, COLD.largest) == (10, 20)
    assert (ROUNDS.smallest, ROUNDS.largest) == (10, 20)


def test_names_of_cells_are_unique() -> None:
    names = [cell.name for cell in [*COLD.all_cells(), *ROUNDS.all_cells()]]
    # The first queue of the rounds is the very cell of the cold start.
    assert len(set(names)) == len(names) - 2


def test_parts_hold_every_cell_once_and_keep_seeds_together() -> None:
    parts = [ROUNDS.share(n, 2) for n in range(2)]
    assert [{cell.seed for cell in part} for part in parts] == [{1}, {2}]
    assert parts[0] + parts[1] == ROUNDS.all_cells()


def test_more_parts_than_seeds_part_the_arms_but_no_chain() -> None:
    parts = [ROUNDS.share(n, 6) for n in range(6)]
    assert {cell for part in parts for cell in part} == set(ROUNDS.all_cells())
    for part in parts:
        assert all(cell.before is None or cell.before in part for cell in part)
    assert max(map(len, parts)) == 3


def test_more_parts_than_chains_leave_some_empty() -> None:
    assert Design(seeds=(1,), cold=("random",), budgets=(5,), full=False).share(3, 4) == []


def test_random_is_drawn_several_times_and_at_more_label_counts() -> None:
    design = Design(seeds=(3,), cold=("kmeans", "random"), budgets=(6, 12), draws=2, further=(8,))
    assert [cell.name for cell in design.cells(3)] == [
        "s003-cold-kmeans-0006",
        "s003-cold-random-0006",
        "s003-cold-random-0006-d1",
        "s003-cold-kmeans-0012",
        "s003-cold-random-0012",
        "s003-cold-random-0012-d1",
        "s003-cold-random-0008",
        "s003-cold-random-0008-d1",
        "s003-full",
    ]
    assert design.random_counts == [6, 8, 12]
    assert [len(cells) for cells in design.curves("cold", 3)["random"]] == [2, 2]
    assert design.largest == 12


def test_each_draw_of_random_goes_its_own_way_through_the_rounds() -> None:
    design = Design(
        seeds=(1,), active=(Arm("random"),), start="kmeans", round0=4, batch=2, rounds=2, draws=2
    )
    last = design.active_cells(1, Arm("random"), 2)
    assert [cell.draw for cell in last] == [0, 1]
    assert [cell.before.draw for cell in last] == [0, 1]
    assert {cell.before.before for cell in last} == {CellId(1, "cold", "kmeans", 4)}
    # Shared among three jobs, each draw's chain stays whole.
    parts = [design.share(n, 3) for n in range(3)]
    assert [[cell.round for cell in part] for part in parts] == [[0, 1, 2], [0, 1, 2], [0]]
