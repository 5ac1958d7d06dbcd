"""Where a run's predictions lie."""

from __future__ import annotations

from pathlib import Path

from coldal_tui.project.label_files import SUFFIXES
from coldal_tui.project.project import Project


def prediction_file(project: Project, run_id: str | None, scan_id: str) -> Path | None:
    """The run's predicted label of a scan, when it has been predicted."""
    if run_id is None:
        return None
    folder = project.layout.runs / run_id / "predictions"
    for suffix in SUFFIXES:
        path = folder / f"{scan_id}{suffix}"
        if path.is_file():
            return path
    return None
