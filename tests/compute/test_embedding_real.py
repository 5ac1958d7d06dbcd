"""Embeddings of real pictures: what looks alike lies together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coldal_compute.embedding import embed
from coldal_tui.imaging.image import ScanRef
from coldal_tui.imaging.reading import read_header
from coldal_tui.jobs.spec import EmbedSpec, EncoderChoice, ScanInput, Silent
from tests.support.places import DATA

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="no real data in ../shared/data"),
]


def _scan(path: Path, kind: str, group: str) -> ScanInput:
    ref = ScanRef(kind, (str(path),))
    header = read_header(ref)
    return ScanInput(
        f"{group}-{path.name.split('.')[0]}",
        ref,
        header.shape,
        header.channels,
        header.spacing,
        header.modality,
        "q",
    )


def _some(folder: str, pattern: str, count: int) -> list[Path]:
    files = sorted((DATA / folder).glob(pattern))
    return files[:: max(1, len(files) // count)][:count]


def test_the_nearest_neighbour_of_a_scan_is_of_its_own_kind(tmp_path: Path) -> None:
    scans = (
        *(_scan(p, "raster", "cxr") for p in _some("cxr", "images/*.png", 6)),
        *(_scan(p, "raster", "retina") for p in _some("retina_chasedb1", "images/*.jpg", 6)),
        *(_scan(p, "nifti", "mri") for p in _some("hippocampus", "images/*.nii.gz", 3)),
    )
    result = embed(EmbedSpec(scans, EncoderChoice("efficientnet-lite0")), tmp_path, Silent())
    assert result.failed == ()
    (shard,) = result.result["shards"]
    vectors = np.load(tmp_path / shard["file"])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1)
    groups = [scan_id.split("-")[0] for scan_id in shard["scan_ids"]]
    assert [groups[n] for n in likeness.argmax(axis=1)] == groups
    assert set(groups) == {"cxr", "retina", "mri"}
