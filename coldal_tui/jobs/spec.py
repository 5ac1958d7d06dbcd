"""Job specifications and receipts: everything that a project and a worker exchange.

A specification is frozen JSON; a worker reads it, writes only into its own job folder, and ends
with a receipt that lists its outputs with their SHA-256.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from coldal_tui.imaging.image import ScanRef
from coldal_tui.imaging.intensity_choice import BY_FILE, IntensityChoice
from coldal_tui.selection.rows import PoolRow
from coldal_tui.simulation.design import CellId, Design, SplitRule


class ScanInput(msgspec.Struct, frozen=True):
    """One scan as a worker sees it. ``shape`` and ``spacing`` as in ``ScanHeader``."""

    scan_id: str
    ref: ScanRef
    shape: tuple[int, ...]
    channels: int
    spacing: tuple[float, ...] | None
    modality: str | None
    quick_hash: str


class LabelledScan(msgspec.Struct, frozen=True):
    """A scan with the label file on its own grid (see ``coldal_tui.imaging.labelfile``).

    ``sha256`` is what the file has to have; empty where nobody has told.
    """

    scan: ScanInput
    label: str
    sha256: str = ""


class EncoderChoice(msgspec.Struct, frozen=True):
    """An encoder by name, and its weights where the user named a file (with its SHA-256).

    ``size``, ``mean``, ``std``, ``channels`` and ``layer`` declare a model of the user's (the
    encoder ``file``). ``window`` is the CT window by name, ``pooling`` how the slices of a volume
    become one vector, ``precision`` how exactly the network is computed, ``modality`` what files
    that state none are taken for (see ``IntensityChoice``); None stands for the defaults.
    """

    name: str
    weights: str | None = None
    sha256: str | None = None
    size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    channels: str | None = None
    layer: str | None = None
    window: str | None = None
    pooling: str | None = None
    precision: str | None = None
    modality: tuple[str, ...] | None = None


class EmbedSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="embed"):
    """Embed ``scans``; shards of at most ``shard_size`` rows.

    ``embedded`` names those that have a vector by the encoder whose hash is ``expected_hash``:
    they are left out when the encoder still has that hash, and embedded anew when it has not.
    ``batch_size``: slices that go through the network at once on a GPU; the CPU takes one scan.
    """

    scans: tuple[ScanInput, ...]
    encoder: EncoderChoice
    embedded: tuple[str, ...] = ()
    expected_hash: str | None = None
    batch_size: int = 64
    shard_size: int = 512
    device: str = "auto"
    threads: int = 0


class ShardRows(msgspec.Struct, frozen=True):
    """Rows of one embedding shard: ``scan_ids[n]`` lies in row ``rows[n]`` of ``file``."""

    file: str
    sha256: str
    scan_ids: tuple[str, ...]
    rows: tuple[int, ...]


class MapSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="map"):
    """Project embeddings to 2-D; with ``base``, an earlier map's .npz, place new scans into it."""

    shards: tuple[ShardRows, ...]
    encoder_hash: str
    seed: int
    base: str | None = None
    fingerprint: str = ""


class SelectSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="select"):
    """Pick scans. Round 0 clusters the map anew; later rounds are given ``clusters``.

    ``budget`` counts validation scans too; ``validation`` is the number of patients to draw now
    (0 when they are already frozen). ``one_per_patient``: nobody gives two scans to the selection
    before everybody has given one. ``minutes`` are the expected ones of each candidate, where the
    budget has minutes: the round ends before the first scan that goes beyond ``minutes_left``.
    ``notes`` are told together with the round.
    """

    round: int
    strategy: str
    budget: int
    validation: int
    seed: int
    map: str
    pool: tuple[PoolRow, ...]
    shards: tuple[ShardRows, ...] = ()
    alpha: float = 0.5
    clusters: str | None = None
    map_id: int = 0
    run_id: str | None = None
    one_per_patient: bool = False
    minutes: dict[str, float] = {}
    minutes_left: float | None = None
    notes: tuple[str, ...] = ()


class TrainOptions(msgspec.Struct, frozen=True):
    """How to train; None means: decided from the data and recorded in the run's plan.

    ``patch`` is the training patch in pixels or voxels per axis; ``steps`` optimiser steps in all;
    ``image_size`` the long side of the working image, or of the median working volume, which is
    never made finer than it is. ``intensity`` is the project's rule.
    """

    steps: int | None = None
    batch_size: int | None = None
    patch: tuple[int, ...] | None = None
    learning_rate: float = 2e-3
    device: str = "auto"
    threads: int = 0
    workers: int = 0
    amp: bool = True
    intensity: IntensityChoice = BY_FILE
    image_size: int | None = None


class InputCache(msgspec.Struct, frozen=True):
    """Where resized scans are kept for all jobs of a project, and at most how many bytes of them.

    With 0 bytes none are, and those that there are go.
    """

    folder: str
    most_bytes: int


class Returned(msgspec.Struct, frozen=True):
    """A label that came after ``run_id`` had predicted its scan, and that prediction's file."""

    run_id: str
    case: LabelledScan
    prediction: str


class TrainSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="train"):
    """Train one run on ``train``, watch ``validation`` (may be empty).

    ``networks`` are trained on the same labels, each from a start of its own: the first one
    predicts, the others serve to see what they disagree about. ``labels`` has the SHA-256 of every
    label there was when the run began, used or not: by it a project knows whether labels have come
    since. ``returned`` labels are first measured against what earlier runs predicted. ``cleanup``:
    classes of which predictions keep only the largest part, here and in the jobs below.
    """

    run_id: str
    classes: tuple[str, ...]
    train: tuple[LabelledScan, ...]
    validation: tuple[LabelledScan, ...]
    options: TrainOptions
    seed: int
    inputs: InputCache | None = None
    labels: dict[str, str] = {}
    networks: int = 1
    returned: tuple[Returned, ...] = ()
    cleanup: tuple[str, ...] = ()


class ScoreSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="score"):
    """Entropy of the run's predictions on ``scans``; label maps of ``predict`` are kept too.

    ``windows``: how many windows of a large scan go through the network at once.
    """

    run: str
    scans: tuple[ScanInput, ...]
    predict: tuple[str, ...] = ()
    device: str = "auto"
    threads: int = 0
    run_id: str = ""
    windows: int = 4
    cleanup: tuple[str, ...] = ()
    inputs: InputCache | None = None


class EvaluateSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="evaluate"):
    """Measure a run on labelled scans that never become labels."""

    run: str
    scans: tuple[LabelledScan, ...]
    device: str = "auto"
    threads: int = 0
    run_id: str = ""
    windows: int = 4
    cleanup: tuple[str, ...] = ()
    inputs: InputCache | None = None


class CrossFitSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="crossfit"):
    """Measure a run's training labels out of sample.

    The labels of each fold are predicted by a network that was trained, by the run's own plan, on
    the other folds; no patient is in two folds. ``wanted`` are the folds that this job fits (a part
    of it fits some). ``others`` are labelled scans that the run never trained on: its own network
    predicts them.
    """

    run: str
    run_id: str
    folds: tuple[tuple[LabelledScan, ...], ...]
    wanted: tuple[int, ...]
    options: TrainOptions
    seed: int
    others: tuple[LabelledScan, ...] = ()
    inputs: InputCache | None = None
    windows: int = 4
    cleanup: tuple[str, ...] = ()


class SimulatedScan(msgspec.Struct, frozen=True):
    """A scan whose mask a simulation hides: the mask's file on the scan's grid, and its SHA-256."""

    scan: ScanInput
    patient_id: str
    label: str
    sha256: str


class SimulateSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="simulate"):
    """Replay ``cells`` of a simulation on scans whose masks are known.

    ``store`` is the simulation's folder, which several jobs share: finished cells lie there, each
    whole, and are not done again. ``setup`` is the hash of all that two cells of one store have
    in common. ``design`` is the whole of which ``cells`` are this job's part. ``entropy`` is the
    mean that strategies see as such: over all pixels, the ``foreground`` or the ``boundary``.
    """

    setup: str
    store: str
    design: Design
    cells: tuple[CellId, ...]
    rule: SplitRule
    classes: tuple[str, ...]
    scans: tuple[SimulatedScan, ...]
    shards: tuple[ShardRows, ...]
    encoder_hash: str
    options: TrainOptions
    one_per_patient: bool = False
    entropy: str = "mean"
    inputs: InputCache | None = None


JobSpec = (
    EmbedSpec
    | MapSpec
    | SelectSpec
    | TrainSpec
    | ScoreSpec
    | EvaluateSpec
    | CrossFitSpec
    | SimulateSpec
)


class OutputFile(msgspec.Struct, frozen=True):
    """One output: ``path`` relative to the job folder, its SHA-256 and size in bytes."""

    path: str
    sha256: str
    bytes: int


class FailedScan(msgspec.Struct, frozen=True):
    """A scan that one job could not use; the job went on without it."""

    scan_id: str
    file: str
    message: str


class Receipt(msgspec.Struct, frozen=True):
    """What a finished job returns. ``result`` is the step's own summary, JSON types only."""

    job_id: str
    kind: str
    outputs: tuple[OutputFile, ...]
    result: dict[str, Any]
    failed: tuple[FailedScan, ...] = ()
    seconds: float = 0.0


class StepResult(msgspec.Struct, frozen=True):
    """What a step returns to its worker: output files (relative to the job folder), a summary."""

    files: tuple[str, ...]
    result: dict[str, Any]
    failed: tuple[FailedScan, ...] = ()


class Reporter(Protocol):
    """Receives a step's progress; the worker writes it to ``progress.jsonl``."""

    def progress(self, done: float, total: float, message: str = "", **metrics: float) -> None:
        """``done`` of ``total`` units (scans, steps); ``metrics`` such as loss or dice."""

    def log(self, message: str) -> None:
        """One line for the job's log."""


class Silent:
    """A ``Reporter`` that discards everything: for a step that runs inside another step."""

    def progress(self, done: float, total: float, message: str = "", **metrics: float) -> None:
        pass

    def log(self, message: str) -> None:
        pass
