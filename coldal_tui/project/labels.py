"""Accepted masks: stored on the scan's own grid, every version kept, files in step with rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import UsageError
from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.importing import Verdict, examine
from coldal_tui.exchange.policy import ImportOptions
from coldal_tui.files import sha256_file
from coldal_tui.imaging.labelfile import IGNORE_LABEL, label_suffix, write_label
from coldal_tui.project.project import Project
from coldal_tui.project.quarantine import put_in_quarantine, resolve_quarantine
from coldal_tui.project.records import ScanRecord
from coldal_tui.project.store import Row

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class ImportReport:
    """What one import did. ``accepted`` are new labels; ``unchanged`` were there before."""

    saw: str
    accepted: tuple[Verdict, ...]
    unchanged: tuple[Verdict, ...]
    quarantined: tuple[Verdict, ...]
    unmatched: tuple[Verdict, ...]
    ignored: tuple[Verdict, ...]
    manual: tuple[str, ...]
    dry_run: bool


def targets(project: Project) -> list[ScanTarget]:
    """The project's scans as mask import sees them; names of exact copies lead to the first."""
    images = project.images
    scans = [scan for scan in project.scans() if scan.state == "present"]
    aliases: dict[str, list[str]] = {}
    for scan in scans:
        if scan.duplicate_of is not None:
            aliases.setdefault(scan.duplicate_of, []).append(scan.rel_path)
    exported = _exported_prelabels(project)
    return [
        ScanTarget(
            scan_id=scan.scan_id,
            shape=scan.shape,
            names=(scan.rel_path, *aliases.get(scan.scan_id, ())),
            affine=scan.affine,
            spacing=scan.spacing,
            sha256=scan.sha256,
            files=tuple(str(images / name) for name in scan.files),
            prelabel=exported.get(scan.scan_id),
        )
        for scan in scans
        if scan.duplicate_of is None
    ]


def _exported_prelabels(project: Project) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for row in project.store.rows("SELECT folder FROM exports ORDER BY export_id"):
        folder = Path(project.root, row["folder"]) / "prelabels"
        if folder.is_dir():
            for path in folder.iterdir():
                found[path.name.split(".nii.gz")[0].removesuffix(".png")] = path
    return found


