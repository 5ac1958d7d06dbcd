"""One mask on its way into the project: staged beside the label versions, then a version itself."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.importing import Verdict
from coldal_tui.files import sha256_file
from coldal_tui.imaging.labelfile import IGNORE_LABEL, read_label, write_label
from coldal_tui.project.label_files import STAGED, active_file, stored_file, version_file
from coldal_tui.project.project import Project
from coldal_tui.project.quarantine import keep_copy, resolve_quarantine


@dataclass(frozen=True)
class Staged:
    """A verdict without its pixels.

    Those of a new label lie in ``file`` until it has a version; ``kept`` is the copy of a mask
    that goes to quarantine, relative to the project.
    """

    verdict: Verdict
    file: Path | None = None
    sha256: str = ""
    voxels: dict[str, int] = field(default_factory=dict)
    kept: str = ""


@contextlib.contextmanager
def staging() -> Iterator[list[Staged]]:
    """Collects staged masks; files that did not become labels are gone afterwards."""
    staged: list[Staged] = []
    try:
        yield staged
    finally:
        for one in staged:
            if one.file is not None:
                one.file.unlink(missing_ok=True)


def stage(project: Project, verdict: Verdict) -> Staged:
    """Write an accepted mask beside the label versions, on the scan's own grid."""
    bare = replace(verdict, label=None)
    if verdict.label is None or verdict.scan_id is None:
        kept = keep_copy(project, verdict) if verdict.status == "quarantined" else ""
        return Staged(bare, kept=kept)
    scan = project.scan(verdict.scan_id)
    path = version_file(project, scan, f"{STAGED}{secrets.token_hex(6)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_label(path, verdict.label, scan.affine)
    voxels = count_voxels(verdict.label, project.config.classes.names)
    return Staged(bare, path, sha256_file(path), voxels)


_KNOWN = (
    "SELECT * FROM labels WHERE scan_id = :scan AND source_sha256 = :source AND state IN "
    "('active', 'superseded') AND EXISTS (SELECT 1 FROM labels a WHERE a.scan_id = :scan "
    "AND a.state = 'active')"
)
"""Versions made of a file, unless the scan's label was rejected: then the file may come again."""


def is_known(project: Project, verdict: Verdict) -> bool:
    """Whether this file has given this label before.

    The pixels are compared, too: after a change of what the values mean, the same file is another
    label; and one whose file was lost or damaged is taken in again.
    """
    if verdict.status != "accepted" or verdict.label is None:
        return False
    rows = project.store.rows(_KNOWN, {"scan": verdict.scan_id, "source": verdict.sha256})
    return any(_holds(stored_file(project, row), verdict.label) for row in rows)


def _holds(file: Path | None, label: NDArray[np.uint8]) -> bool:
    if file is None:
        return False
    try:
        return np.array_equal(read_label(file), label)
    except ImageError:
        return False


def taken_in_meanwhile(project: Project, staged: Staged) -> bool:
    """Whether another import of the same masks was faster."""
    named = {"scan": staged.verdict.scan_id, "source": staged.verdict.sha256}
    rows = project.store.rows(_KNOWN, named)
    return any(
        row["sha256"] == staged.sha256 and stored_file(project, row) is not None for row in rows
    )


def store_label(project: Project, staged: Staged) -> None:
    """Make a staged mask the newest version of its scan's label (inside an action)."""
    verdict = staged.verdict
    if staged.file is None or verdict.scan_id is None:
        raise ValueError("only an accepted mask that was staged can become a label")
    store = project.store
    scan = project.scan(verdict.scan_id)
    version = 1 + (
        store.value("SELECT max(version) FROM labels WHERE scan_id = ?", (scan.scan_id,)) or 0
    )
    role = _role(project, scan.scan_id)
    staged.file.replace(version_file(project, scan, f"v{version}"))
    store.update("labels", {"scan_id": scan.scan_id, "state": "active"}, state="superseded")
    store.insert(
        "labels",
        scan_id=scan.scan_id,
        version=version,
        file=project.layout.relative(active_file(project, scan)),
        sha256=staged.sha256,
        state="active",
        role=role,
        source=str(verdict.file),
        source_sha256=verdict.sha256,
        format="mask",
        geometry=verdict.geometry,
        notes=[*verdict.notes, *verdict.warnings],
        voxels=staged.voxels,
        created_at=store.now(),
    )
    store.update("queue", {"scan_id": scan.scan_id}, status="labelled")
    resolve_quarantine(project, scan.scan_id, verdict.sha256)


def _role(project: Project, scan_id: str) -> str:
    """The role of the label that is replaced, else of the queue item that asked for one."""
    earlier = project.store.value(
        "SELECT role FROM labels WHERE scan_id = ? AND state = 'active'", (scan_id,)
    )
    asked = project.store.value(
        "SELECT role FROM queue WHERE scan_id = ? AND status != 'skipped'", (scan_id,)
    )
    return str(earlier or asked or "manual")


def count_voxels(label: NDArray[np.uint8], classes: tuple[str, ...]) -> dict[str, int]:
    """Pixels or voxels per class, and those to ignore."""
    counts = np.bincount(label.ravel(), minlength=256)
    found = {name: int(counts[number]) for number, name in enumerate(classes, start=1)}
    return found | ({"ignore": int(counts[IGNORE_LABEL])} if counts[IGNORE_LABEL] else {})
