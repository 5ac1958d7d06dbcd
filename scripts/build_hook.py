"""Writes the commit into sdists and wheels, so that ``coldal-tui --version`` names it there, too.

Hatchling calls it (``[tool.hatch.build.hooks.custom]`` in pyproject.toml). A wheel made from an
sdist takes the file that the sdist brought; without git there is none, and no error.
"""

from __future__ import annotations

import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface[Any]):
    """Adds ``coldal_tui/commit.txt`` to what is built; an editable installation asks git itself."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        module = runpy.run_path(str(root / "coldal_tui" / "version.py"))
        name = module["COMMIT_FILE"]
        commit = module["git_commit"](root)
        if version == "editable" or not commit:
            return
        self._folder = tempfile.TemporaryDirectory()
        written = Path(self._folder.name, name)
        written.write_text(f"{commit}\n", "ascii")
        build_data["force_include"][str(written)] = f"coldal_tui/{name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()
