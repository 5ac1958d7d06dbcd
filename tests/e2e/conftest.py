"""The real command line on a small share of the sample data; nothing may outlive the tests."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from coldal_tui.project.settings.config import edit_config
from tests.support.places import SAMPLE

PER_SITE = 6
STEPS = 12


@dataclass(frozen=True)
class Cli:
    """Runs ``coldal-tui`` as people do, from one working folder."""

    cwd: Path
    threads: int = 1

    @property
    def env(self) -> dict[str, str]:
        return os.environ | {"OMP_NUM_THREADS": str(self.threads), "NO_COLOR": "1"}

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "coldal_tui", *map(str, words)]

    def __call__(
        self, *words: object, status: int = 0, timeout: float = 900
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*words),
            cwd=self.cwd,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *words: object, status: int = 0) -> Any:
        """The one document on stdout."""
        return json.loads(self(*words, "--json", status=status).stdout)


def until(happened: Callable[[], Any], what: str, seconds: float = 600, pause: float = 0.05) -> Any:
    """Poll until ``happened`` gives something true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(pause)
    return found


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    return until


def processes_below(folder: Path) -> list[psutil.Process]:
    """Supervisors and workers of projects below ``folder``, and what they started."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            ours = any(word.startswith(("coldal_tui.scheduler", "coldal_launch")) for word in words)
            if ours and any(word.startswith(str(folder)) for word in words):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where all projects of a session lie; at its end no process of theirs is alive."""
    folder = tmp_path_factory.mktemp("e2e")
    yield folder
    # An idle supervisor goes after two seconds; a worker has nothing left to do.
    deadline = time.monotonic() + 300
    while (left := processes_below(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    told = [" ".join(process.cmdline()) for process in left]
    for process in left:
        process.kill()
    assert told == []


@pytest.fixture(scope="session")
def cli(base: Path) -> Cli:
    return Cli(base)


@pytest.fixture(scope="session")
def make_cli(base: Path) -> Callable[[int], Cli]:
    return lambda threads: Cli(base, threads)


@pytest.fixture(scope="session")
def cxr(base: Path) -> Path:
    """Six pictures of each of the four sites, with their masks and their table."""
    folder = base / "cxr"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    with (SAMPLE / "cxr" / "metadata.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    kept = []
    for site in sorted({row["site"] for row in rows}):
        kept += [row for row in rows if row["site"] == site][:PER_SITE]
    for row in kept:
        for name in ("images", "masks"):
            shutil.copyfile(
                SAMPLE / "cxr" / name / row["filename"], folder / name / row["filename"]
            )
    with (folder / "metadata.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(kept)
    return folder


@pytest.fixture(scope="session")
def new_project(base: Path, cli: Cli, cxr: Path) -> Callable[[str], Path]:
    """``new_project(name)``: an indexed project with a budget of 9 and a tiny training."""

    def make(name: str) -> Path:
        cli(
            *("init", name, "--images", cxr / "images", "--classes", "lung"),
            *("--ignore-value", 127, "--budget", 9, "--patients", cxr / "metadata.csv"),
        )
        edit_config(
            base / name / "coldal.toml",
            {
                ("train", "steps"): STEPS,
                ("train", "patch"): (64, 64),
                ("backend", "threads"): 1,
                ("validation", "folds"): 0,
            },
        )
        return base / name

    return make


def draw(exported: Any, masks: Path) -> Path:
    """Play the labeler: the true mask of every exported scan, under its scan_id."""
    folder = Path(exported["folder"]) / "masks"
    drawn = {path.name.split(".")[0]: path for path in masks.iterdir()}
    for scan_id in exported["scans"]:
        suffix = "".join(drawn[scan_id].suffixes)
        shutil.copyfile(drawn[scan_id], folder / f"{scan_id}{suffix}")
    return folder


@pytest.fixture(scope="session")
def labeler() -> Callable[[Any, Path], Path]:
    return draw


@pytest.fixture(scope="session")
def labelled(cli: Cli, cxr: Path, new_project: Callable[[str], Path]) -> Path:
    """A project with the masks of its first queue of 6; tests work on copies of it."""
    project = new_project("labelled")
    cli("select", project, "--budget", 6)
    exported = cli.json("export-queue", project)
    report = cli.json("import-masks", project, draw(exported, cxr / "masks"))
    assert len(report["accepted"]) == 6
    _at_rest(project)
    return project


def _at_rest(project: Path) -> None:
    until(lambda: not processes_below(project), "the supervisor to go")


@pytest.fixture
def copy_of(base: Path, labelled: Path, cli: Cli) -> Callable[[str], Path]:
    """``copy_of(name)``: the labelled project once more, beside it, and agreed to."""

    def make(name: str) -> Path:
        made = Path(shutil.copytree(labelled, base / name))
        cli("trust", made, "--yes")
        return made

    return make
