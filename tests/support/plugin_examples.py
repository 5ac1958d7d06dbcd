"""The example plug-ins on the path, with the dist-info that an installer would write."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from tests.support.places import ROOT

EXAMPLES = ROOT / "examples" / "plugins"
PROJECT = tomllib.loads((EXAMPLES / "pyproject.toml").read_text())["project"]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package with the dist-info that an installer writes from its pyproject.toml.

    It is in the environment too, so that processes started from here have it.
    """
    site = tmp_path / "site"
    shutil.copytree(EXAMPLES / "coldal_examples", site / "coldal_examples")
    info = site / f"coldal_tui_examples-{PROJECT['version']}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {PROJECT['name']}\nVersion: {PROJECT['version']}\n"
    (info / "METADATA").write_text(metadata)
    groups = PROJECT["entry-points"].items()
    (info / "entry_points.txt").write_text(
        "\n".join(
            f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in entries.items())
            for group, entries in groups
        )
    )
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    return site
