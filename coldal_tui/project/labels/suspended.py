"""Confirms labels whose image changed after they were drawn."""

from __future__ import annotations

import json

from coldal_tui.errors import ColdalError
from coldal_tui.project.changed_images import SUSPENDED
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.files import is_whole, stored_file
from coldal_tui.project.project import Project


def confirm_label(project: Project, row: Row) -> str:
    """Reactivate a suspended label that a person confirmed (inside an action).

    ``row`` is its row in the quarantine. Returns why it can't, empty on success.
    """
    store, scan_id = project.store, row["scan_id"]
    label = store.row(
        "SELECT label_id, version, geometry FROM labels WHERE scan_id = ? AND state = ? "
        "ORDER BY version DESC LIMIT 1",
        (scan_id, SUSPENDED),
    )
    if label is None:
        return "its label is gone; import a mask"
    why = _why_not(project, scan_id, label["version"])
    if why:
        return why
    store.update("labels", {"label_id": label["label_id"]}, state="active")
    store.execute(
        "UPDATE queue SET status = 'labelled' WHERE scan_id = ? AND status = 'exported'",
        (scan_id,),
    )
    store.update("quarantine", {"quarantine_id": row["quarantine_id"]}, state="resolved")
    return ""


def _why_not(project: Project, scan_id: str, version: int) -> str:
    from coldal_tui.imaging.labelfile import read_label

    label = project.store.row(
        "SELECT * FROM labels WHERE scan_id = ? AND version = ?", (scan_id, version)
    )
    shape = project.store.value("SELECT shape FROM scans WHERE scan_id = ?", (scan_id,))
    assert label is not None, "the caller has just read it"
    # Not moved yet: it is still at the path of the active label.
    path = stored_file(project, label) or project.file_of(label["file"])
    try:
        if not is_whole(path, label):
            return "its label was changed or is gone since it was accepted; import the mask again"
        if read_label(path).shape == tuple(json.loads(shape)):
            return ""
    except ColdalError as error:
        return f"{error.what}; import the mask again"
    return "the image has another grid than the label now; import a mask drawn on it"
