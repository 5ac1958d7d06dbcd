"""Suspends labels whose image changed after they were drawn, until a person decides."""

from __future__ import annotations

from collections.abc import Iterable

from coldal_tui.project.project import Project

IMAGE_CHANGED = "image-changed"
"""The code in quarantine of a label whose image changed."""
SUSPENDED = "suspended"
"""The state of such a label: it trains nothing and counts as none."""


def suspend_labels(project: Project, scan_ids: Iterable[str]) -> tuple[str, ...]:
    """Move the active labels of scans whose image changed to quarantine; return those scans.

    Their queue items become exported again. Call inside a transaction.
    """
    store = project.store
    suspended = []
    for scan_id in sorted(scan_ids):
        label = store.row("SELECT * FROM labels WHERE scan_id = ? AND state = 'active'", (scan_id,))
        if label is None:
            continue
        suspended.append(scan_id)
        store.update("labels", {"label_id": label["label_id"]}, state=SUSPENDED)
        store.execute(
            "UPDATE queue SET status = 'exported' WHERE scan_id = ? AND status = 'labelled'",
            (scan_id,),
        )
        store.insert(
            "quarantine",
            scan_id=scan_id,
            file="",
            source=label["source"],
            source_sha256=label["source_sha256"],
            source_key=label["source_key"],
            format=label["format"],
            code=IMAGE_CHANGED,
            message=(
                f"the image changed after version {label['version']} of its label was drawn; if "
                "the label still fits, accept it, else import a new mask"
            ),
            state="waiting",
            created_at=store.now(),
        )
    return tuple(suspended)