def import_masks(
    project: Project,
    source: Path,
    *,
    format: str = "auto",
    match: str | None = None,
    options: ImportOptions | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Decide on every mask in ``source`` and take in what fits; the same file twice is one label.

    Masks are read, checked and written beside the labels first; the database is touched once, in
    one short transaction at the end.
    """
    from coldal_tui.exchange.importers import load_registry
    from coldal_tui.exchange.survey import survey_source

    classes = project.config.classes
    options = with_values(project, options)
    survey = survey_source(source, load_registry().select(format))
    verdicts = examine(
        source,
        targets(project),
        classes.names,
        classes.ignore_value,
        match=match,
        options=options,
        progress=progress,
        survey=survey,
    )
    if dry_run:
        return _report(project, survey.saw, _preview(project, verdicts), dry_run=True)
    staged = [_stage(project, verdict) for verdict in verdicts]
    with project.store.action("import", source=str(source.absolute()), match=match) as action:
        outcomes = [_take_in(project, one) for one in staged]
        report = _report(project, survey.saw, outcomes, dry_run=False)
        action.summary = (
            f"imported {len(report.accepted)} labels, {len(report.quarantined)} to quarantine"
        )
        action.inputs = {v.scan_id or v.file.name: v.sha256 for v in report.accepted}
    reconcile_label_files(project)
    return report


def with_values(project: Project, options: ImportOptions | None) -> ImportOptions:
    """Import options with the value map of ``coldal.toml`` where the call gives none."""
    options = options or ImportOptions()
    values = project.config.classes.values
    if options.values or not values:
        return options
    named: dict[int | str, int | str] = {
        (int(raw) if raw.lstrip("-").isdigit() else raw): name for raw, name in values.items()
    }
    return replace(options, values=named)


Outcome = tuple[str, Verdict]


def _preview(project: Project, verdicts: Iterable[Verdict]) -> list[Outcome]:
    outcomes = []
    for verdict in verdicts:
        status = verdict.status
        if status == "accepted" and _known_version(project, verdict) is not None:
            outcomes.append(("unchanged", replace(verdict, label=None)))
        else:
            outcomes.append((status, replace(verdict, label=None)))
    return outcomes


@dataclass(frozen=True)
class Staged:
    """A verdict without its pixels; those of a new label lie in ``file`` until it has a version."""

    verdict: Verdict
    file: Path | None = None
    sha256: str = ""
    voxels: dict[str, int] = field(default_factory=dict)


def stage(project: Project, verdict: Verdict) -> Staged:
    """Write an accepted mask beside the label versions, on the scan's own grid."""
    bare = replace(verdict, label=None)
    if verdict.label is None or verdict.scan_id is None:
        return Staged(bare)
    scan = project.scan(verdict.scan_id)
    path = version_file(project, scan, f"staged-{(verdict.sha256 or '')[:12]}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_label(path, verdict.label, np.array(scan.affine) if scan.affine is not None else None)
    voxels = count_voxels(verdict.label, project.config.classes.names)
    return Staged(bare, path, sha256_file(path), voxels)


def _stage(project: Project, verdict: Verdict) -> Staged:
    if verdict.status == "accepted" and _known_version(project, verdict) is not None:
        return Staged(replace(verdict, label=None))
    return stage(project, verdict)


def _take_in(project: Project, staged: Staged) -> Outcome:
    verdict = staged.verdict
    if verdict.status == "accepted":
        if staged.file is None:
            return "unchanged", verdict
        store_label(project, staged)
    elif verdict.status == "quarantined":
        put_in_quarantine(project, verdict)
    return verdict.status, verdict


def _known_version(project: Project, verdict: Verdict) -> Row | None:
    return project.store.row(
        "SELECT * FROM labels WHERE scan_id = ? AND source_sha256 = ? "
        "AND state IN ('active', 'superseded')",
        (verdict.scan_id, verdict.sha256),
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
    staged.file.replace(version_file(project, scan, f"v{version}"))
    item = store.row("SELECT role FROM queue WHERE scan_id = ?", (scan.scan_id,))
    store.update("labels", {"scan_id": scan.scan_id, "state": "active"}, state="superseded")
    store.insert(
        "labels",
        scan_id=scan.scan_id,
        version=version,
        file=project.layout.relative(active_file(project, scan)),
        sha256=staged.sha256,
        state="active",
        role=item["role"] if item else "manual",
        source=str(verdict.file),
        source_sha256=verdict.sha256,
        format="mask",
        geometry=verdict.geometry,
        notes=[*verdict.notes, *verdict.warnings],
        voxels=staged.voxels,
        created_at=store.now(),
    )
    if item:
        store.update("queue", {"scan_id": scan.scan_id}, status="labelled")
    resolve_quarantine(project, scan.scan_id, verdict.sha256)


def count_voxels(label: NDArray[np.uint8], classes: tuple[str, ...]) -> dict[str, int]:
    """Pixels or voxels per class, and those to ignore."""
    counts = np.bincount(label.ravel(), minlength=256)
    found = {name: int(counts[number]) for number, name in enumerate(classes, start=1)}
    return found | ({"ignore": int(counts[IGNORE_LABEL])} if counts[IGNORE_LABEL] else {})


def active_file(project: Project, scan: ScanRecord) -> Path:
    return project.layout.labels / f"{scan.scan_id}{label_suffix(scan.header())}"


def version_file(project: Project, scan: ScanRecord, version: str) -> Path:
    suffix = label_suffix(scan.header())
    return project.layout.label_versions / f"{scan.scan_id}.{version}{suffix}"


def _report(
    project: Project, saw: str, outcomes: Iterable[Outcome], *, dry_run: bool
) -> ImportReport:
    groups: dict[str, list[Verdict]] = {}
    for status, verdict in outcomes:
        groups.setdefault(status, []).append(verdict)
    queued = {row["scan_id"] for row in project.store.rows("SELECT scan_id FROM queue")}
    accepted = groups.get("accepted", [])
    return ImportReport(
        saw=saw,
        accepted=tuple(accepted),
        unchanged=tuple(groups.get("unchanged", ())),
        quarantined=tuple(groups.get("quarantined", ())),
        unmatched=tuple(groups.get("unmatched", ())),
        ignored=tuple(groups.get("ignored", ())),
        manual=tuple(v.scan_id for v in accepted if v.scan_id and v.scan_id not in queued),
        dry_run=dry_run,
    )


def reconcile_label_files(project: Project) -> None:
    """Make ``labels/`` hold exactly the active versions; all else lies in ``labels/versions/``.

    Nothing is deleted: what no row knows any more (an undone import) is kept as ``withdrawn``.
    """
    layout = project.layout
    rows = project.store.rows("SELECT scan_id, version, sha256, state, file FROM labels")
    layout.label_versions.mkdir(parents=True, exist_ok=True)
    active = {Path(row["file"]).name: row for row in rows if row["state"] == "active"}
    by_hash = {(row["scan_id"], row["sha256"]): row["version"] for row in rows}
    for path in sorted(layout.labels.iterdir()):
        if not path.is_file() or path.name.startswith("."):
            continue
        row = active.get(path.name)
        waiting = row is not None and _version_path(layout.label_versions, row).exists()
        if row is not None and not waiting:
            continue
        digest = sha256_file(path)
        if row is not None and digest == row["sha256"]:
            continue
        stem, suffix = _split(path.name)
        version = by_hash.get((stem, digest))
        name = f"v{version}" if version is not None else f"withdrawn-{digest[:8]}"
        path.replace(layout.label_versions / f"{stem}.{name}{suffix}")
    for row in active.values():
        source = _version_path(layout.label_versions, row)
        target = project.file_of(row["file"])
        if source.exists() and not target.exists():
            source.replace(target)


def _version_path(folder: Path, row: Row) -> Path:
    stem, suffix = _split(Path(row["file"]).name)
    return folder / f"{stem}.v{row['version']}{suffix}"


def _split(name: str) -> tuple[str, str]:
    for suffix in (".nii.gz", ".png"):
        if name.endswith(suffix):
            return name.removesuffix(suffix), suffix
    return name, ""


def list_labels(project: Project) -> list[dict[str, Any]]:
    """Active labels in ``scan_id`` order, with pixel counts per class."""
    rows = project.store.rows(
        "SELECT scan_id, version, role, file, source, geometry, notes, voxels, created_at "
        "FROM labels WHERE state = 'active' ORDER BY scan_id"
    )
    return [
        row | {"notes": json.loads(row["notes"]), "voxels": json.loads(row["voxels"])}
        for row in rows
    ]


def reject_labels(project: Project, scan_ids: list[str], reason: str | None) -> None:
    """Take labels back: the scans return to the queue as exported, or to the pool."""
    store = project.store
    with store.action("labels reject", scans=scan_ids, reason=reason) as action:
        for scan_id in scan_ids:
            project.scan(scan_id)
            if not store.update(
                "labels", {"scan_id": scan_id, "state": "active"}, state="rejected"
            ):
                raise UsageError(
                    "this scan has no label", where=scan_id, remedy="coldal-tui labels list"
                )
            store.update("queue", {"scan_id": scan_id}, status="exported", reason=reason)
        action.summary = f"rejected the labels of {', '.join(scan_ids)}"
    reconcile_label_files(project)
