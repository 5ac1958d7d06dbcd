"""Exports queued scans with their pre-labels, assigns labelers, and records the export."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.deidentify.keys import Dates
from coldal_tui.exchange.exporters import ExportItem, ExportMeta, exporter
from coldal_tui.exchange.exporters.choices import SliceChoice
from coldal_tui.exchange.exporters.delivering import Delivery, deliver
from coldal_tui.files import disk_error
from coldal_tui.project.database.store import UNSURE, current_user
from coldal_tui.project.export.changes import Handed, handed_now, last_handed
from coldal_tui.project.export.deidentified import Plan, hidden
from coldal_tui.project.export.hidden_checks import Check, choose_checks, mixed, with_checks
from coldal_tui.project.labels.raters.drawings import OUT, REPEAT
from coldal_tui.project.minutes.expected import expected_of
from coldal_tui.project.minutes.time_model import Total
from coldal_tui.project.models.prelabels import Prelabel, Prelabels
from coldal_tui.project.own_manifests import write_own_manifest
from coldal_tui.project.project import Project
from coldal_tui.project.queue.assign import Shares, by_person, deal, people_of
from coldal_tui.project.records import ScanRecord
from coldal_tui.project.runs import latest_run
from coldal_tui.project.scans.new_ids import safe_name
from coldal_tui.project.views.snapshot import QueueItem, read_queue
from coldal_tui.visible import listed

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class ExportReport:
    """The exported scans and their folder.

    ``shared`` scans went to more than one person. In a de-identified export, ``key_file`` maps
    pseudonyms back, and ``pseudonyms`` are the names of scans and people. ``makers`` are the
    models that made the pre-labels, and how many. ``checks`` are the people who got hidden
    scans, the kind, and how many. ``expected``: minutes of all drawings together.
    """

    export_id: int
    folder: Path
    scans: tuple[str, ...]
    prelabels: int
    assignees: dict[str, int]
    shared: int = 0
    key_file: Path | None = None
    pseudonyms: dict[str, str] = field(default_factory=dict)
    makers: dict[str, int] = field(default_factory=dict)
    checks: tuple[tuple[str, str, int], ...] = ()
    expected: Total | None = None


@dataclass(frozen=True)
class Wanted:
    """Which scans to export, and how.

    ``again``: also scans that were exported before. ``changed``: only scans whose image, pre-label
    or people changed since their last export. Scans without an assignee are divided among
    ``people``; ``overlap`` of these go to ``each`` people. ``honeypots`` and ``repeats``: so many
    known scans are hidden among each person's others (``hidden_checks``). ``deidentify``: names,
    ids and texts are replaced, dates removed (``remove``) or shifted (``shift``).
    ``prelabels_from`` as in
    ``Prelabels``.
    """

    top: int | None = None
    round_: int | None = None
    cluster: int | None = None
    again: bool = False
    changed: bool = False
    people: tuple[str, ...] = ()
    overlap: int = 0
    each: int = 2
    honeypots: int = 0
    repeats: int = 0
    slices: SliceChoice = field(default_factory=SliceChoice)
    deidentify: Dates | None = None
    prelabels_from: str | None = None


@dataclass(frozen=True)
class _Out:
    """One scan to be exported."""

    item: QueueItem
    scan: ScanRecord
    prelabel: Path | None
    maker: str | None = None


def export_queue(
    project: Project,
    *,
    format: str = "folder",
    out: Path | None = None,
    top: int | None = None,
    round_: int | None = None,
    assign: Sequence[str] = (),
    again: bool = False,
    wanted: Wanted | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Export the queued scans (with ``again`` also exported ones) and mark them exported.

    ``assign`` gives each scan without an assignee, in rank order, to the person with the fewest
    scans. ``wanted`` replaces these parameters and has more. When a scan goes to two people, each
    person gets a separate folder.

    Raises UsageError when nothing is queued or ``out`` is not empty.
    """
    if wanted is None:
        wanted = Wanted(top, round_, again=again, people=tuple(assign))
    run_id = latest_run(project)
    seed = project.config.selection.seed
    chosen, shares, checks = _dealt(project, wanted, run_id)
    if wanted.deidentify is None and any(one.kind == REPEAT for one in checks):
        # Whoever drew a scan before would know it by its name.
        wanted = replace(wanted, deidentify="remove")
    handed = {
        one.item.scan_id: handed_now(
            project, one.scan.quick_hash, one.prelabel, shares[one.item.scan_id]
        )
        for one in chosen
    }
    items = _export_items(project, chosen, run_id)
    scans = [one.scan for one in chosen]
    if checks:
        shares = with_checks(shares, checks)
        items |= {one.scan.scan_id: _check_item(project, one) for one in checks}
        ranks = mixed([one.item.scan_id for one in chosen], items.keys() - handed.keys(), seed)
        items = {scan: replace(items[scan], rank=rank) for scan, rank in ranks.items()}
        shares = {scan: shares[scan] for scan in ranks}
        scans = [project.scan(scan) for scan in ranks]
    if wanted.deidentify is not None:
        plan = hidden(project, scans, shares, items, wanted.deidentify)
    else:
        plan = Plan(default_folder(project), shares, items)
    folder = project.output_place(out.absolute()) if out is not None else plan.folder
    try:
        folders = _folders(plan.shares, plan.items)
        delivery = deliver(
            exporter(format),
            folder,
            folders,
            _meta(project, wanted, plan),
            progress,
            plan.check,
        )
        own: tuple[Path, ...] = ()
        try:
            own = write_own_manifest(project, delivery.folder, folders)
            again = wanted.again or wanted.changed
            report = _record(project, format, delivery, handed, plan, checks, again=again)
            makers = Counter(one.maker for one in chosen if one.maker is not None)
            return replace(report, makers=dict(makers))
        except BaseException as error:
            # Scans of an unrecorded export would be labelled twice.
            if not _unsure(error):
                shutil.rmtree(delivery.folder, ignore_errors=True)
                for path in own:
                    path.unlink(missing_ok=True)
            raise
    except BaseException as error:
        if not _unsure(error):
            if plan.key_file is not None:
                plan.key_file.unlink(missing_ok=True)
            if out is None:
                # Remove the reserved folder name when nothing was exported.
                with contextlib.suppress(OSError):
                    folder.rmdir()
        raise


