"""The ``evaluate`` job: measures a run on masks that never become labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from coldal_compute.measured import MeasuredJournal
from coldal_compute.segmentation.data import (
    Readers,
    failure,
    file_readers,
    read_native_label,
)
from coldal_compute.segmentation.inference import Model, load_model
from coldal_compute.segmentation.inputs.network_inputs import NetworkInputs
from coldal_compute.segmentation.metrics import ClassMetrics, measure_scan, summarise
from coldal_compute.segmentation.network import MODEL_FILE, pick_device
from coldal_compute.segmentation.reading_ahead import read_ahead
from coldal_compute.segmentation.storage import write_json
from coldal_tui.errors import ColdalError
from coldal_tui.files import sha256_file
from coldal_tui.jobs.spec import (
    EvaluateSpec,
    FailedScan,
    LabelledScan,
    Reporter,
    Returned,
    ScanInput,
    StepResult,
)

_Coming = tuple[ScanInput, Callable[[], dict[str, ClassMetrics]]]

EVALUATION_FILE = "evaluation.json"


@dataclass(frozen=True)
class Measured:
    """Metrics per scan and class, in ``scan_id`` order, and the scans that could not be used."""

    scans: dict[str, dict[str, ClassMetrics]]
    failed: tuple[FailedScan, ...]


def evaluate(
    spec: EvaluateSpec, folder: Path, report: Reporter, readers: Readers | None = None
) -> StepResult:
    """Measure ``spec.run`` on labelled scans, continuing after the last one of an earlier attempt.

    Writes ``evaluation.json``.

    Raises
    ------
    ColdalError : the run can't be read, or memory ran out.
    """
    device = pick_device(spec.device, spec.threads)
    model = load_model(Path(spec.run), device, spec.windows, spec.cleanup)
    digest = " ".join((sha256_file(Path(spec.run) / MODEL_FILE), *spec.cleanup))
    journal = MeasuredJournal(folder, digest)
    readers = readers or file_readers()
    with closing(NetworkInputs(model.plan, readers.scan, spec.inputs, report.log)) as inputs:
        measured = measure(model, spec.scans, inputs, readers, report, journal)
    result = summary(measured, model.plan.classes)
    write_json(folder / EVALUATION_FILE, result)
    return StepResult((EVALUATION_FILE,), result, measured.failed)


def measure(
    model: Model,
    scans: Sequence[LabelledScan],
    inputs: NetworkInputs,
    readers: Readers,
    report: Reporter,
    journal: MeasuredJournal | None = None,
) -> Measured:
    """Predict and measure each scan at native resolution; a scan that fails is listed.

    Scans in the journal are not measured again.
    """
    ordered = sorted(scans, key=lambda labelled: labelled.scan.scan_id)
    known = journal.read() if journal else {}
    ids = [labelled.scan.scan_id for labelled in ordered]
    found = {scan_id: known[scan_id] for scan_id in ids if scan_id in known}
    failed: list[FailedScan] = []
    left = [labelled for labelled in ordered if labelled.scan.scan_id not in found]
    before = len(found)
    coming = _measured(model, left, inputs, readers)
    for number, (scan, metrics) in enumerate(coming, start=before + 1):
        try:
            found[scan.scan_id] = metrics()
            if journal:
                journal.append(scan.scan_id, found[scan.scan_id])
        except ColdalError as error:
            if error.code == "out-of-memory":
                raise
            failed.append(failure(scan, error))
        except Exception as error:
            # One bad file never stops a batch; the true reason is kept.
            failed.append(failure(scan, error))
        report.progress(number, len(ordered), "measuring")
    in_order = {scan_id: found[scan_id] for scan_id in ids if scan_id in found}
    return Measured(in_order, tuple(failed))


def _measured(
    model: Model, scans: Sequence[LabelledScan], inputs: NetworkInputs, readers: Readers
) -> Iterator[_Coming]:
    """Each scan with a function that returns its metrics, or raises why there are none.

    They are computed in a thread, while the network predicts the next scan.
    """
    with ThreadPoolExecutor(1) as aside:
        before: _Coming | None = None
        for labelled, loaded in _loaded(scans, inputs, readers):
            scan = labelled.scan
            try:
                image, label = loaded()
                predicted = model.labels(model.working_logits(image), label.shape)
            except Exception as error:
                metrics: Callable[[], dict[str, ClassMetrics]] = partial(_raise, error)
            else:
                classes = model.plan.classes
                done = aside.submit(measure_scan, predicted, label, classes, scan.spacing)
                metrics = done.result
            if before is not None:
                yield before
            before = scan, metrics
        if before is not None:
            yield before


def _raise(error: Exception) -> NoReturn:
    raise error


def measure_returned(
    returned: Sequence[Returned], classes: Sequence[str], readers: Readers, report: Reporter
) -> dict[str, dict[str, Any]]:
    """Measure labels against the predictions that were made before they came.

    ``{run_id: {scan_id: metrics by class}}`` in JSON types; one that fails is only logged: it is a
    label of this training, which says why it can't be read.
    """
    found: dict[str, dict[str, Any]] = {}
    for one in returned:
        scan = one.case.scan
        try:
            predicted = readers.label(Path(one.prediction))
            label = read_native_label(one.case, readers)
            metrics = measure_scan(predicted, label, classes, scan.spacing)
        except (ColdalError, OSError, ValueError) as error:
            report.log(f"{scan.scan_id} can't be compared with {one.run_id}: {error}")
            continue
        found.setdefault(one.run_id, {})[scan.scan_id] = msgspec.to_builtins(metrics)
    return found


def summary(measured: Measured, classes: Sequence[str]) -> dict[str, Any]:
    """``{"scans", "classes", "mean", "counts"}`` in JSON types; ``mean`` is None without scans."""
    per_class, mean = summarise(measured.scans, classes)
    notes = [one.note for found in measured.scans.values() for one in found.values()]
    return {
        "scans": msgspec.to_builtins(measured.scans),
        "classes": msgspec.to_builtins(per_class),
        "mean": msgspec.to_builtins(mean),
        "counts": {
            "scans": len(measured.scans),
            "failed": len(measured.failed),
            "missed": notes.count("missed"),
            "spurious": notes.count("spurious"),
            "both_empty": notes.count("both-empty"),
        },
    }


def _loaded(
    scans: Sequence[LabelledScan], inputs: NetworkInputs, readers: Readers
) -> Iterator[Any]:
    def load(labelled: LabelledScan) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
        return inputs.of_labelled(labelled.scan), read_native_label(labelled, readers)

    return read_ahead(scans, load)
