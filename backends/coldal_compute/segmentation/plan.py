"""The training plan: settings derived from the data, decided once and stored with the run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from coldal_compute.segmentation.storage import write_json
from coldal_tui.errors import ColdalError
from coldal_tui.files import not_json
from coldal_tui.imaging.intensity_choice import BY_FILE, IntensityChoice
from coldal_tui.jobs.spec import ScanInput, TrainOptions

PLAN_FILE = "plan.json"
_GIB = 1024**3
_MAX_LEVELS = 4
_COARSEST = 8
"""The network's coarsest feature map keeps at least this many pixels per axis (2-D)."""
_COARSEST_3D = 4
_FINE_PIXELS = 4.0
"""The thinnest class should be at least this many pixels wide on the working image."""
_LARGEST_IMAGE = 1024


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that training and inference need to know besides the weights.

    ``image_size`` is the working image (rows, columns) of a 2-D plan, a 3-D plan has ``spacing``
    (mm per axis, or voxels where the scans know none). ``patch`` is what the network sees at
    once, per axis; a 2-D patch as large as the working image means whole images. ``strides`` has
    one entry per level and ``features`` one more. ``overlap`` is the share by which windows
    overlap. ``intensity`` is the rule by which scans were brought to [0, 1], for training and for
    all that the run ever sees. ``reasons`` says in words why.
    """

    classes: tuple[str, ...]
    ndim: int
    in_channels: int
    patch: tuple[int, ...]
    batch_size: int
    steps: int
    features: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    learning_rate: float
    image_size: tuple[int, ...] | None = None
    spacing: tuple[float, ...] | None = None
    overlap: float = 0.5
    reasons: tuple[str, ...] = ()
    version: int = 1
    intensity: IntensityChoice = BY_FILE

    @property
    def outputs(self) -> int:
        """The network's output channels: the classes and the background."""
        return len(self.classes) + 1

    @property
    def whole(self) -> bool:
        """Whether the network sees whole images (never for volumes)."""
        return self.image_size is not None and self.patch == self.image_size

    def working_shape(
        self, shape: Sequence[int], spacing: Sequence[float] | None
    ) -> tuple[int, ...]:
        """The shape that a scan of ``shape`` and ``spacing`` (mm) has on the working grid."""
        if self.image_size is not None:
            return self.image_size
        own = spacing or (1.0,) * self.ndim
        new = self.spacing or (1.0,) * self.ndim
        return tuple(max(1, round(n * a / b)) for n, a, b in zip(shape, own, new, strict=True))


@dataclass(frozen=True)
class DeviceLimits:
    """The limits of the device. ``memory`` is free GPU memory in bytes."""

    gpu: bool = False
    memory: int = 0


@dataclass(frozen=True)
class _Cost:
    """Size limits on one kind of device (pixels or voxels)."""

    image_side: int
    patch_voxels: int
    volume_voxels: int
    features: tuple[int, ...]
    batch_2d: int
    steps_2d: int
    steps_3d: int
    overlap: float


_CPU = _Cost(128, 64**3, 160**3, (16, 32, 64, 128, 256), 8, 240, 200, 0.25)
_GPU = _Cost(256, 96**3, 320**3, (32, 64, 128, 256, 320), 12, 1000, 1000, 0.5)
_BIG_GPU = _Cost(320, 128**3, 400**3, (32, 64, 128, 256, 320), 12, 1000, 1000, 0.5)


def _cost(device: DeviceLimits) -> _Cost:
    if not device.gpu:
        return _CPU
    return _BIG_GPU if device.memory >= 20 * _GIB else _GPU


def make_plan(
    scans: Sequence[ScanInput],
    classes: Sequence[str],
    options: TrainOptions,
    device: DeviceLimits | None = None,
    thickness: float | None = None,
) -> Plan:
    """Decide the working grid, patch, network and length of training from the scans.

    Parameters
    ----------
    scans : the training scans; all 2-D or all 3-D.
    thickness : the thinnest class's typical width as a share of the image's long side
        (``data.relative_thickness``); decides how fine the working image of a 2-D plan is.

    Raises
    ------
    ColdalError : no scans, 2-D and 3-D mixed, or options that don't fit the scans.
    """
    if not scans:
        raise ColdalError(
            "there is no labelled scan to train on",
            remedy="import masks first, or wait for the labels of the queue",
            code="no-labels",
        )
    dims = {len(scan.shape) for scan in scans}
    if len(dims) > 1 or not dims <= {2, 3}:
        raise ColdalError(
            "the labelled scans are of mixed dimensions (2-D images and volumes)",
            remedy="keep images and volumes in projects of their own",
            code="mixed-dimensions",
        )
    ndim = dims.pop()
    if options.patch is not None and (len(options.patch) != ndim or min(options.patch) < 1):
        raise ColdalError(
            f"the patch {options.patch} does not fit {ndim}-D scans",
            remedy=f"give {ndim} positive sizes, or leave it out",
            code="patch",
        )
    cost = _cost(device or DeviceLimits())
    if ndim == 2:
        return _plan_2d(scans, classes, options, cost, thickness)
    return _plan_3d(scans, classes, options, cost)


