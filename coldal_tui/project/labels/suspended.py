"""Confirming labels whose image changed after they were drawn."""

from __future__ import annotations

import json

from coldal_tui.errors import ColdalError
from coldal_tui.project.changed_images import SUSPENDED
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.files import stored_file
from coldal_tui.project.project import Project


def confirm_label(project: Project, row: Row) -> str:
    """Let a suspended label count again: a person said that it fits (inside an action).

    ``row`` is that of its quarantine. Returns why not, empty where it counts again.
    """
    store, scan_id = project.store, row["scan_id"]
    label = store.row(
        "SELECT label_id, version, geometry FROM labels WHERE scan_id = ? AND state = ? "
        "ORDER BY version DESC LIMIT 1",
        (scan_id, SUSPENDED),
    )
    if label is None:
        return "its label is gone; import a mask"
    if not _fits(project, scan_id, label["version"]):
        return "the image has another grid than the label now; import a mask drawn on it"
    store.update("labels", {"label_id": label["label_id"]}, state="active")
    store.execute(
        "UPDATE queue SET status = 'labelled' WHERE scan_id = ? AND status = 'exported'",
        (scan_id,),
    )
    store.update("quarantine", {"quarantine_id": row["quarantine_id"]}, state="resolved")
    return ""


def _fits(project: Project, scan_id: str, version: int) -> bool:
    from coldal_tui.imaging.labelfile import read_label

    label = project.store.row(
        "SELECT * FROM labels WHERE scan_id = ? AND version = ?", (scan_id, version)
    )
    shape = project.store.value("SELECT shape FROM scans WHERE scan_id = ?", (scan_id,))
    path = stored_file(project, label) if label is not None else None
    if path is None:
        # Not moved yet: it still lies where the active one lay.
        path = project.file_of(label["file"]) if label is not None else None
    try:
        return path is not None and read_label(path).shape == tuple(json.loads(shape))
    except (ColdalError, OSError):
        return False
