"""A small project, and a supervisor over a backend whose workers do what the test tells them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from coldal_tui.project.job_rows import DONE, get_job
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.scheduler import queue
from coldal_tui.scheduler.supervisor import Supervisor
from tests.support.places import ROOT
from tests.support.playing import Clock, FakeBackend

SCANS = 4
SOAK = ROOT / "scripts" / "soak_jobs.py"


@pytest.fixture
def empty_project(tmp_path: Path) -> Iterator[Project]:
    """A project whose images folder is empty."""
    (tmp_path / "images").mkdir()
    with Project.create(tmp_path / "project", tmp_path / "images") as project:
        yield project


@pytest.fixture
def project(empty_project: Project) -> Project:
    """A project of four pictures, ``a.png`` to ``d.png``."""
    rng = np.random.default_rng(0)
    for name in "abcd"[:SCANS]:
        pixels = rng.integers(0, 255, (8, 9)).astype(np.uint8)
        Image.fromarray(pixels).save(empty_project.images / f"{name}.png")
    reindex(empty_project)
    return empty_project


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def supervisor(project: Project, backend: FakeBackend, clock: Clock) -> Supervisor:
    return Supervisor(project, lambda name: backend, clock)


@pytest.fixture
def embedded(project: Project) -> Callable[[], None]:
    """Call it to have every scan of the project embedded, as if a job had done it."""

    def embed() -> None:
        fake = FakeBackend()
        number = queue.submit(project, "embed")
        supervisor = Supervisor(project, lambda name: fake)
        supervisor.step()
        fake.finish_embedding()
        supervisor.step()
        assert get_job(project, number).status == DONE

    return embed


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script of the long fault loops, as a module."""
    found = spec_from_file_location("soak_jobs", SOAK)
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    monkeypatch.setitem(sys.modules, "soak_jobs", module)
    found.loader.exec_module(module)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # Sessions of other tests' processes must not be mistaken for these.
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return module