def _plan_2d(
    scans: Sequence[ScanInput],
    classes: Sequence[str],
    options: TrainOptions,
    cost: _Cost,
    thickness: float | None,
) -> Plan:
    shapes = np.array([scan.shape for scan in scans], dtype=float)
    longest = float(np.median(shapes.max(axis=1)))
    ratio = float(np.exp(np.median(np.log(shapes[:, 0] / shapes[:, 1]))))
    side = min(float(cost.image_side), longest)
    reasons = [f"images are about {longest:.0f} pixels long: working image {side:.0f}"]
    if options.image_size is not None:
        side = float(options.image_size)
        reasons = [f"working image {side:.0f}, as asked"]
    elif thickness and thickness * side < _FINE_PIXELS:
        side = min(_FINE_PIXELS / thickness, longest, float(_LARGEST_IMAGE))
        reasons.append(
            f"the thinnest class is about {thickness * longest:.0f} pixels wide: "
            f"working image {side:.0f}, trained on patches"
        )
    channels, why = _channels(scans)
    reasons += why
    window = min(float(cost.image_side), side)
    levels = _levels(window)
    unit = 2**levels
    image = _round_sides(side, ratio, unit)
    if max(image) > 1.5 * window:
        patch = tuple(min(n, max(unit, round(window / unit) * unit)) for n in image)
    else:
        patch = image
    if options.patch is not None:
        levels = _levels(min(options.patch))
        unit = 2**levels
        patch = tuple(_up(n, unit) for n in options.patch)
        image = tuple(max(_up(n, unit), p) for n, p in zip(image, patch, strict=True))
    return Plan(
        classes=tuple(classes),
        ndim=2,
        in_channels=channels,
        patch=patch,
        batch_size=options.batch_size or cost.batch_2d,
        steps=options.steps or cost.steps_2d,
        features=cost.features[: levels + 1],
        strides=((2, 2),) * levels,
        learning_rate=options.learning_rate,
        image_size=image,
        overlap=cost.overlap,
        reasons=tuple(reasons),
        intensity=options.intensity,
    )


def _plan_3d(
    scans: Sequence[ScanInput], classes: Sequence[str], options: TrainOptions, cost: _Cost
) -> Plan:
    known = [scan.spacing is not None for scan in scans]
    spacings = np.array([scan.spacing or (1.0, 1.0, 1.0) for scan in scans], dtype=float)
    shapes = np.array([scan.shape for scan in scans], dtype=float)
    spacing = np.median(spacings, axis=0)
    median = np.median(shapes * spacings / spacing, axis=0)
    unit = "mm" if all(known) else "voxels (some scans know no spacing)"
    reasons = [f"median spacing {_times(spacing)} {unit}, median shape {_times(median)}"]
    if options.image_size is not None:
        # As an image is made smaller: alike in all directions, and thick slices stay.
        coarse = np.maximum(spacing, (median * spacing).max() / options.image_size)
        spacing, median = coarse, median * spacing / coarse
        shape = _times(np.rint(median))
        reasons.append(f"working volumes of {shape}, as asked: spacing {_times(spacing)}")
    excess = float(np.prod(median)) / cost.volume_voxels
    if excess > 1:
        spacing, median = _coarsen(spacing, median, cost.volume_voxels)
        reasons.append(f"volumes are large for this device: spacing {_times(spacing)}")
    channels, why = _channels(scans)
    reasons += why
    wanted = np.array(options.patch, dtype=float) if options.patch else median
    patch, strides = _patch_3d(wanted, spacing, None if options.patch else cost.patch_voxels)
    return Plan(
        classes=tuple(classes),
        ndim=3,
        in_channels=channels,
        patch=patch,
        batch_size=options.batch_size or 2,
        steps=options.steps or cost.steps_3d,
        features=cost.features[: len(strides) + 1],
        strides=strides,
        learning_rate=options.learning_rate,
        spacing=tuple(float(s) for s in spacing),
        overlap=cost.overlap,
        reasons=tuple(reasons),
        intensity=options.intensity,
    )