def check_export(project: Project, wanted: Wanted) -> None:
    """Raise the UsageError that an export would end with before it writes anything."""
    _dealt(project, wanted, latest_run(project))


def _dealt(
    project: Project, wanted: Wanted, run_id: str | None
) -> tuple[list[_Out], Shares, list[Check]]:
    """The scans to export, the people of each, and the hidden checks."""
    chosen = _chosen(project, wanted, run_id)
    seed = project.config.selection.seed
    shares = deal(
        {one.item.scan_id: one.item.assignee for one in chosen},
        wanted.people,
        wanted.overlap,
        each=wanted.each,
        seed=seed,
    )
    if not (wanted.honeypots or wanted.repeats):
        return chosen, shares, []
    # Pre-labels would tell the hidden scans, and would draw them for the person.
    chosen = [replace(one, prelabel=None, maker=None) for one in chosen]
    exports = int(project.store.value("SELECT count(*) FROM exports"))
    checks = choose_checks(
        project,
        list(by_person(shares)),
        honeypots=wanted.honeypots,
        repeats=wanted.repeats,
        taken=shares.keys(),
        seed=seed + exports,
    )
    return chosen, shares, checks


def _unsure(error: BaseException) -> bool:
    """Whether the export may have been recorded: then its folder and keys must stay."""
    return isinstance(error, ColdalError) and error.code == UNSURE


