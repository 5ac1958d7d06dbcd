"""Takes probability maps of another model in as a run: entropies, predictions, measures."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError, ImageError, UsageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels
from coldal_tui.exchange.incoming.names.matching import Match, Matcher
from coldal_tui.exchange.incoming.rater_agreement import dice_of, distances_of
from coldal_tui.files import disk_error, make_folder, sha256_file, share_tree
from coldal_tui.imaging.entropyfile import write_entropy
from coldal_tui.imaging.image import ScanHeader, label_suffix
from coldal_tui.imaging.labelfile import IGNORE_LABEL, read_label, write_label
from coldal_tui.imaging.uncertainty import uncertainty_of
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.files import checked_label, label_name
from coldal_tui.project.labels.labelled import active_labels
from coldal_tui.project.labels.targets import targets
from coldal_tui.project.measuring import CROSS_FITTED, FROZEN, note_measure
from coldal_tui.project.models.fold_list import read_held_out
from coldal_tui.project.models.probability_maps import ENDINGS, is_map, read_probabilities
from coldal_tui.project.project import Project
from coldal_tui.project.queue.budget import next_round
from coldal_tui.project.queue.candidates import CANDIDATE, scan_statuses, validation_patients
from coldal_tui.project.runs import CROSS_FITTED_FOLDER, IMPORTED, kept_scores
from coldal_tui.simulation.cells import ScanScores
from coldal_tui.visible import counted, listed

Progress = Callable[[int, int, str], None]
_CLASSES_FILE = "dataset.json"


@dataclass(frozen=True)
class Passed:
    """A file that was not used, and why."""

    file: str
    message: str


@dataclass(frozen=True)
class RunReport:
    """A run made of maps.

    ``measured`` counts the labelled scans that the model had not seen, ``dice`` is their mean, by
    split. ``missing`` of the ``candidates`` have no map.
    """

    run_id: str
    scans: tuple[str, ...]
    candidates: int
    missing: int
    measured: dict[str, int]
    dice: dict[str, float]
    passed: tuple[Passed, ...]


@dataclass
class _Made:
    scores: dict[str, ScanScores] = field(default_factory=dict)
    metrics: list[tuple[str, str, str, dict[str, Any]]] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    passed: list[Passed] = field(default_factory=list)


def import_run(
    project: Project,
    folder: Path,
    name: str,
    *,
    folds: Path | None = None,
    match: str | None = None,
    progress: Progress | None = None,
) -> RunReport:
    """Store the probability maps in ``folder`` as a run of the model ``name``.

    ``folds`` lists the labelled scans that were predicted by a model that had not seen them (see
    ``fold_list``); all other labelled scans count as trained on, and are not measured. Scans
    without a label, and those that were drawn for validation, are never trained on.

    Raises
    ------
    UsageError : the folder or the name is none.
    ColdalError : the fold list or the classes don't fit, or not one map fits a scan.
    """
    if not folder.is_dir():
        raise UsageError("no such folder", where=str(folder), remedy="name the folder of the maps")
    if not name.strip():
        raise UsageError("the model has no name", remedy="--name says which model it is")
    known = {target.scan_id: target for target in targets(project)}
    headers = {scan.scan_id: scan.header() for scan in project.scans_named(known)}
    matcher = Matcher(known.values(), template=match)
    order = _order(folder, project.config.classes.names)
    labels = {row["scan_id"]: row for row in active_labels(project)}
    held = _held_out(project, folds, matcher, labels)
    files = sorted(path for path in folder.rglob("*") if path.name.endswith(ENDINGS))
    made = _Made()
    run_id, place = _new_place(project)
    try:
        found = list(_matched(files, folder, matcher, made.passed))
        for done, (path, scan_id) in enumerate(found, start=1):
            if progress is not None:
                progress(done, len(found), scan_id)
            try:
                maps = read_probabilities(path, known[scan_id], len(order))[order]
                _take_in(project, made, maps, headers[scan_id], scan_id, place, labels, held)
            except (ImageError, ColdalError) as error:
                made.passed.append(Passed(str(path), error.what))
            else:
                made.digests[scan_id] = sha256_file(path)
        if not made.scores:
            raise ColdalError(
                f"not one of {counted(len(files), 'file')} fits a scan",
                where=str(folder),
                remedy=f"the first: {Path(made.passed[0].file).name}: {made.passed[0].message}"
                if made.passed
                else "name a folder of .npz, .npy or 4-D NIfTI probability maps",
                code="no-maps",
            )
        share_tree(place)
        return _record(project, run_id, name.strip(), made, labels, held)
    except BaseException as error:
        shutil.rmtree(place, ignore_errors=True)
        if isinstance(error, OSError):
            raise disk_error(error, place) from error
        raise


def _new_place(project: Project) -> tuple[str, Path]:
    """A name that no run has, and its new folder."""
    number = 1
    while True:
        run_id = f"{IMPORTED}-{number:03d}"
        place = project.run_folder(run_id)
        known = project.store.value("SELECT 1 FROM runs WHERE run_id = ?", (run_id,))
        if known is None:
            with contextlib.suppress(FileExistsError):
                make_folder(place.parent)
                place.mkdir()
                return run_id, place
        number += 1


def _order(folder: Path, classes: Sequence[str]) -> list[int]:
    """Where the background and each class of the project stand in the maps.

    nnU-Net copies its ``dataset.json`` beside its predictions: the classes are found by name.
    Without it they are in the project's order.
    """
    file = folder / _CLASSES_FILE
    if not file.is_file():
        return list(range(len(classes) + 1))
    try:
        labels = json.loads(file.read_bytes())["labels"]
        values = {str(key).casefold(): int(value) for key, value in labels.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ColdalError(
            f"the model's classes can't be read: {type(error).__name__}: {error}",
            where=str(file),
            remedy="labels must map each class to one value; or take the file away: the maps are "
            "then read in the project's order of classes",
            code="classes",
        ) from error
    values.pop("ignore", None)
    wanted = ["background", *(name.casefold() for name in classes)]
    if sorted(values) != sorted(wanted) or sorted(values.values()) != list(range(len(wanted))):
        raise ColdalError(
            f"the model has the classes {listed(sorted(values))}, the project "
            f"{listed(sorted(wanted))}",
            where=str(file),
            remedy="use a model of the project's classes",
            code="classes",
        )
    return [values[name] for name in wanted]


def _candidate(name: str, file: Path) -> Candidate:
    def load() -> MaskPixels:
        raise ImageError("a probability map is no mask", where=str(file))

    return Candidate(file=file, name=name, format="probabilities", load=load)


def _matched(
    files: Iterable[Path], folder: Path, matcher: Matcher, passed: list[Passed]
) -> list[tuple[Path, str]]:
    """The files that are maps with their scans; of two maps of a scan neither counts."""
    by_scan: dict[str, list[Path]] = {}
    for path in files:
        if not is_map(path):
            continue
        found = matcher.match(_candidate(path.relative_to(folder).as_posix(), path))
        if not isinstance(found, Match) or found.part is not None:
            message = "it shows a part of a scan" if isinstance(found, Match) else found.message
            passed.append(Passed(str(path), message))
            continue
        by_scan.setdefault(found.scan_id, []).append(path)
    for scan_id, paths in by_scan.items():
        if len(paths) > 1:
            passed += [Passed(str(path), f"another map is of {scan_id}, too") for path in paths]
    return [(paths[0], scan_id) for scan_id, paths in sorted(by_scan.items()) if len(paths) == 1]


def _held_out(
    project: Project, folds: Path | None, matcher: Matcher, labels: Mapping[str, Row]
) -> dict[str, str]:
    """The labelled scans that the model had not seen, and the split that their measures are of."""
    drawn = {row["scan_id"] for row in project.store.rows("SELECT scan_id FROM validation")}
    frozen = validation_patients(project)
    patients = {scan.scan_id: scan.patient_id for scan in project.scans_named(labels)}
    held = {name: FROZEN for name in labels if name in drawn}
    if folds is None:
        return held
    unknown = []
    for name in read_held_out(folds):
        found = matcher.match(_candidate(name, folds))
        if not isinstance(found, Match):
            unknown.append(name)
        elif found.scan_id in labels and patients.get(found.scan_id) not in frozen:
            held[found.scan_id] = CROSS_FITTED
    if unknown:
        raise ColdalError(
            f"the fold list names scans that the project does not have: {listed(unknown)}",
            where=str(folds),
            remedy="use the scans' names in the project, or --match",
            code="folds",
        )
    return held


def _take_in(
    project: Project,
    made: _Made,
    maps: NDArray[np.float32],
    header: ScanHeader,
    scan_id: str,
    place: Path,
    labels: Mapping[str, Row],
    held: Mapping[str, str],
) -> None:
    """Score one scan, write its prediction and entropy map, and measure it if it was held out."""
    found = uncertainty_of(maps)
    predicted = maps.argmax(axis=0).astype(np.uint8)
    split = held.get(scan_id)
    rows = _measured(project, labels[scan_id], predicted, header) if split else {}
    folder = place / (CROSS_FITTED_FOLDER if split == CROSS_FITTED else "predictions")
    make_folder(folder / "entropy")
    name = label_name(scan_id, label_suffix(header))
    write_label(folder / name, predicted, header.affine)
    suffix = ".png" if len(header.shape) == 2 else ".nii.gz"
    pixels = np.rint(found.pixels * 255).astype(np.uint8)
    write_entropy(folder / "entropy" / f"{scan_id}{suffix}", pixels, header.affine)
    made.scores[scan_id] = ScanScores(
        entropy=found.entropy,
        class_entropy=found.class_entropy,
        foreground=found.foreground,
        boundary=found.boundary,
    )
    if split:
        made.metrics += [(scan_id, split, name, values) for name, values in rows.items()]


def _measured(
    project: Project, row: Row, predicted: NDArray[np.uint8], header: ScanHeader
) -> dict[str, dict[str, Any]]:
    """Dice, HD and HD95 of each class, by the rules of a run's own measures."""
    label = read_label(checked_label(project, row))
    counted_pixels = label != IGNORE_LABEL
    found = {}
    for value, name in enumerate(project.config.classes.names, start=1):
        ours, theirs = (predicted == value) & counted_pixels, label == value
        sizes = bool(ours.any()), bool(theirs.any())
        hd, hd95 = distances_of(ours, theirs, header.spacing, (100, 95))
        note = {(False, False): "both-empty", (False, True): "missed", (True, False): "spurious"}
        found[name] = {
            "dice": dice_of(ours, theirs),
            "hd": hd,
            "hd95": hd95,
            "unit": "px" if header.spacing is None else "mm",
            "note": note.get(sizes, ""),
        }
    return found


