"""The ``crossfit`` job: measures a run's training labels by networks that did not see them.

Each fold's network is trained as the run was (its plan, its seed, its last weights) on the labels
of all other patients, and predicts the fold's own. With few labels this costs no label, while a
frozen validation set costs a fifth (Chernozhukov et al. 2018, arXiv:1608.00060, for the name).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import torch

from coldal_compute.evaluate_step import Measured, summary
from coldal_compute.folds import MEASURED_FILE, fold_folder
from coldal_compute.segmentation.clean_up import keep_largest, worth_it
from coldal_compute.segmentation.data import (
    Readers,
    Sample,
    failure,
    file_readers,
    load_samples,
    read_native_label,
)
from coldal_compute.segmentation.entropy_maps import entropy_map
from coldal_compute.segmentation.inference import Model, load_model
from coldal_compute.segmentation.inputs.network_inputs import NetworkInputs
from coldal_compute.segmentation.metrics import ClassMetrics, measure_scan
from coldal_compute.segmentation.network import pick_device
from coldal_compute.segmentation.plan import Plan, load_plan
from coldal_compute.segmentation.storage import write_json
from coldal_compute.segmentation.training import HISTORY_FILE, LAST_FILE, fit
from coldal_compute.share import Share
from coldal_tui.errors import ColdalError
from coldal_tui.files import not_json
from coldal_tui.imaging.entropyfile import entropy_suffix, write_entropy
from coldal_tui.imaging.labelfile import label_suffix, write_label
from coldal_tui.jobs.spec import CrossFitSpec, FailedScan, LabelledScan, Reporter, StepResult

CROSS_FITTED_FILE = "cross-fitted.json"
OTHERS = "others"
_PREDICTED = 0.1
"""The share of a fold's progress that predicting and measuring takes, about."""


class _Fold(msgspec.Struct, frozen=True):
    """What is known of the scans of a finished fold.

    ``scans`` are measured as predicted; ``plain`` without a clean-up, ``cleaned`` with that of all
    classes: by these it is chosen.
    """

    scans: dict[str, dict[str, ClassMetrics]]
    predictions: dict[str, str]
    entropies: dict[str, str]
    failed: tuple[FailedScan, ...]
    plain: dict[str, dict[str, ClassMetrics]] = {}
    cleaned: dict[str, dict[str, ClassMetrics]] = {}


def crossfit(
    spec: CrossFitSpec, folder: Path, report: Reporter, readers: Readers | None = None
) -> StepResult:
    """Fit the folds of ``spec.wanted`` and measure their scans, continuing after a stop.

    Files: of fold n, ``fold-n/<scan_id>.png`` or ``.nii.gz`` (label map on the scan's own grid) and
    ``fold-n/entropy/<scan_id>.png`` or ``.nii.gz``; the same below ``others``;
    ``cross-fitted.json``. ``result`` has the summary of ``evaluate``, and ``predictions`` and
    ``entropies`` (scan → file).

    Raises
    ------
    ColdalError : the run can't be read, a diverging loss, no memory, or no label can be read.
    """
    readers = readers or file_readers()
    device = pick_device(spec.options.device, spec.options.threads)
    plan = load_plan(Path(spec.run))
    if spec.options.batch_size is not None:
        plan = msgspec.structs.replace(
            plan, batch_size=min(plan.batch_size, spec.options.batch_size)
        )
    work = _Work(spec, plan, folder, readers, device)
    done = []
    for place, number in enumerate(spec.wanted):
        share = Share(report, place, len(spec.wanted), "fold")
        done.append(_read(fold_folder(folder, number)) or _fit_fold(work, number, share))
    if spec.others:
        done.append(_read(folder / OTHERS) or _predict_others(work))
    return _result(work, done)


@dataclass(frozen=True)
class _Work:
    spec: CrossFitSpec
    plan: Plan
    folder: Path
    readers: Readers
    device: torch.device

    def samples(self, cases: Sequence[LabelledScan]) -> tuple[list[Sample], list[FailedScan]]:
        with closing(NetworkInputs(self.plan, self.readers.scan, self.spec.inputs)) as inputs:
            return load_samples(cases, inputs, self.readers, threads=self.spec.options.threads)


@dataclass(frozen=True)
class _Training:
    """A reporter for a fold's training, which leaves some progress for the measuring."""

    report: Reporter

    def progress(self, done: float, total: float, message: str = "", **metrics: float) -> None:
        self.report.progress(done * (1 - _PREDICTED), total, message, **metrics)

    def log(self, message: str) -> None:
        self.report.log(message)


def _read(own: Path) -> _Fold | None:
    """A finished fold; None when it is not finished, or its measures are damaged."""
    try:
        fold = msgspec.json.decode((own / MEASURED_FILE).read_bytes(), type=_Fold)
    except not_json(FileNotFoundError):
        return None
    files = (*fold.predictions.values(), *fold.entropies.values())
    return fold if all((own / name).exists() for name in files) else None


