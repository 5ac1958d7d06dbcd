"""A release in BIDS: one folder per subject, labels as a derivative data set."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from coldal_tui.errors import UsageError
from coldal_tui.exchange.exporters import ExportMeta
from coldal_tui.exchange.exporters.atomic_folder import Stage
from coldal_tui.exchange.exporters.colours import IGNORE_NAME
from coldal_tui.exchange.exporters.images import nifti_prelabel, place_nifti
from coldal_tui.exchange.exporters.packing import Placed, refuse
from coldal_tui.exchange.release.case import Case, PlacedCase
from coldal_tui.exchange.release.plain_folder import fitting
from coldal_tui.version import __version__

BIDS_VERSION = "1.10.0"
DERIVATIVE = "derivatives/labels"
SUFFIXES = (
    "T1w", "T2w", "PDw", "T2starw", "FLAIR", "inplaneT1", "inplaneT2", "PDT2", "angio",
    "T2map", "T1map", "ct",
)  # fmt: skip
"""Kinds of volumes: the anatomical suffixes of BIDS for MR, and ``ct``, which BIDS has not yet."""
_CT = "ct"
_OWN_FILES = ("release.json", "checksums.sha256", "folds.csv", "overlap/", "**/ct/")


class BidsRelease:
    """``sub-*/anat/sub-*_T1w.nii.gz``; labels below ``derivatives/labels`` as ``_dseg``.

    BIDS names an MR image by its contrast, which no image file states: ``suffix`` gives it.

    Source: BIDS specification 1.10, "Magnetic Resonance Imaging" and "Derivatives: imaging".
    """

    def __init__(self, cases: Sequence[Case], suffix: str | None = None) -> None:
        self._suffix = suffix
        self._subjects = subjects_of([case.patient for case in cases])
        self._scans = Counter(case.patient for case in cases)
        self._seen: Counter[str] = Counter()

    def ignore_value(self, meta: ExportMeta) -> int:
        return fitting(meta.ignore_value)

    def check(self, cases: Sequence[Case], meta: ExportMeta) -> None:
        """Refuse pictures, channels, and volumes whose kind is not known."""
        items = [case.item for case in cases]
        other = "Use --to folder, nnunet or coco."
        refuse(
            [item for item in items if len(item.header.shape) != 3],
            "BIDS has no place for pictures without more metadata, and these are no volumes",
            other,
        )
        refuse(
            [item for item in items if item.header.channels != 1],
            "these volumes have several channels, which are separate images in BIDS",
            other,
        )
        if self._suffix is not None and self._suffix not in SUFFIXES:
            raise UsageError(
                f"BIDS has no image that is called {self._suffix!r}",
                remedy=f"--bids-suffix is one of: {', '.join(SUFFIXES)}",
                code="bids-suffix",
            )
        refuse(
            [case.item for case in cases if self._suffix_of(case) is None],
            "BIDS names an image by its kind, and these files don't state theirs",
            "Say it with --bids-suffix, such as T1w, T2w, FLAIR or ct.",
        )

    def _suffix_of(self, case: Case) -> str | None:
        if self._suffix is not None:
            return self._suffix
        return _CT if case.item.header.modality == "CT" else None

    def place(self, stage: Stage, case: Case, meta: ExportMeta) -> Placed:
        suffix = self._suffix_of(case)
        assert suffix is not None  # checked before
        subject = f"sub-{self._subjects[case.patient]}"
        self._seen[case.patient] += 1
        run = f"_run-{self._seen[case.patient]}" if self._scans[case.patient] > 1 else ""
        folder = f"{subject}/{_CT if suffix == _CT else 'anat'}"
        base = f"{subject}{run}"
        image = place_nifti(stage, case.item, meta, f"{folder}/{base}_{suffix}.nii.gz")
        name = f"{base}_space-orig_dseg.nii.gz"
        label = nifti_prelabel(stage, case.item, f"{DERIVATIVE}/{folder}", name)
        return Placed(
            case.item, image.path, image.sha256, image.image_sha256, *(label or (None, None))
        )

    def finish(
        self, stage: Stage, placed: Sequence[PlacedCase], meta: ExportMeta, licence: str | None
    ) -> None:
        about = {"Name": meta.project, "BIDSVersion": BIDS_VERSION}
        about |= {"License": licence} if licence else {}
        made = [{"Name": "coldal-tui", "Version": __version__}]
        raw = about | {"DatasetType": "raw", "GeneratedBy": made}
        labels = about | {
            "Name": f"Labels of {meta.project}",
            "DatasetType": "derivative",
            "GeneratedBy": made,
        }
        stage.write_text("dataset_description.json", _json(raw))
        stage.write_text(f"{DERIVATIVE}/dataset_description.json", _json(labels))
        stage.write_text(".bidsignore", "".join(f"{name}\n" for name in _OWN_FILES))
        stage.write_text(f"{DERIVATIVE}/dseg.tsv", _meanings(meta, self.ignore_value(meta)))
        rows = {f"sub-{self._subjects[one.case.patient]}": one.case for one in placed}
        table = [["participant_id", "subset", "fold"]]
        table += [
            [name, case.subset.replace(" ", "_"), "n/a" if case.fold is None else str(case.fold)]
            for name, case in sorted(rows.items())
        ]
        stage.write_text("participants.tsv", _tsv(table))
        told: Mapping[str, object] = {
            "subset": {
                "Description": "What the subject is for",
                "Levels": {"training": "to train on", "held_out": "kept to measure on"},
            },
            "fold": {"Description": "The fold of a cross-validation that validates on it"},
        }
        stage.write_text("participants.json", _json(told))

    def usage(self, placed: Sequence[PlacedCase]) -> tuple[str, ...]:
        said = [
            f"BIDS {BIDS_VERSION}: a folder per subject. The labels are a derivative data set in "
            f"`{DERIVATIVE}/` (`_dseg.nii.gz`, values in `dseg.tsv`). `participants.tsv` has "
            "each subject's subset and fold, `folds.csv` the same per scan.",
        ]
        if any(f"/{_CT}/" in one.placed.image for one in placed):
            said.append("BIDS has no CT yet: `.bidsignore` lists those folders.")
        return tuple(said)


def subjects_of(patients: Sequence[str]) -> dict[str, str]:
    """A BIDS label (letters and digits alone) for each patient, unique also without case."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for patient in sorted(set(patients)):
        # A scan without a patient is one of its own: "scan:" and its id.
        base = re.sub(r"[^A-Za-z0-9]", "", patient.removeprefix("scan:")) or "subject"
        label, number = base, 2
        while label.casefold() in taken:
            label, number = f"{base}x{number}", number + 1
        taken.add(label.casefold())
        found[patient] = label
    return found


def _meanings(meta: ExportMeta, ignored: int) -> str:
    rows = [["index", "name"], ["0", "background"]]
    rows += [[str(value), name] for value, name in enumerate(meta.classes, start=1)]
    if meta.ignore_value is not None:
        rows.append([str(ignored), IGNORE_NAME])
    return _tsv(rows)


def _tsv(rows: Sequence[Sequence[str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter="\t", lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