def _record(
    project: Project,
    run_id: str,
    name: str,
    made: _Made,
    labels: Mapping[str, Row],
    held: Mapping[str, str],
) -> RunReport:
    store = project.store
    trained = sorted(name for name in labels if held.get(name) != FROZEN)
    frozen = validation_patients(project)
    patients = {scan.scan_id: scan.patient_id for scan in project.scans_named(trained)}
    trained = [scan_id for scan_id in trained if patients[scan_id] not in frozen]
    measured: dict[str, set[str]] = {}
    for scan_id, split, _, _ in made.metrics:
        measured.setdefault(split, set()).add(scan_id)
    with store.action("import-run", undoable=False, run=run_id, model=name) as action:
        store.insert(
            "runs",
            run_id=run_id,
            round=max(0, next_round(project) - 1),
            seed=0,
            train_scans=trained,
            validation_scans=sorted(measured.get(FROZEN, ())),
            summary={
                IMPORTED: name,
                "labels": {scan_id: row["sha256"] for scan_id, row in labels.items()},
                "maps": made.digests,
            },
            created_at=store.now(),
        )
        for scan_id, scores in made.scores.items():
            store.replace(
                "scores",
                run_id=run_id,
                scan_id=scan_id,
                entropy=scores.entropy,
                **kept_scores(scores),
            )
        for scan_id, split, class_name, values in made.metrics:
            store.replace(
                "metrics",
                **{"run_id": run_id, "split": split, "scan_id": scan_id, "class": class_name},
                **values,
            )
        measures = {split: note_measure(project, run_id, split) for split in measured}
        action.summary = f"{run_id}: {counted(len(made.scores), 'probability map')} of {name}"
        action.inputs = made.digests
    waiting = {scan for scan, status in scan_statuses(project).items() if status == CANDIDATE}
    return RunReport(
        run_id,
        tuple(sorted(made.scores)),
        len(waiting),
        len(waiting - set(made.scores)),
        {split: len(scans) for split, scans in measured.items()},
        {split: one.dice for split, one in measures.items() if one is not None},
        tuple(made.passed),
    )


def remove_run(project: Project, run_id: str) -> None:
    """Forget an imported run, with its scores and measures.

    Raises UsageError when there is none of this name, it was trained here, or a round was picked
    by it.
    """
    store = project.store
    row = store.row("SELECT summary FROM runs WHERE run_id = ?", (run_id,))
    if row is None or IMPORTED not in json.loads(row["summary"]):
        raise UsageError(
            "no imported run is called so" if row is None else "this run was trained here",
            where=run_id,
            remedy="coldal-tui status --json lists the runs",
            code="no-run",
        )
    used = store.value("SELECT round FROM rounds WHERE run_id = ?", (run_id,))
    if used is not None:
        raise UsageError(
            f"round {used} was picked by it",
            where=run_id,
            remedy="import a newer run: the newest one counts",
            code="used",
        )
    with store.action("remove-run", undoable=False, run=run_id) as action:
        for table in ("scores", "metrics", "runs"):
            store.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
        action.summary = f"removed {run_id}"
    shutil.rmtree(project.run_folder(run_id), ignore_errors=True)
