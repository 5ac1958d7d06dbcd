"""Makes a release: which labels, which folds, under which names; records it in the log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from coldal_tui.errors import UsageError
from coldal_tui.exchange.deidentify.keys import Dates, Keys, write_keys
from coldal_tui.exchange.deidentify.leak_check import refuse_leaks
from coldal_tui.exchange.deidentify.masking import Deidentifier
from coldal_tui.exchange.exporters import ExportItem, ExportMeta
from coldal_tui.exchange.release.assembling import Released, assemble
from coldal_tui.exchange.release.case import Case, Drawing
from coldal_tui.exchange.release.data_card import Facts
from coldal_tui.exchange.release.formats import release_format
from coldal_tui.imaging.labelfile import IGNORE_LABEL, read_label
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.files import tidy_label_files
from coldal_tui.project.labels.labelled import active_labels, labelled_records
from coldal_tui.project.labels.raters.drawing_times import read_drawing_times
from coldal_tui.project.project import Project
from coldal_tui.project.pseudonyms import key_path, secrets_of
from coldal_tui.project.queue.candidates import validation_patients
from coldal_tui.project.records import ScanRecord
from coldal_tui.project.release.facts import (
    count_raters,
    named_raters,
    read_encoder,
    read_flow,
    read_rounds,
)
from coldal_tui.project.release.several_drawings import measure_agreement, read_drawings
from coldal_tui.selection.patient_folds import patient_folds
from coldal_tui.version import __version__

Progress = Callable[[int, int, str], None]
DEFAULT_FOLDS = 5


@dataclass(frozen=True)
class Wanted:
    """How to release.

    ``folds`` None: five, or as many as there are patients. ``train_on_all``: the patients that
    were drawn for validation go into the folds like all others. ``deidentify`` as in an export.
    """

    format: str = "folder"
    folds: int | None = None
    seed: int = 0
    licence: str | None = None
    link: bool = False
    train_on_all: bool = False
    deidentify: Dates | None = None
    bids_suffix: str | None = None


@dataclass(frozen=True)
class ReleaseReport:
    """A finished release; ``key_file`` says who the pseudonyms of a de-identified one are."""

    released: Released
    facts: Facts
    key_file: Path | None = None


@dataclass(frozen=True)
class _Labelled:
    scan: ScanRecord
    label: Path
    row: Row


class _Hidden:
    """The pseudonyms of a de-identified release, and the check that it names nobody."""

    def __init__(
        self,
        project: Project,
        out: Path,
        dates: Dates,
        scans: Sequence[ScanRecord],
        people: Iterable[str],
    ) -> None:
        self._project, self._scans, self._people = project, scans, tuple(people)
        self._keys = Keys(dates)
        self._written = False
        self.deidentifier = Deidentifier(self._keys)
        self.key_file = key_path(project, f"release-{out.name}")
        if self.key_file.exists():
            raise UsageError(
                "the keys of a release of this name are there already",
                where=str(self.key_file),
                remedy="Give the release another name.",
                code="exists",
            )

    def renamed(self, cases: Sequence[Case]) -> list[Case]:
        """The cases under pseudonyms, sorted by these: the project's order is that of its names."""
        found = []
        for case in cases:
            name = self._keys.scan(case.item.scan_id, case.patient)
            item = replace(case.item, scan_id=name)
            found.append(replace(case, item=item, patient=self._keys.patient(case.patient)))
        return sorted(found, key=lambda case: case.item.scan_id)

    def check(self, folder: Path) -> None:
        """Refuse a finished folder that names a patient, else store the keys."""
        removed = self.deidentifier.removed
        refuse_leaks(folder, secrets_of(self._project, self._scans, self._people, removed))
        write_keys(self.key_file, self._keys)
        self._written = True

    def forget(self) -> None:
        """Remove the keys of a release that could not be finished."""
        if self._written:
            self.key_file.unlink(missing_ok=True)


def was_deidentified(project: Project) -> bool:
    """Whether the project hands out pseudonyms: its newest export was de-identified."""
    value = project.store.value("SELECT key_file FROM exports ORDER BY export_id DESC")
    return value is not None


