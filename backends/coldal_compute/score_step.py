"""The ``score`` job: a run's uncertainty on each scan, and predictions for some."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from coldal_compute.scored import FEATURES_FILE, PREDICTIONS, SCORES_FILE, ScoreJournal
from coldal_compute.segmentation.data import Readers, failure, file_readers
from coldal_compute.segmentation.entropy_maps import entropy_map
from coldal_compute.segmentation.inference import Model, load_ensemble
from coldal_compute.segmentation.inputs.network_inputs import NetworkInputs
from coldal_compute.segmentation.inputs.packs import Told
from coldal_compute.segmentation.network import MODEL_FILE, pick_device
from coldal_compute.segmentation.reading_ahead import read_ahead
from coldal_compute.segmentation.scoring import Passed, pass_images, score_passed
from coldal_compute.segmentation.storage import write_json
from coldal_tui.errors import ColdalError
from coldal_tui.files import sha256_file
from coldal_tui.imaging.image import ScanHeader
from coldal_tui.jobs.spec import FailedScan, Reporter, ScanInput, ScoreSpec, StepResult
from coldal_tui.processors import usable_processors
from coldal_tui.simulation.cells import ScanScores

ENTROPIES_FILE = "entropies.json"
ENTROPY_MAPS = "entropy"

_Loaded = tuple[ScanHeader | None, NDArray[np.float16]]
_Coming = tuple[ScanInput, Callable[[], _Loaded]]
_AHEAD = 2
"""Scans that are read while the network works."""


@dataclass(frozen=True)
class Scored:
    """A scan with its scores, or why there are none."""

    scan: ScanInput
    scores: ScanScores | None
    failed: FailedScan | None = None


class Scorer:
    """Scores scans with a run in this process, and writes predictions for some."""

    def __init__(
        self,
        spec: ScoreSpec,
        folder: Path,
        readers: Readers | None = None,
        told: Told = lambda words: None,
    ) -> None:
        device = pick_device(spec.device, spec.threads)
        self._models = load_ensemble(Path(spec.run), device, spec.windows, spec.cleanup)
        self._wanted = frozenset(spec.predict)
        self._folder = folder
        read = (readers or file_readers()).scan
        self._inputs = NetworkInputs(self._models[0].plan, read, spec.inputs, told)
        self._told = told
        # A GPU waits for scans where the processors have nothing else to do.
        gpu = device.type == "cuda"
        self._readers = max(_AHEAD, spec.threads or usable_processors()) if gpu else _AHEAD

    def __call__(self, scans: Sequence[ScanInput]) -> Iterator[Scored]:
        """The outcome of each scan, in the order of the scans.

        Raises ColdalError when memory runs out.
        """
        size = self._models[0].at_once
        ahead = read_ahead(scans, self._load, max(_AHEAD, size), self._readers)
        while part := list(islice(ahead, size)):
            yield from self._score(part, size)
        if self._inputs.found:
            self._told(f"{self._inputs.found} of {len(scans)} scans came resized from the cache")

    def close(self) -> None:
        """Give up the files of the cache."""
        self._inputs.close()

    def _score(self, part: Sequence[_Coming], size: int) -> Iterator[Scored]:
        """The outcomes of scans that go through the networks together."""
        read: list[_Loaded | Scored] = []
        for scan, loaded in part:
            try:
                read.append(loaded())
            except Exception as error:
                # One bad file never stops a batch; the true reason is kept.
                read.append(_failed(scan, error))
        images = [one[1] for one in read if not isinstance(one, Scored)]
        try:
            passed = iter(pass_images(self._models, _stacked(images), size) if images else ())
        except Exception as error:
            for (scan, _), one in zip(part, read, strict=True):
                yield one if isinstance(one, Scored) else _failed(scan, error)
            return
        for (scan, _), one in zip(part, read, strict=True):
            yield one if isinstance(one, Scored) else self._measured(scan, one[0], next(passed))

    def _measured(self, scan: ScanInput, header: ScanHeader | None, passed: Passed) -> Scored:
        try:
            scores = score_passed(passed)
            if header is not None:
                _write_prediction(scan, header, passed.logits[0], self._models[0], self._folder)
        except Exception as error:
            return _failed(scan, error)
        return Scored(scan, scores)

    def _load(self, scan: ScanInput) -> _Loaded:
        if scan.scan_id in self._wanted:
            return self._inputs.with_header(scan)
        return None, self._inputs.of(scan)


def score(
    spec: ScoreSpec,
    folder: Path,
    report: Reporter,
    readers: Readers | None = None,
    elsewhere: Callable[[Sequence[ScanInput]], Iterator[Scored]] | None = None,
) -> StepResult:
    """Score ``spec.scans`` with ``spec.run``, continuing after the last scan of an earlier attempt.

    Files: ``entropies.json`` (``{scan_id: H}``), ``scores.json`` (``{scan_id: ScanScores}``: the
    other means of the entropy and that of each class), ``features.npy`` (the network's features,
    a row for each scan of ``scores.json``, float16) and, for
    ``spec.predict``, on the scans' own grids: label maps ``predictions/<scan_id>.png`` or
    ``.nii.gz``, and the entropy of each pixel ``predictions/entropy/<scan_id>.png`` or
    ``.nii.gz``. With ``elsewhere``, other processes score and write these maps.

    Raises
    ------
    ColdalError : the run can't be read, or memory ran out.
    """
    if elsewhere is None:
        with closing(Scorer(spec, folder, readers, report.log)) as scorer:
            return score(spec, folder, report, readers, scorer)
    wanted = frozenset(spec.predict)
    ordered = sorted(spec.scans, key=lambda scan: scan.scan_id)
    model = " ".join((sha256_file(Path(spec.run) / MODEL_FILE), *spec.cleanup))
    journal = ScoreJournal(folder, model)
    known = journal.entropies()
    entropies = {
        scan.scan_id: known[scan.scan_id]
        for scan in ordered
        if scan.scan_id in known and _kept(scan, wanted, folder)
    }
    failed: list[FailedScan] = []
    left = [scan for scan in ordered if scan.scan_id not in entropies]
    before = len(ordered) - len(left)
    for number, found in enumerate(elsewhere(left), start=1):
        if found.failed is not None:
            failed.append(found.failed)
        elif found.scores is not None:
            entropies[found.scan.scan_id] = found.scores.entropy
            journal.append(found.scan.scan_id, found.scores)
        report.progress(before + number, len(ordered), "scoring")
    return _finish(spec, journal, entropies, failed, ordered, folder)


def prediction_file(scan: ScanInput, folder: Path) -> str | None:
    """A scan's predicted label map, relative to the job folder; None where there is none."""
    return _existing(f"{PREDICTIONS}/{scan.scan_id}", folder)