def _channels(scans: Sequence[ScanInput]) -> tuple[int, list[str]]:
    """The number of input channels, and why: that of most scans; grey and colour mix as 3.

    Scans of another number are left out of training, each with its reason.
    """
    counts = Counter(3 if scan.channels in (1, 3) else scan.channels for scan in scans)
    most = max(counts, key=lambda count: (counts[count], count))
    if most == 3 and not any(scan.channels == 3 for scan in scans):
        most = 1
    reasons = [f"the network takes all {most} channels"] if most not in (1, 3) else []
    others = sum(count for channels, count in counts.items() if channels not in (most, 3))
    others += counts[3] if most not in (1, 3) else 0
    if others:
        reasons.append(f"{others} of {len(scans)} scans have another number of channels")
    return most, reasons


def _coarsen(spacing: np.ndarray, shape: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Coarsen the finest axes first until the volume has at most ``limit`` voxels."""
    spacing, shape = spacing.copy(), shape.copy()
    while float(np.prod(shape)) > limit:
        fine = spacing <= spacing.min() * 1.05
        spacing[fine] *= 1.05
        shape[fine] /= 1.05
    return spacing, shape


def _patch_3d(
    wanted: np.ndarray, spacing: np.ndarray, limit: int | None
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """The patch (at most ``limit`` voxels) and the strides that its sides are multiples of."""
    size = np.maximum(wanted, 1.0)
    while limit is not None and float(np.prod(size)) > limit:
        # The side that is longest beside what was wanted shrinks: the patch keeps the aspect of
        # the anatomy, but never gets thinner than it is worth.
        size[int(np.argmax(size))] *= 0.95
    strides = _strides_3d(size, spacing)
    unit = np.prod(np.array(strides, dtype=int).reshape(-1, 3), axis=0)
    return tuple(_up(n, int(u)) for n, u in zip(size, unit, strict=True)), strides


def _strides_3d(size: np.ndarray, spacing: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Halve an axis while enough voxels are left and it is not much coarser than the others."""
    size, spacing = size.copy(), spacing.copy()
    strides: list[tuple[int, ...]] = []
    while len(strides) < _MAX_LEVELS:
        large = size / 2 >= _COARSEST_3D
        if not large.any():
            break
        halve = large & (spacing <= 2 * spacing[large].min())
        strides.append(tuple(2 if h else 1 for h in halve))
        size[halve] /= 2
        spacing[halve] *= 2
    return tuple(strides) or ((1, 1, 1),)


def _levels(side: float) -> int:
    levels = 0
    while levels < _MAX_LEVELS and side / 2 ** (levels + 1) >= _COARSEST:
        levels += 1
    return max(levels, 1)


def _round_sides(side: float, ratio: float, unit: int) -> tuple[int, ...]:
    """(rows, columns) with the long side at most ``side``, both multiples of ``unit``."""
    rows, columns = (side, side / ratio) if ratio >= 1 else (side * ratio, side)
    # Two pixels per axis have to be left at the coarsest level for its normalisation.
    low = int(max(2 * unit, side // unit * unit))
    return tuple(min(low, max(2 * unit, round(n / unit) * unit)) for n in (rows, columns))


def _up(size: float, unit: int) -> int:
    return max(unit, math.ceil(round(size, 6) / unit) * unit)


def _times(values: np.ndarray) -> str:
    return "×".join(f"{value:.3g}" for value in values)


def save_plan(plan: Plan, folder: Path) -> None:
    """Write ``plan.json`` into the run's folder."""
    write_json(folder / PLAN_FILE, plan)


def load_plan(folder: Path) -> Plan:
    """Read a run's ``plan.json``.

    Raises
    ------
    ColdalError : the file is absent or is not a plan (code ``run``).
    """
    path = folder / PLAN_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except not_json(OSError) as error:
        raise ColdalError(
            f"the run's plan can't be read ({error})",
            where=str(path),
            remedy="train again, or name a run that finished",
            code="run",
        ) from error
