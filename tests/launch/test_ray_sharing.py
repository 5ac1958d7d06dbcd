"""Work shared by real actors: order, back-pressure, and scans over which actors die."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.imaging.image import ScanRef
from coldal_tui.jobs.spec import ScanInput
from tests.support.on_ray import RayHere, missing_for_ray

if missing := missing_for_ray():
    pytest.skip(missing, allow_module_level=True)

import ray

from coldal_launch.ray_actors import AHEAD, Sharing

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("ray")]


class Note:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def progress(self, done: float, total: float, message: str = "", **metrics: float) -> None:
        pass

    def log(self, message: str) -> None:
        self.lines.append(message)


class Player:
    """An actor that plays: names of scans say what becomes of them."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def load(self) -> None:
        if (self.folder / "stillborn").exists():
            os._exit(1)

    def work(self, scans: Sequence[ScanInput]) -> list[str]:
        (self.folder / f"begun-{scans[0].scan_id}").touch()
        for scan in scans:
            if scan.scan_id.endswith("kills"):
                os._exit(1)
            if scan.scan_id.endswith("kills-once") and not (self.folder / "once").exists():
                (self.folder / "once").touch()
                os._exit(1)
            if scan.scan_id.endswith("fails"):
                raise ColdalError("no memory left", code="out-of-memory")
        return [scan.scan_id.upper() for scan in scans]


@pytest.fixture
def connected(ray_cluster: RayHere) -> Iterator[None]:
    ray.init(address=ray_cluster.cluster.address, log_to_driver=False, logging_level="ERROR")
    # Nodes know no test modules: the class itself is sent to them.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.shutdown()


@pytest.fixture
def note() -> Note:
    return Note()


@pytest.fixture
def share(connected, tmp_path: Path, note: Note):
    def make(piece: int = 2, actors: int = 2) -> Sharing[str]:
        def start() -> Any:
            return ray.remote(Player).options(num_cpus=1).remote(str(tmp_path))

        return Sharing(start, actors, piece, lambda scan: f"lost {scan.scan_id}", note)

    return make


def scans(*names: str) -> list[ScanInput]:
    return [ScanInput(n, ScanRef("raster", (n,)), (1, 1), 1, None, None, "") for n in names]


def test_results_come_in_the_order_of_the_scans(share) -> None:
    names = [f"s{n:02d}" for n in range(25)]
    assert list(share()(scans(*names))) == [name.upper() for name in names]


def test_a_piece_whose_actor_died_is_done_by_another(share, note) -> None:
    names = ["a", "b-kills-once", "c", "d", "e", "f"]
    assert list(share()(scans(*names))) == [name.upper() for name in names]
    assert len(note.lines) == 1


def test_the_one_scan_over_which_actors_die_is_lost_and_no_other(share) -> None:
    names = ["a", "b", "c", "d-kills", "e", "f"]
    assert list(share()(scans(*names))) == ["A", "B", "C", "lost d-kills", "E", "F"]


def test_what_an_actor_raises_ends_the_work(share) -> None:
    with pytest.raises(ColdalError) as caught:
        list(share()(scans("a", "b", "c-fails", "d")))
    assert (caught.value.what, caught.value.code) == ("no memory left", "out-of-memory")


def test_actors_that_never_begin_are_given_up(share, tmp_path) -> None:
    (tmp_path / "stillborn").touch()
    with pytest.raises(ColdalError, match="actors on the Ray cluster die before they begin"):
        list(share(actors=1)(scans("a", "b")))


def test_no_more_is_begun_than_whoever_takes_the_results_can_hold(share, tmp_path) -> None:
    names = [f"s{n:03d}" for n in range(200)]
    results = share(piece=2, actors=1)(scans(*names))
    assert next(results) == "S000"
    time.sleep(2)
    begun = len(list(tmp_path.glob("begun-*")))
    assert begun <= AHEAD
    assert list(results) == [name.upper() for name in names[1:]]


def test_one_actor_is_enough(share) -> None:
    assert list(share(actors=1)(scans("a"))) == ["A"]
    assert list(share(actors=1)(scans())) == []
