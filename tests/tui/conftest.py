"""Small projects for the screens, made by the same functions as those of the command line."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
sys.path.insert(0, str(Path(__file__).parent))

from small_projects import plain_template, project, queued, queued_template

__all__ = ["plain_template", "project", "queued", "queued_template"]