def release(
    project: Project, out: Path, wanted: Wanted, progress: Progress | None = None
) -> ReleaseReport:
    """Write every label that counts, with its image, to the new folder ``out``.

    Raises
    ------
    UsageError : ``out`` exists, nothing is labelled, more folds than patients, or the format
        can't hold a scan.
    ColdalError : an image or a label is missing or changed (``label-changed``), the disk is full,
        or a de-identified release would still name a patient (``leak``).
    """
    out = project.output_place(out.absolute())
    if wanted.link and wanted.deidentify is not None:
        raise UsageError(
            "a link names the image that it leads to: it can't be de-identified",
            remedy="Leave out --link, or release with --no-deidentify.",
            code="link",
        )
    project.require_images()
    # A process that was killed after it committed labels has not moved their files yet.
    tidy_label_files(project)
    rows = active_labels(project)
    by_scan = {row["scan_id"]: row for row in rows}
    found = [
        _Labelled(scan, label, by_scan[scan.scan_id])
        for scan, label in labelled_records(project, rows)
    ]
    drawings = read_drawings(project, [one.scan.scan_id for one in found])
    folds = _folds(project, found, wanted)
    raters = named_raters(
        [one.row["author"] for one in found]
        + [author for people in drawings.values() for author in people]
    )
    cases = _cases(project, found, drawings, raters, folds)
    facts = _facts(project, found, cases, wanted)
    hidden = None
    if wanted.deidentify is not None:
        hidden = _Hidden(project, out, wanted.deidentify, [one.scan for one in found], raters)
        cases = hidden.renamed(cases)
        facts = replace(facts, created=None, statement=hidden.deidentifier.statement)
    meta = ExportMeta(
        project=project.name,
        created=facts.created or "",
        classes=project.config.classes.names,
        ignore_value=_ignore_value(project, facts),
        deidentifier=hidden.deidentifier if hidden else None,
        intensity=project.intensity,
    )
    layout = release_format(wanted.format, cases, wanted.bids_suffix)
    try:
        released = assemble(
            out,
            cases,
            meta,
            layout,
            facts,
            link=wanted.link,
            check=hidden.check if hidden else None,
            progress=progress,
        )
    except BaseException:
        if hidden is not None:
            hidden.forget()
        raise
    key_file = hidden.key_file if hidden else None
    with project.store.action("release", undoable=False, folder=str(out)) as action:
        action.summary = f"released {len(cases)} labelled scans to {out} ({wanted.format})"
        action.params |= {
            "format": wanted.format,
            "folds": list(facts.folds),
            "licence": wanted.licence,
            "key_file": project.layout.relative(key_file) if key_file else None,
        }
        action.inputs = {
            "checksums": released.digest,
            "labels": {one.scan.scan_id: one.row["sha256"] for one in found},
        }
        action.seed = wanted.seed
    return ReleaseReport(released, facts, key_file)


def recorded_digest(project: Project, folder: Path) -> str | None:
    """The digest of a release in this folder, as the project's log has it."""
    value = project.store.value(
        "SELECT json_extract(inputs, '$.checksums') FROM audit WHERE action = 'release' "
        "AND json_extract(params, '$.folder') = ? ORDER BY audit_id DESC",
        (str(folder.absolute()),),
    )
    return None if value is None else str(value)


def list_releases(project: Project) -> list[dict[str, Any]]:
    """The releases that the log knows, oldest first; their folders may be gone since."""
    rows = project.store.rows("SELECT * FROM audit WHERE action = 'release' ORDER BY audit_id")
    found = []
    for row in rows:
        params, inputs = json.loads(row["params"]), json.loads(row["inputs"])
        found.append(
            {
                "at": row["at"],
                "who": row["who"],
                "folder": params.get("folder"),
                "format": params.get("format"),
                "licence": params.get("licence"),
                "folds": params.get("folds") or [],
                "seed": row["seed"],
                "labels": len(inputs.get("labels", {})),
                "checksums": inputs.get("checksums"),
            }
        )
    return found


def _ignore_value(project: Project, facts: Facts) -> int | None:
    """The project's value; 255 where it names none but labels have ignored pixels."""
    own = project.config.classes.ignore_value
    return own if own is not None else IGNORE_LABEL if facts.ignored else None