def _fit_fold(work: _Work, number: int, report: Reporter) -> _Fold:
    spec = work.spec
    own = fold_folder(work.folder, number)
    own.mkdir(exist_ok=True)
    train = [case for n, fold in enumerate(spec.folds) if n != number for case in fold]
    # In the order of scan ids, as in a run: the patches depend on the order.
    samples, failed = work.samples(sorted(train, key=lambda case: case.scan.scan_id))
    if not samples:
        raise ColdalError(
            "none of the labels outside this fold can be read",
            where=f"fold {number + 1}",
            remedy=f"the first reason: {failed[0].message}" if failed else None,
            code="no-labels",
        )
    report.log(
        f"fold {number + 1} of {len(spec.folds)}: {len(samples)} labels train, "
        f"{len(spec.folds[number])} are measured"
    )
    trained = fit(
        work.plan, samples, [], spec.options, work.device, spec.seed, own, _Training(report)
    )
    net = trained.net.to(work.device)
    model = Model(work.plan, net, work.device, spec.options.amp, spec.windows, spec.cleanup)
    fold = _measured(model, spec.folds[number], own, work.readers)
    report.progress(1, 1, "measured")
    for name in (LAST_FILE, HISTORY_FILE):
        (own / name).unlink(missing_ok=True)
    return fold


def _predict_others(work: _Work) -> _Fold:
    own = work.folder / OTHERS
    own.mkdir(exist_ok=True)
    model = load_model(Path(work.spec.run), work.device, work.spec.windows, work.spec.cleanup)
    return _measured(model, work.spec.others, own, work.readers)


def _measured(model: Model, cases: Sequence[LabelledScan], own: Path, readers: Readers) -> _Fold:
    """Predict and measure each scan; one that fails is listed. Writes ``measured.json`` last."""
    scans: dict[str, dict[str, ClassMetrics]] = {}
    plain: dict[str, dict[str, ClassMetrics]] = {}
    cleaned: dict[str, dict[str, ClassMetrics]] = {}
    predictions, entropies = {}, {}
    failed = []
    classes = model.plan.classes
    bare = replace(model, cleanup=())
    for case in cases:
        scan_id = case.scan.scan_id
        try:
            image = readers.scan(case.scan.ref)
            label = read_native_label(case, readers)
            header = image.header
            logits = model.logits(image)
            predicted = model.labels(logits, header.shape)
            raw = bare.labels(logits, header.shape)
            clean = keep_largest(raw, range(1, len(classes) + 1))
            for known, made in ((scans, predicted), (plain, raw), (cleaned, clean)):
                known[scan_id] = measure_scan(made, label, classes, header.spacing)
            predictions[scan_id] = f"{scan_id}{label_suffix(header)}"
            write_label(own / predictions[scan_id], predicted, header.affine)
            entropies[scan_id] = f"entropy/{scan_id}{entropy_suffix(len(header.shape))}"
            (own / "entropy").mkdir(exist_ok=True)
            write_entropy(
                own / entropies[scan_id], entropy_map(logits, header.shape), header.affine
            )
        except ColdalError as error:
            if error.code in ("out-of-memory", "disk"):
                raise
            failed.append(failure(case.scan, error))
        except Exception as error:
            # One bad file never stops a batch; the true reason is kept.
            failed.append(failure(case.scan, error))
    for lost in failed:
        for every in (scans, plain, cleaned, predictions, entropies):
            every.pop(lost.scan_id, None)
    fold = _Fold(scans, predictions, entropies, tuple(failed), plain, cleaned)
    write_json(own / MEASURED_FILE, fold)
    return fold


def _result(work: _Work, done: Sequence[_Fold]) -> StepResult:
    spec = work.spec
    names = [fold_folder(work.folder, number).name for number in spec.wanted]
    names += [OTHERS] if spec.others else []
    fitted = done[: len(spec.wanted)]
    scans = {scan_id: found for fold in fitted for scan_id, found in fold.scans.items()}
    failed = tuple(one for fold in done for one in fold.failed)
    measured = Measured(dict(sorted(scans.items())), failed)
    result = summary(measured, work.plan.classes)
    result["folds"] = len(spec.folds)
    plain = {scan_id: found for fold in fitted for scan_id, found in fold.plain.items()}
    cleaned = {scan_id: found for fold in fitted for scan_id, found in fold.cleaned.items()}
    result["cleanup"] = worth_it(plain, cleaned, work.plan.classes)
    result["predictions"] = dict(_files(names, [fold.predictions for fold in done]))
    result["entropies"] = dict(_files(names, [fold.entropies for fold in done]))
    write_json(work.folder / CROSS_FITTED_FILE, result)
    files = (*result["predictions"].values(), *result["entropies"].values(), CROSS_FITTED_FILE)
    return StepResult(files, result, failed)


def _files(names: Sequence[str], found: Sequence[dict[str, str]]) -> Iterator[tuple[str, str]]:
    for name, files in zip(names, found, strict=True):
        for scan_id, file in files.items():
            yield scan_id, f"{name}/{file}"
