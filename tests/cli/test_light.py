"""Without torch and what only workers use: what such an installation needs, and what works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

BLOCKED = ("torch", "monai", "lightning", "numba", "openTSNE", "safetensors")
ABSENT = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {BLOCKED}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Absent())
"""


def pins(name: str) -> dict[str, str]:
    """Packages and their versions."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;]+)", (ROOT / name).read_text(), re.MULTILINE)
    return {package.lower(): version for package, version in found}


def test_what_is_pinned_is_pinned_alike() -> None:
    light, whole = pins("requirements-light.txt"), pins("constraints.txt")
    assert {name: whole.get(name) for name in light} == light
    assert {"textual", "click", "apsw", "msgspec", "pydicom"} <= set(light)
    assert {name.lower() for name in BLOCKED} & set(light) == set()


@pytest.fixture
def light(tmp_path: Path) -> dict[str, str]:
    """An environment in which those packages can't be imported."""
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "sitecustomize.py").write_text(ABSENT)
    path = os.pathsep.join((str(tmp_path / "absent"), os.environ.get("PYTHONPATH", "")))
    return os.environ | {"PYTHONPATH": path}


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["queue"],
        ["why", "scan_0"],
        ["queue", "pin", "scan_0"],
        ["labels"],
        ["jobs"],
        ["encoder"],
        ["index"],
        ["export-queue"],
    ],
    ids=" ".join,
)
def test_commands_work_without_them(words: list[str], light: dict[str, str], queued: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "coldal_tui", *words, "--json"],
        cwd=queued,
        env=light,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)


def test_the_app_s_modules_load_without_them(light: dict[str, str]) -> None:
    code = "import coldal_tui.tui.shell.app, coldal_tui.api, coldal_tui.scheduler.supervisor"
    subprocess.run([sys.executable, "-c", code], env=light, timeout=600, check=True)