def _folds(project: Project, found: Sequence[_Labelled], wanted: Wanted) -> dict[str, int | None]:
    """The fold of each scan; None for all scans of patients that are held out."""
    frozen = set() if wanted.train_on_all else validation_patients(project)
    training = [one.scan for one in found if one.scan.patient_id not in frozen]
    patients = len({scan.patient_id for scan in training})
    count = wanted.folds
    if count is None:
        count = min(DEFAULT_FOLDS, patients)
    elif count > patients:
        raise UsageError(
            f"{count} folds need {count} patients with labels to train on, and there are "
            f"{patients}",
            remedy=f"Use --folds {patients}, or leave it out."
            if patients > 1
            else "Leave --folds out.",
            code="folds",
        )
    folds: dict[str, int | None] = {one.scan.scan_id: None for one in found}
    if count > 1:
        dealt = patient_folds([scan.patient_id for scan in training], count, wanted.seed)
        folds |= {scan.scan_id: fold for scan, fold in zip(training, dealt, strict=True)}
    return folds


def _cases(
    project: Project,
    found: Sequence[_Labelled],
    drawings: Mapping[str, Mapping[str, Path]],
    raters: Mapping[str, str],
    folds: Mapping[str, int | None],
) -> list[Case]:
    queue = {row["scan_id"]: row for row in project.store.rows("SELECT * FROM queue")}
    rounds = dict(project.store.tuples("SELECT round, strategy FROM rounds"))
    frozen = validation_patients(project)
    cases = []
    for rank, one in enumerate(found, start=1):
        scan_id = one.scan.scan_id
        item = queue.get(scan_id)
        fold = folds[scan_id]
        cases.append(
            Case(
                ExportItem(
                    scan_id=scan_id,
                    rank=rank,
                    ref=one.scan.ref(project.images),
                    header=one.scan.header(),
                    role=one.row["role"],
                    round=-1 if item is None else item["round"],
                    cluster=None if item is None else item["cluster"],
                    strategy=None if item is None else rounds.get(item["round"]),
                    prelabel=one.label,
                ),
                patient=one.scan.patient_id,
                held_out=fold is None and one.scan.patient_id in frozen,
                fold=fold,
                drawings=tuple(
                    Drawing(raters[author], path)
                    for author, path in drawings.get(scan_id, {}).items()
                ),
                rater=raters.get(one.row["author"] or ""),
            )
        )
    return cases


def _facts(
    project: Project, found: Sequence[_Labelled], cases: Sequence[Case], wanted: Wanted
) -> Facts:
    ids = [one.scan.scan_id for one in found]
    held = [case for case in cases if case.held_out]
    sizes = Counter(case.fold for case in cases if case.fold is not None)
    known = set(ids)
    drawn = [one for one in read_drawing_times(project.store) if one.scan_id in known]
    times = [one.minutes for one in drawn if one.minutes is not None]
    names = project.config.classes.names
    return Facts(
        name=project.name,
        program=f"coldal-tui {__version__}",
        created=project.store.now(),
        licence=wanted.licence,
        format=wanted.format,
        classes=names,
        ignored=project.config.classes.ignore_value is not None or _any_ignored(found),
        scans=len(cases),
        patients=len({case.patient for case in cases}),
        held_out=len(held),
        held_out_patients=len({case.patient for case in held}),
        folds=tuple(sizes[fold] for fold in sorted(sizes)),
        folds_seed=wanted.seed,
        flow=read_flow(project, ids),
        rounds=read_rounds(project, ids),
        unqueued=sum(case.item.round < 0 for case in cases),
        encoder=read_encoder(project),
        raters=count_raters([case.rater for case in cases]),
        overlap=sum(bool(case.drawings) for case in cases),
        agreement=measure_agreement(cases, names),
        minutes=float(sum(times)),
        timed=len(times),
        estimated=sum(one.estimated for one in drawn),
        decided=dict(Counter(one.row["decided"] for one in found if one.row["decided"])),
    )


def _any_ignored(found: Sequence[_Labelled]) -> bool:
    return any(bool((read_label(one.label) == IGNORE_LABEL).any()) for one in found)
