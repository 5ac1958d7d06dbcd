"""Handing queued scans out: which ones, with which pre-labels, and the record of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from coldal_tui.errors import UsageError
from coldal_tui.exchange.exporters import ExportItem, ExportMeta, exporter
from coldal_tui.files import sha256_file
from coldal_tui.project.indexing import safe_name
from coldal_tui.project.label_files import prediction_file as prediction_file
from coldal_tui.project.pool import latest_run
from coldal_tui.project.project import Project
from coldal_tui.project.snapshot import QueueItem, read_queue
from coldal_tui.project.store import current_user

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class ExportReport:
    """What was handed out and where it lies."""

    export_id: int
    folder: Path
    scans: tuple[str, ...]
    prelabels: int
    assignees: dict[str, int]


def export_queue(
    project: Project,
    *,
    format: str = "folder",
    out: Path | None = None,
    top: int | None = None,
    round_: int | None = None,
    assign: Sequence[str] = (),
    again: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Write the queued scans (with ``again`` those already out, too) and mark them exported.

    ``assign`` deals the scans out in rank order, round robin, where nobody was named before.

    Raises UsageError when nothing is queued or ``out`` is not empty.
    """
    wanted = ("queued", "exported") if again else ("queued",)
    items = [
        item
        for item in read_queue(project)
        if item.status in wanted and round_ in (None, item.round)
    ][:top]
    if not items:
        raise UsageError(
            "nothing is queued",
            where=project.name,
            remedy="pick scans: coldal-tui select or next; --again hands out the same once more",
            code="nothing",
        )
    names = cycle(assign) if assign else None
    given = {item.scan_id: item.assignee or (next(names) if names else None) for item in items}
    folder = out.absolute() if out is not None else _default_folder(project)
    run_id = latest_run(project)
    strategies = {
        row["round"]: row["strategy"] for row in project.store.rows("SELECT * FROM rounds")
    }
    classes = project.config.classes
    result = exporter(format)(
        folder,
        [_export_item(project, item, run_id, strategies, given[item.scan_id]) for item in items],
        ExportMeta(
            project=project.name,
            created=project.store.now(),
            exported_by=current_user(),
            classes=classes.names,
            ignore_value=classes.ignore_value,
        ),
        progress,
    )
    try:
        return _record(project, format, result.folder, result.images, items, given)
    except BaseException:
        # An export that nobody knows of would be drawn twice.
        shutil.rmtree(result.folder, ignore_errors=True)
        raise


def _default_folder(project: Project) -> Path:
    stamp = project.store.now()[:19].replace(":", "").replace("-", "")
    base = f"{stamp}-{safe_name(project.name)}"
    folder, number = project.layout.exports / base, 2
    while folder.exists():
        folder = project.layout.exports / f"{base}-{number}"
        number += 1
    return folder


def _export_item(
    project: Project,
    item: QueueItem,
    run_id: str | None,
    strategies: dict[int, str],
    assignee: str | None,
) -> ExportItem:
    scan = project.scan(item.scan_id)
    return ExportItem(
        scan_id=item.scan_id,
        rank=item.rank,
        ref=scan.ref(project.images),
        header=scan.header(),
        role=item.role,
        cluster=item.cluster,
        score=item.score,
        round=item.round,
        strategy=strategies.get(item.round, ""),
        run=run_id,
        prelabel=prediction_file(project, run_id, item.scan_id),
        assignee=assignee,
    )


def _record(
    project: Project,
    format: str,
    folder: Path,
    images: dict[str, str],
    items: Sequence[QueueItem],
    given: dict[str, str | None],
) -> ExportReport:
    store = project.store
    manifest = sha256_file(folder / "manifest.json")
    inside = folder.is_relative_to(project.root)
    ids = tuple(item.scan_id for item in items)
    with store.action("export", folder=str(folder), scans=list(ids)) as action:
        export_id = store.insert(
            "exports",
            folder=project.layout.relative(folder) if inside else str(folder),
            format=format,
            scans=list(ids),
            manifest_sha256=manifest,
            created_at=store.now(),
        )
        for item in items:
            # A label that came meanwhile stays one.
            store.execute(
                "UPDATE queue SET status = 'exported', export_id = ?, assignee = ? "
                "WHERE scan_id = ? AND status IN ('queued', 'exported')",
                (export_id, given[item.scan_id], item.scan_id),
            )
            if item.scan_id in images:
                store.update("scans", {"scan_id": item.scan_id}, sha256=images[item.scan_id])
        action.summary = f"exported {len(ids)} scans to {folder}"
        action.inputs = {"manifest": manifest}
    assignees: dict[str, int] = {}
    for person in given.values():
        if person is not None:
            assignees[person] = assignees.get(person, 0) + 1
    prelabels = folder / "prelabels"
    return ExportReport(
        export_id=export_id,
        folder=folder,
        scans=ids,
        prelabels=len(list(prelabels.iterdir())) if prelabels.is_dir() else 0,
        assignees=assignees,
    )
