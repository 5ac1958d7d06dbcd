"""A specification made smaller, step by step, after the memory ran out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coldal_tui.imaging.image import ScanRef
from coldal_tui.jobs.retry_smaller import Fit, fitted, on_device, smaller
from coldal_tui.jobs.spec import (
    EmbedSpec,
    EncoderChoice,
    EvaluateSpec,
    JobSpec,
    LabelledScan,
    MapSpec,
    ScanInput,
    ScoreSpec,
    TrainOptions,
    TrainSpec,
)

SCAN = ScanInput("a", ScanRef("raster", ("a.png",)), (8, 8), 1, None, None, "q")
EMBED = EmbedSpec((SCAN,), EncoderChoice("tiny"), batch_size=16)
MAP = MapSpec((), "hash", 0)


def _train(batch: int | None = None, patch: tuple[int, ...] | None = None) -> TrainSpec:
    options = TrainOptions(batch_size=batch, patch=patch)
    return TrainSpec("run-001", ("x",), (LabelledScan(SCAN, "a.png"),), (), options, 0)


def _steps(spec: JobSpec, folder: Path) -> list[Fit]:
    found: list[Fit] = []
    fit: Fit | None = Fit()
    while fit is not None and len(found) < 30:
        fit = smaller(spec, fit, folder)
        found += [fit] if fit is not None else []
    return found


def test_an_embedding_halves_its_batch_down_to_one(tmp_path: Path) -> None:
    assert [fit.batch_size for fit in _steps(EMBED, tmp_path)] == [8, 4, 2, 1]


def test_a_training_halves_its_batch_then_its_patch_shrinks(tmp_path: Path) -> None:
    steps = _steps(_train(4, (128, 96)), tmp_path)
    assert [(fit.batch_size, fit.patch) for fit in steps] == [
        (2, None),
        (1, None),
        (1, (80, 64)),
        (1, (48, 32)),
        (1, (32, 16)),
        (1, (16, 16)),
    ]


def test_what_a_training_decided_by_itself_is_read_from_its_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps({"batch_size": 2, "patch": [96, 96, 96]}))
    first, second = _steps(_train(), tmp_path)[:2]
    assert (first.batch_size, first.patch) == (1, None)
    assert (second.batch_size, second.patch) == (1, (64, 64, 64))
    assert second.reasons == (
        "the memory ran out: batches of 1 instead of 2",
        "the memory ran out: patches of 64×64×64 instead of 96×96×96",
    )


def test_scoring_sends_fewer_windows_at_once(tmp_path: Path) -> None:
    assert [fit.windows for fit in _steps(ScoreSpec("run", (SCAN,)), tmp_path)] == [2, 1]
    assert [fit.windows for fit in _steps(EvaluateSpec("run", ()), tmp_path)] == [2, 1]


@pytest.mark.parametrize("spec", [MAP, _train()])
def test_where_nothing_can_be_smaller_nothing_is(spec: JobSpec, tmp_path: Path) -> None:
    assert smaller(spec, Fit(), tmp_path) is None


def test_a_fitted_specification_differs_in_what_was_made_smaller_alone() -> None:
    fit = Fit(batch_size=3, patch=(32, 32), windows=1)
    assert fitted(EMBED, fit) == EmbedSpec((SCAN,), EncoderChoice("tiny"), batch_size=3)
    assert fitted(_train(8), fit) == _train(3, (32, 32))
    assert fitted(ScoreSpec("run", (SCAN,)), fit) == ScoreSpec("run", (SCAN,), windows=1)
    assert fitted(MAP, fit) == MAP
    assert fitted(_train(8, (64, 64)), Fit()) == _train(8, (64, 64))


def test_the_device_that_was_given_replaces_the_one_that_was_asked_for() -> None:
    assert on_device(EMBED, "cuda") == EmbedSpec(
        (SCAN,), EncoderChoice("tiny"), batch_size=16, device="cuda"
    )
    trained = on_device(_train(8), "cpu")
    assert isinstance(trained, TrainSpec)
    assert (trained.options.device, trained.options.batch_size) == ("cpu", 8)
    assert on_device(EMBED, None) is EMBED
    assert on_device(MAP, "cuda") is MAP
