"""A project pins its encoder by hash: another file in its place is refused, nothing is mixed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from coldal_tui.project.project import Project

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("e2e"),
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
]


class Sums(torch.nn.Module):
    """Per channel the mean and the largest value, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)


def _model(path: Path, factor: float) -> Path:
    torch.jit.save(torch.jit.trace(Sums(factor), torch.zeros(1, 3, 16, 16)), path)
    return path


def _picture(folder: Path, number: int) -> None:
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / f"scan{number}.png")


def _vectors(root: Path) -> dict[str, int]:
    """Scans with a vector, by encoder hash."""
    with Project(root) as project:
        rows = project.store.rows(
            "SELECT encoder_hash, count(*) AS n FROM embeddings GROUP BY encoder_hash"
        )
        return {row["encoder_hash"]: row["n"] for row in rows}


def test_another_file_in_its_place_is_refused(cli, base, tmp_path) -> None:
    images = base / "pinned-images"
    images.mkdir()
    for number in range(4):
        _picture(images, number)
    model = _model(tmp_path / "mine.pt", 1.0)
    cli("init", "pinned", "--images", images, "--classes", "a", "--budget", 3)
    root = base / "pinned"
    cli("encoder", root, "use", "file", "--weights", model, "--size", 16)
    cli("embed", root)
    (first,) = _vectors(root)

    _picture(images, 4)
    cli("index", root)
    kept = shutil.copyfile(model, tmp_path / "kept.pt")
    _model(model, 2.0)
    refused = cli("embed", root, status=1)
    assert "has SHA-256" in refused.stderr
    assert "encoder use file --weights FILE" in refused.stderr
    assert _vectors(root) == {first: 4}

    # The file restored: the new scan joins the others.
    shutil.copyfile(kept, model)
    cli("embed", root)
    assert _vectors(root) == {first: 5}

    # The other one chosen on purpose: every scan gets a vector of its own by it, beside the old.
    _model(model, 2.0)
    cli("encoder", root, "use", "file", "--weights", model, "--size", 16)
    cli("embed", root)
    found = _vectors(root)
    assert len(found) == 2
    assert set(found.values()) == {5}
    with Project(root) as project:
        record = project.store.value(
            "SELECT record FROM encoders WHERE encoder_hash != ?", (first,)
        )
    for word in ("licence", "source", "preprocessing", "layer", "weights_sha256"):
        assert f'"{word}"' in record
