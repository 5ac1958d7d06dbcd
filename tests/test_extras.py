"""No page and no message tells people to install coldal-tui by a name that is nobody's yet."""

from __future__ import annotations

import re
import tomllib

import pytest

from coldal_tui.extras import install
from tests.support.places import ROOT

BY_NAME = re.compile(r"pip install\s+['\"]?coldal-tui\b")
PLACES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "coldal_tui").rglob("*.py"),
    *(ROOT / "backends").rglob("*.py"),
]


def test_what_is_looked_for() -> None:
    assert BY_NAME.search("pip install 'coldal-tui[slurm]'")
    assert BY_NAME.search("pip install coldal-tui")
    assert not BY_NAME.search("pip install '.[slurm]' in the folder of coldal-tui's source")


def test_nothing_is_installed_by_name() -> None:
    found = [str(p.relative_to(ROOT)) for p in PLACES if BY_NAME.search(p.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize("extra", ["encoders", "graphics", "onnx", "ray", "slurm"])
def test_extras_that_are_named_are_there(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert extra in project["optional-dependencies"]
    assert f"'.[{extra}]'" in install(extra)
