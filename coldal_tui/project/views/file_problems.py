"""Files that did not become scans, and scans that a job could not use, with reasons."""

from __future__ import annotations

from dataclasses import dataclass

from coldal_tui.project.project import Project
from coldal_tui.project.scans.left_out import read_left_out


@dataclass(frozen=True)
class FileProblem:
    """One file; ``kind`` groups reasons: ``unreadable``, ``refused``, ``not-an-image``, …"""

    file: str
    kind: str
    reason: str


def read_file_problems(project: Project) -> tuple[FileProblem, ...]:
    """Files that the index refused, then scans that jobs left out; non-images come last."""
    rows = project.store.rows(
        "SELECT rel_path, kind, reason FROM problems "
        "ORDER BY kind = 'not-an-image', kind, reason, rel_path"
    )
    found = [FileProblem(row["rel_path"], row["kind"], row["reason"]) for row in rows]
    left_out = [
        FileProblem(one.file or one.scan_id, "left out by a job", one.words)
        for one in read_left_out(project)
    ]
    refused = [one for one in found if one.kind != "not-an-image"]
    return (*refused, *left_out, *found[len(refused) :])
