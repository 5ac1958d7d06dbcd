"""From what a person asks to the cells of a simulation, and from a request to its specification."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.imaging.labelfile import write_label
from coldal_tui.jobs.retry_smaller import on_device
from coldal_tui.jobs.spec import Receipt, SimulateSpec
from coldal_tui.project.job_rows import get_job
from coldal_tui.project.labels.hidden_masks import hide_masks
from coldal_tui.project.settings.config import edit_config
from coldal_tui.project.views.simulation_view import command_words, kinds_of
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.commit import commit_receipt
from coldal_tui.scheduler.plan_simulate import Wish, plan_design
from coldal_tui.scheduler.planning import build_spec
from coldal_tui.scheduler.request import ask_of
from coldal_tui.selection import strategies
from coldal_tui.selection.strategies import weighs_alpha
from coldal_tui.simulation.cells import read_setup
from coldal_tui.simulation.design import Arm, Design, SplitRule

DESIGN = Design(seeds=(0, 1), cold=("kmeans", "random"), budgets=(2, 3), full=True)


def test_the_projects_own_strategy_is_compared_with_random(project) -> None:
    design, rule = plan_design(project, Wish())
    assert design == Design(
        seeds=(0, 1, 2, 3, 4), cold=("coldstart", "random"), budgets=(20, 40), full=True, draws=3
    )
    assert rule == SplitRule(validation=0, test_fraction=0.3)


def test_strategies_of_the_first_queue_at_each_label_count(project) -> None:
    wish = Wish(strategies=("random", "kmeans", "kmeans"), budgets=(20, 10), seeds=2, first_seed=7)
    design, rule = plan_design(project, wish)
    assert (design.seeds, design.cold, design.budgets) == ((7, 8), ("kmeans", "random"), (10, 20))
    assert rule.validation == 0
    wish = Wish(strategies=("random",), budgets=(30, 40))
    assert plan_design(project, wish)[1].validation == 6


def test_rounds_compare_weights_of_entropy_and_random(project) -> None:
    design, _ = plan_design(project, Wish(rounds=2, batch=5, round0=10, alphas=(0.0, 1.0)))
    assert design.cold == ()
    assert design.active == (
        Arm("entropy-diversity", 0.0),
        Arm("entropy-diversity", 1.0),
        Arm("random"),
    )
    assert (design.start, design.round0, design.batch, design.rounds) == ("coldstart", 10, 5, 2)


@pytest.mark.parametrize(
    ("wish", "named"),
    [
        (Wish(rounds=2, random_budgets=(8,)), "--random-budgets"),
        (Wish(rounds=2, budgets=(8, 16)), "--budgets"),
        (Wish(rounds=2, strategies=("uherding",), alphas=(0.5,)), "--alpha"),
    ],
)
def test_what_no_arm_would_use_is_refused(project, wish: Wish, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        plan_design(project, wish)


def test_strategies_of_both_kinds_make_both_comparisons(project) -> None:
    """k-means suits the first queue and later rounds: it is compared in both."""
    wish = Wish(strategies=("coldstart", "kmeans", "entropy"), rounds=1, budgets=(8, 16))
    design, _ = plan_design(project, wish)
    assert design.cold == ("coldstart", "kmeans", "random")
    assert design.active == (Arm("kmeans"), Arm("entropy"), Arm("random"))
    # The rounds start from the smallest of the label counts.
    assert (design.budgets, design.round0) == ((8, 16), 8)


def test_only_strategies_that_weigh_entropy_have_weights() -> None:
    assert weighs_alpha("entropy-diversity")
    others = [one.name for one in strategies.strategies() if one.name != "entropy-diversity"]
    assert [name for name in others if weighs_alpha(name)] == []


@pytest.mark.parametrize(
    ("wish", "what"),
    [
        (Wish(strategies=("best",)), "there is no strategy 'best'"),
        (Wish(strategies=("entropy",)), "picks later rounds, and none was asked for"),
        (Wish(rounds=1, start="entropy"), "does not suit the first round"),
        (Wish(budgets=(4,), validation=4), "of 4 labels, 4 are for validation"),
    ],
)
def test_what_can_t_be_simulated_is_refused(project, wish, what) -> None:
    with pytest.raises(UsageError, match=what):
        plan_design(project, wish)


def test_validation_is_as_the_project_says(project) -> None:
    edit_config(project.layout.config, {("validation", "patients"): 3})
    project.reload_config()
    assert plan_design(project, Wish(budgets=(10,)))[1].validation == 3
    assert plan_design(project, Wish(budgets=(10,), validation=0))[1].validation == 0


@pytest.fixture
def masks(project, tmp_path) -> Path:
    folder = tmp_path / "masks"
    folder.mkdir()
    for number, name in enumerate("abcd"):
        drawn = np.zeros((8, 9), np.uint8)
        drawn[2:4, number : number + 3] = 1
        write_label(folder / f"{name}.png", drawn, None)
    return folder


@pytest.fixture
def planned(project, embedded, masks) -> Callable[..., SimulateSpec]:
    """``planned(**request)``: the specification of a part of ``DESIGN``."""
    embedded()

    def make(**more: Any) -> SimulateSpec:
        request = {
            "cases": hide_masks(project, masks).file,
            "design": msgspec.to_builtins(DESIGN),
            "rule": msgspec.to_builtins(SplitRule(1)),
        }
        spec = build_spec(project, "simulate", request | more)
        assert isinstance(spec, SimulateSpec)
        return spec

    return make


def test_a_part_has_its_cells_and_the_whole_design(planned, project) -> None:
    parts = [planned(part=n, parts=2) for n in range(2)]
    assert [part.design for part in parts] == [DESIGN, DESIGN]
    assert parts[0].cells + parts[1].cells == tuple(DESIGN.all_cells())
    assert parts[0].store == parts[1].store
    assert {id for shard in parts[0].shards for id in shard.scan_ids} == set("abcd")
    assert [one.scan.scan_id for one in parts[0].scans] == list("abcd")
    assert parts[0].classes == project.config.classes.names


def test_the_first_seeds_of_a_simulation_have_its_cells(planned) -> None:
    """A pilot: the same set-up, so that the rest goes on from it."""
    pilot, whole = planned(upto=1), planned()
    assert pilot.design.seeds == (0,)
    assert [cell for cell in whole.cells if cell.seed == 0] == list(pilot.cells)
    assert (pilot.setup, pilot.store) == (whole.setup, whole.store)


def test_what_cells_share_is_written_beside_them(planned) -> None:
    spec = planned()
    setup = read_setup(Path(spec.store))
    assert setup.setup == spec.setup
    assert [one.scan_id for one in setup.scans] == list("abcd")
    assert (setup.encoder_hash, setup.ndim) == (spec.encoder_hash, 2)


@pytest.mark.parametrize(
    "more",
    [
        {"design": msgspec.to_builtins(msgspec.structs.replace(DESIGN, seeds=(5,)))},
        {"device": "cuda"},
        {"part": 1, "parts": 2},
    ],
)
def test_more_seeds_or_another_device_find_the_same_cells(planned, more) -> None:
    assert planned(**more).store == planned().store


@pytest.mark.parametrize(
    "more",
    [
        {"steps": 7},
        {"rule": msgspec.to_builtins(SplitRule(2))},
        {"rule": msgspec.to_builtins(SplitRule(1, 0.4))},
    ],
)
def test_another_split_or_training_makes_other_cells(planned, more) -> None:
    assert planned(**more).setup != planned().setup


def test_another_mask_makes_other_cells(planned, masks) -> None:
    before = planned()
    write_label(masks / "a.png", np.ones((8, 9), np.uint8), None)
    assert planned().setup != before.setup


def test_one_scan_a_patient_makes_other_cells(planned, project) -> None:
    before = planned()
    edit_config(project.layout.config, {("selection", "one_per_patient"): True})
    project.reload_config()
    after = planned()
    assert (before.one_per_patient, after.one_per_patient) == (False, True)
    assert after.setup != before.setup


def test_nothing_is_simulated_without_embeddings(project, masks) -> None:
    request = {
        "cases": hide_masks(project, masks).file,
        "design": msgspec.to_builtins(DESIGN),
        "rule": msgspec.to_builtins(SplitRule(1)),
    }
    with pytest.raises(ColdalError, match="no scan has been embedded yet"):
        build_spec(project, "simulate", request)


def test_a_simulation_trains_on_the_device_it_is_given(planned, project) -> None:
    assert on_device(planned(), "cuda").options.device == "cuda"
    assert ask_of(project, "simulate", {"device": "cuda:1"}).device == "cuda:1"


def test_a_finished_part_is_recorded(planned, project) -> None:
    spec = planned()
    number = queue.submit(project, "simulate", {})
    folder = get_job(project, number).folder
    folder.prepare(spec)
    result = {"cells": 10, "done": 4, "reused": 5, "failed_cells": [{"cell": "x", "what": "y"}]}
    folder.write_receipt(Receipt(str(number), "simulate", (), result))
    commit_receipt(project, number)
    job = get_job(project, number)
    assert (job.status, job.result) == ("done", result | {"setup": spec.setup})
    summary = project.store.value("SELECT summary FROM audit ORDER BY audit_id DESC")
    assert summary == "simulated 4 of 10 cells"


def test_kinds_of_scans_are_a_column_of_their_metadata(project) -> None:
    for name, style in (("a", "grey"), ("b", "pink"), ("c", "grey")):
        meta = json.dumps({"style": style, "file": name})
        project.store.execute("UPDATE scans SET meta = ? WHERE scan_id = ?", (meta, name))
    assert kinds_of(project, "style", ["a", "b", "d"]) == {"a": "grey", "b": "pink"}
    with pytest.raises(UsageError, match="no scan has a value of 'stain'") as caught:
        kinds_of(project, "stain", ["a", "b"])
    assert caught.value.remedy == "name one of: file, format, style"


def test_a_column_with_many_values_is_none_of_kinds(project, monkeypatch) -> None:
    from coldal_tui.project.views import simulation_view

    monkeypatch.setattr(simulation_view, "MOST_KINDS", 2)
    for name in "abc":
        meta = json.dumps({"file": name})
        project.store.execute("UPDATE scans SET meta = ? WHERE scan_id = ?", (meta, name))
    with pytest.raises(UsageError, match="'file' has 3 different values; at most 2"):
        kinds_of(project, "file", "abc")


def test_the_command_asks_for_the_same_again() -> None:
    design = Design(
        seeds=(3, 4), cold=("kmeans", "random"), budgets=(6, 12), full=False, draws=2, further=(8,)
    )
    request = {
        "design": msgspec.to_builtins(design),
        "rule": msgspec.to_builtins(SplitRule(0)),
        "steps": 120,
        "image_size": 96,
        "by": "style",
    }
    assert command_words(request) == (
        "coldal-tui simulate --strategies kmeans,random --budgets 6,12 --random-budgets 8 "
        "--seeds 2 --seed 3 --draws 2 --validation 0 --test-fraction 0.3 --steps 120 "
        "--image-size 96 --by style --no-full"
    )