def _meta(project: Project, wanted: Wanted, plan: Plan) -> ExportMeta:
    classes, hides = project.config.classes, plan.deidentifier is not None
    return ExportMeta(
        project=project.name,
        created="" if hides else project.store.now(),
        exported_by=None if hides else current_user(),
        classes=classes.names,
        ignore_value=classes.ignore_value,
        slices=wanted.slices,
        deidentifier=plan.deidentifier,
        intensity=project.intensity,
    )


def _chosen(project: Project, wanted: Wanted, run_id: str | None) -> list[_Out]:
    """The scans to export, in rank order. Raises UsageError when there are none."""
    statuses = ("queued", "exported") if wanted.again else ("queued",)
    items = [
        item
        for item in read_queue(project)
        if item.status in (("exported",) if wanted.changed else statuses)
        and wanted.round_ in (None, item.round)
        and wanted.cluster in (None, item.cluster)
    ]
    prelabels = Prelabels(project, run_id, wanted.prelabels_from)
    found = [_out(project, item, prelabels.of(item.scan_id)) for item in items]
    if wanted.changed:
        found = _changed(project, found)
    if not found:
        raise _nothing(project, wanted)
    return found[: wanted.top]


def chosen_scans(project: Project, wanted: Wanted) -> list[str]:
    """The scans that an export would hold, in rank order. UsageError when there are none."""
    return [one.item.scan_id for one in _chosen(project, wanted, latest_run(project))]


def _out(project: Project, item: QueueItem, prelabel: Prelabel | None) -> _Out:
    scan = project.scan(item.scan_id)
    if prelabel is None:
        return _Out(item, scan, None)
    return _Out(item, scan, prelabel.file, prelabel.maker)


def _changed(project: Project, found: Sequence[_Out]) -> list[_Out]:
    before = last_handed(project)
    return [
        one
        for one in found
        if (last := before.get(one.item.scan_id)) is None
        or not handed_now(
            project, one.scan.quick_hash, one.prelabel, people_of(one.item.assignee)
        ).same_as(last)
    ]


def _nothing(project: Project, wanted: Wanted) -> UsageError:
    if wanted.changed:
        return UsageError(
            "nothing that is out has changed",
            where=project.name,
            remedy="--again hands out the same once more",
            code="nothing",
        )
    return UsageError(
        "nothing is queued",
        where=project.name,
        remedy="pick scans: coldal-tui select or next"
        + ("" if wanted.again else "; --again hands out the same once more"),
        code="nothing",
    )


def default_folder(project: Project) -> Path:
    """A new empty folder below ``exports/``, named after the time and the project."""
    stamp = project.store.now()[:19].replace(":", "").replace("-", "")
    base = f"{stamp}-{safe_name(project.name)}"
    folder, number = project.layout.exports / base, 2
    while True:
        try:
            # An empty folder reserves the name against an export in the same second.
            folder.mkdir()
        except FileExistsError:
            folder, number = project.layout.exports / f"{base}-{number}", number + 1
        except OSError as error:
            raise disk_error(error, folder) from error
        else:
            return folder


def _export_items(
    project: Project, chosen: Sequence[_Out], run_id: str | None
) -> dict[str, ExportItem]:
    strategies = {
        row["round"]: row["strategy"] for row in project.store.rows("SELECT * FROM rounds")
    }
    return {
        one.item.scan_id: ExportItem(
            scan_id=one.item.scan_id,
            rank=one.item.rank,
            ref=one.scan.ref(project.images),
            header=one.scan.header(),
            role=one.item.role,
            cluster=one.item.cluster,
            score=one.item.score,
            round=one.item.round,
            strategy=strategies.get(one.item.round, ""),
            run=one.maker or run_id,
            prelabel=one.prelabel,
        )
        for one in chosen
    }


def _check_item(project: Project, check: Check) -> ExportItem:
    return ExportItem(
        scan_id=check.scan.scan_id,
        rank=0,
        ref=check.scan.ref(project.images),
        header=check.scan.header(),
        role=check.kind,
        round=0,
    )


