"""A few faults of every kind in every command; ``make soak`` tries all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.scenes import FAULTS, SCENES, MapView, Stage
from tests.faults.server import Server, build

POINTS = 1
"""Of all the calls of a command, so many are hit by each kind of fault, spread evenly."""


MEMORY = Path("/dev/shm")
"""A file system in memory: an fsync there costs nothing."""


@pytest.fixture
def stage_folder(tmp_path: Path) -> Iterator[Path]:
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="coldal-faults-", dir=MEMORY) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("faults")
    library = build(folder)
    if library is None:
        pytest.skip("the shim needs Linux and a C compiler (gcc)")
    with Server(library, folder) as made:
        yield made


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_after_a_fault_nothing_is_lost_half_done_or_untrue(
    scene: MapView, server: Server, stage_folder: Path
) -> None:
    stage = Stage(scene, stage_folder / scene.name, server)
    assert stage.calls > POINTS
    wrong = []
    for kind, (how, error) in enumerate(FAULTS):
        for point in range(POINTS):
            # Each kind of fault at other places.
            share = (point + (kind + 0.5) / len(FAULTS)) / POINTS
            at = 1 + int(share * stage.calls)
            at = next(n for n in [*range(at, stage.calls + 1), *range(1, at)] if stage.hits(how, n))
            wrong += stage.hit(how, at, error)
    assert wrong == [], "\n".join(wrong)