def _existing(stem: str, folder: Path) -> str | None:
    names = (f"{stem}{suffix}" for suffix in (".png", ".nii.gz"))
    return next((name for name in names if (folder / name).exists()), None)


def _entropy_file(scan: ScanInput, folder: Path) -> str | None:
    """A scan's entropy map, relative to the job folder; None where there is none."""
    return _existing(f"{PREDICTIONS}/{ENTROPY_MAPS}/{scan.scan_id}", folder)


def _stacked(images: Sequence[NDArray[np.float16]]) -> NDArray[np.float16]:
    # One image may be a volume of gigabytes: it is not copied.
    return np.stack(images) if len(images) > 1 else images[0][np.newaxis]


def _failed(scan: ScanInput, error: Exception) -> Scored:
    if isinstance(error, ColdalError) and error.code == "out-of-memory":
        raise error
    return Scored(scan, None, failure(scan, error))


def _write_prediction(
    scan: ScanInput, header: ScanHeader, logits: torch.Tensor, model: Model, folder: Path
) -> None:
    from coldal_tui.imaging.labelfile import label_suffix, write_label

    path = folder / PREDICTIONS / f"{scan.scan_id}{label_suffix(header)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_label(path, model.labels(logits, header.shape), header.affine)
    _write_entropy(scan, header, logits, folder)


def _write_entropy(scan: ScanInput, header: ScanHeader, logits: torch.Tensor, folder: Path) -> None:
    from coldal_tui.imaging.entropyfile import entropy_suffix, write_entropy

    suffix = entropy_suffix(len(header.shape))
    path = folder / PREDICTIONS / ENTROPY_MAPS / f"{scan.scan_id}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_entropy(path, entropy_map(logits, header.shape), header.affine)


def _kept(scan: ScanInput, wanted: frozenset[str], folder: Path) -> bool:
    if scan.scan_id not in wanted:
        return True
    return prediction_file(scan, folder) is not None and _entropy_file(scan, folder) is not None


def _finish(
    spec: ScoreSpec,
    journal: ScoreJournal,
    entropies: dict[str, float],
    failed: list[FailedScan],
    ordered: list[ScanInput],
    folder: Path,
) -> StepResult:
    entropies = dict(sorted(entropies.items()))
    write_json(folder / ENTROPIES_FILE, entropies)
    scores = journal.write(tuple(entropies))
    wanted = frozenset(spec.predict)
    predictions = {
        scan.scan_id: file
        for scan in ordered
        if scan.scan_id in wanted and (file := prediction_file(scan, folder)) is not None
    }
    result: dict[str, Any] = {
        "scored": len(entropies),
        "failed": len(failed),
        "mean_entropy": sum(entropies.values()) / len(entropies) if entropies else None,
        "entropies": ENTROPIES_FILE,
        "scores": SCORES_FILE,
        "features": FEATURES_FILE if FEATURES_FILE in scores else None,
        "predictions": predictions,
    }
    maps = [file for scan in ordered if (file := _entropy_file(scan, folder)) is not None]
    files = (ENTROPIES_FILE, *scores, *predictions.values(), *maps)
    return StepResult(files, result, tuple(failed))