def _folders(shares: Shares, items: Mapping[str, ExportItem]) -> dict[str, list[ExportItem]]:
    """The content of each folder: one per person, or one for all when no one is assigned."""
    if not any(shares.values()):
        return {"": list(items.values())}
    found: dict[str, list[ExportItem]] = {}
    for person, scans in by_person(shares).items():
        name, number = safe_name(person), 2
        # Some file systems treat Ana and ana as the same folder.
        while name.casefold() in {other.casefold() for other in found}:
            name, number = f"{safe_name(person)}-{number}", number + 1
        found[name] = [replace(items[scan], assignee=person) for scan in scans]
    rest = [items[scan] for scan, share in shares.items() if not share]
    return found | ({"nobody": rest} if rest else {})


def _check_still_there(project: Project, ids: Sequence[str], *, again: bool) -> None:
    """ColdalError (code ``stale``) when another export took one of the scans meanwhile."""
    out = {
        row["scan_id"]
        for row in project.store.rows("SELECT scan_id FROM queue WHERE status = 'exported'")
    }
    twice = [scan_id for scan_id in ids if scan_id in out]
    if twice and not again:
        raise ColdalError(
            f"another export has handed out {listed(twice)} meanwhile",
            where=project.name,
            remedy="run this one again: it takes what is still queued",
            code="stale",
        )


def _record(
    project: Project,
    format: str,
    delivery: Delivery,
    handed: Mapping[str, Handed],
    plan: Plan,
    checks: Sequence[Check],
    *,
    again: bool,
) -> ExportReport:
    store, folder = project.store, delivery.folder
    inside = folder.is_relative_to(project.root)
    ids = tuple(handed)
    with store.action("export", folder=str(folder), scans=list(ids)) as action:
        _check_still_there(project, ids, again=again)
        export_id = store.insert(
            "exports",
            folder=project.layout.relative(folder) if inside else str(folder),
            format=format,
            scans=list(ids),
            manifest_sha256=delivery.manifest_sha256,
            created_at=store.now(),
            items={scan_id: one.as_json() for scan_id, one in handed.items()},
            key_file=project.layout.relative(plan.key_file) if plan.key_file else None,
        )
        for check in checks:
            store.insert(
                "handouts",
                export_id=export_id,
                scan_id=check.scan.scan_id,
                person=check.person,
                kind=check.kind,
                state=OUT,
                created_at=store.now(),
            )
        for scan_id, one in handed.items():
            # A label that was imported meanwhile is kept.
            store.execute(
                "UPDATE queue SET status = 'exported', export_id = ?, assignee = ? "
                "WHERE scan_id = ? AND status IN ('queued', 'exported')",
                (export_id, ",".join(one.people) or None, scan_id),
            )
            digest = delivery.images.get(plan.called.get(scan_id, scan_id))
            if digest is not None:
                store.update("scans", {"scan_id": scan_id}, sha256=digest)
        action.summary = f"exported {len(ids)} scans to {folder}"
        action.inputs = {"manifest": delivery.manifest_sha256}
    shares = {scan_id: one.people for scan_id, one in handed.items()}
    drawings = [(scan, name) for scan, people in shares.items() for name in people or ("",)]
    drawings += [(check.scan.scan_id, check.person) for check in checks]
    return ExportReport(
        export_id=export_id,
        folder=folder,
        scans=ids,
        prelabels=len(delivery.prelabels),
        assignees={person: len(scans) for person, scans in by_person(shares).items()},
        shared=sum(len(people) > 1 for people in shares.values()),
        key_file=plan.key_file,
        pseudonyms=plan.called,
        checks=tuple(
            (person, kind, count)
            for (person, kind), count in Counter((one.person, one.kind) for one in checks).items()
        ),
        expected=expected_of(project, drawings),
    )
