"""On a GPU: the same results as on the CPU, within what its arithmetic allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from coldal_compute.embedding import embed
from coldal_compute.score_step import score
from coldal_compute.segmentation.network import memory_errors
from coldal_compute.train_step import train
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import (
    EmbedSpec,
    EncoderChoice,
    LabelledScan,
    ScoreSpec,
    Silent,
    TrainOptions,
    TrainSpec,
)

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
Discs = Callable[..., tuple[LabelledScan, ...]]


def test_vectors_of_a_gpu_are_those_of_the_cpu(discs: Discs, tmp_path: Path) -> None:
    scans = tuple(one.scan for one in discs(5))
    found = []
    for device in ("cpu", "cuda"):
        (tmp_path / device).mkdir()
        spec = EmbedSpec(scans, EncoderChoice("efficientnet-lite0"), batch_size=4, device=device)
        result = embed(spec, tmp_path / device, Silent())
        found.append(np.load(tmp_path / device / result.result["shards"][0]["file"]))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-3)


def test_scores_of_a_gpu_are_those_of_the_cpu(discs: Discs, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    options = TrainOptions(steps=20, batch_size=2, device="cpu", threads=1)
    train(TrainSpec("run", ("disc",), discs(4), (), options, 0), tmp_path / "run", Silent())
    scans = tuple(one.scan for one in discs(6, first=10))
    found: list[dict[str, float]] = []
    for device in ("cpu", "cuda"):
        (tmp_path / device).mkdir()
        score(ScoreSpec(str(tmp_path / "run"), scans, device=device), tmp_path / device, Silent())
        found.append(json.loads((tmp_path / device / "entropies.json").read_text()))
    assert found[0].keys() == found[1].keys()
    # bfloat16 keeps three digits.
    for name, value in found[0].items():
        assert found[1][name] == pytest.approx(value, abs=0.02)


def test_a_gpu_without_room_is_told_as_such() -> None:
    free = torch.cuda.mem_get_info()[0]
    with pytest.raises(ColdalError) as caught, memory_errors("smaller"):
        torch.empty(free * 2, dtype=torch.uint8, device="cuda")
    assert caught.value.code == "out-of-memory"


def test_mixed_precision_learns_what_float32_learns_on_a_gpu(
    discs: Discs, report: Any, tmp_path: Path
) -> None:
    dices = []
    for amp in (True, False):
        (tmp_path / str(amp)).mkdir()
        options = TrainOptions(steps=120, batch_size=4, learning_rate=3e-3, device="cuda", amp=amp)
        spec = TrainSpec("run", ("disc",), discs(8), discs(4, first=8), options, 0)
        result = train(spec, tmp_path / str(amp), report).result
        dices.append(result["validation"]["mean"]["dice"])
    assert dices[0] == pytest.approx(dices[1], abs=0.05)
