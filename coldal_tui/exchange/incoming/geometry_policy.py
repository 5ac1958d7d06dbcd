"""The geometry policy: decides whether a mask fits a scan, and puts it on the scan's grid.

Masks that fit are accepted, reoriented or pasted without loss; all others are refused with a reason
and a remedy. Nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, FramesBy, MaskPixels, ScanTarget
from coldal_tui.exchange.incoming.class_values import Meaning, UnknownMeaningError
from coldal_tui.exchange.incoming.conflicts import ConflictRule
from coldal_tui.exchange.masks.grid_canvas import grid_shape
from coldal_tui.exchange.masks.label_summary import Drawn, in_file_order
from coldal_tui.exchange.masks.overlap import covered_whole, merge_labels
from coldal_tui.exchange.masks.picture_size import check_picture_size, turned_back, width_height
from coldal_tui.exchange.masks.run_lengths import Runs
from coldal_tui.exchange.name_meanings import NameMeanings
from coldal_tui.imaging import geometry
from coldal_tui.imaging.geometry import GridMatch, Triple
from coldal_tui.imaging.labelfile import BACKGROUND, IGNORE_LABEL
from coldal_tui.imaging.labelshape import coverage

_SAME_GRID = "If its voxels are in the scan's own order, import it again with --same-grid."


@dataclass(frozen=True)
class ImportOptions:
    """What the user allows in one import.

    ``values`` : the meaning of raw values or names (see ``name_meanings.ValueMap``).
    ``kept`` : the keys of ``values`` that an earlier import stored in ``coldal.toml``.
    ``frames_by`` : what places DICOM-SEG frames if their positions and sources disagree.
    ``resample`` : masks of the same extent with another spacing may be resampled.
    ``same_grid`` : a mask of the scan's size is taken voxel for voxel; its header is ignored.
    ``confirm_empty`` : an empty mask is accepted as a negative case.
    ``priority`` : classes that win where classes overlap, the first one first; of the others, the
    later one in the project's list wins.
    ``conflict`` : the rule for several masks of one scan.
    ``each_person`` : of several masks of one scan by different people, each is decided by itself:
    the caller keeps all of them and rules between them.
    ``by`` : who drew the masks that name nobody.
    ``accept_first`` : of a scan that is out to several people, the first mask becomes the label.
    """

    values: Mapping[int | str, int | str] = field(default_factory=dict)
    kept: frozenset[int | str] = frozenset()
    frames_by: FramesBy = ""
    resample: bool = False
    same_grid: bool = False
    confirm_empty: bool = False
    priority: tuple[str, ...] = ()
    conflict: ConflictRule = field(default_factory=ConflictRule)
    each_person: bool = False
    by: str = ""
    accept_first: bool = False


@dataclass(frozen=True)
class Accepted:
    """A label on the scan's grid (uint8), the geometry found, and notes. ``named``: the mask itself

    names its classes.
    """

    label: NDArray[np.uint8]
    geometry: str
    drawn: Drawn
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    named: bool = False


@dataclass(frozen=True)
class Rejected:
    """Why a mask was refused: a stable code, the fact, and the remedy. ``unknown`` are the values,

    names or colours that a class map must explain.
    """

    code: str
    message: str
    remedy: str | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Fitted:
    """Values on the scan's grid, not yet checked for emptiness; their runs if known."""

    label: NDArray[np.uint8]
    geometry: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    runs: Runs | None = None


def decide(
    target: ScanTarget,
    candidate: Candidate,
    classes: Sequence[str],
    ignore_value: int | None,
    options: ImportOptions | None = None,
) -> Accepted | Rejected:
    """Decide whether a mask becomes the label of ``target``.

    Raises
    ------
    UsageError : the class list, ignore value or value map contradicts itself.
    """
    options = options or ImportOptions()
    try:
        if candidate.load_onto is None:
            pixels = candidate.load()
        else:
            meanings = NameMeanings(classes, options.values)
            knowing = replace(target, meanings=meanings, frames_by=options.frames_by)
            pixels = candidate.load_onto(knowing)
        pixels = turned_back(pixels, target)
        rules = _Rules(classes, ignore_value, options, candidate.exported)
        pixels = _without_nan(pixels)
        fitted = _fit(target, pixels, rules)
    except ImageError as error:
        keys = error.keys if isinstance(error, UnknownMeaningError) else ()
        return Rejected(error.code, error.what, error.remedy, keys)
    drawn = Drawn.of(fitted.label, fitted.runs)
    is_empty = drawn.classes == 0
    if is_empty and not options.confirm_empty:
        return _empty(drawn)
    notes = pixels.notes + fitted.notes
    if is_empty:
        notes += ("no class is drawn: confirmed as a negative case",)
    warnings = pixels.warnings + fitted.warnings + _inverted(fitted.label, drawn)
    named = pixels.names is not None
    return Accepted(fitted.label, fitted.geometry, drawn, notes, warnings, named)


def _inverted(label: NDArray[np.uint8], drawn: Drawn) -> tuple[str, ...]:
    """A warning if one class has all of the border, most of the rest, and leaves a part free."""
    values = drawn.pixels.keys() - {IGNORE_LABEL}
    if len(values) != 2 or BACKGROUND not in values:
        return ()
    if drawn.classes <= drawn.pixels[BACKGROUND]:
        return ()
    share, border = coverage(label)
    if border < 1:
        return ()
    return (f"is it inverted? {share:.0%} of it is drawn, and the image's whole border",)


@dataclass(frozen=True)
class _Rules:
    """The meaning of values from the project, the user and the mask's export."""

    classes: Sequence[str]
    ignore_value: int | None
    options: ImportOptions
    exported: Sequence[str] = ()


def _fit(target: ScanTarget, pixels: MaskPixels, rules: _Rules) -> _Fitted:
    _check_dimensions(pixels)
    grid: GridMatch | _Plain
    if pixels.axes == "rows":
        grid = _check_picture(target, pixels)
    else:
        grid = _check_volume(target, pixels, rules.options)
    merged = _merged(pixels, rules)
    label, notes, warnings = merged.label, merged.notes, merged.warnings
    if isinstance(grid, _Plain):
        notes += grid.notes
        if not grid.transpose:
            return _Fitted(in_file_order(label), "match", notes, warnings, merged.runs)
        on_grid = label.reshape(label.shape[:2]).T
        return _Fitted(np.ascontiguousarray(on_grid), "match", notes, warnings)
    if grid.kind == "match" and label.shape == target.shape:
        return _Fitted(in_file_order(label), "match", notes, warnings, merged.runs)
    fitted = _place(target, label, pixels, grid, rules.classes)
    return replace(fitted, notes=notes + fitted.notes, warnings=warnings + fitted.warnings)


@dataclass(frozen=True)
class _Merged:
    """A mask in the project's values on its own grid; its runs if known."""

    label: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    runs: Runs | None = None


def _merged(pixels: MaskPixels, rules: _Rules) -> _Merged:
    """Convert the mask to the project's values, with notes on what decided them."""
    used: set[int | str] = set()

    def translate(
        array: NDArray[Any], names: Mapping[int, str] | None
    ) -> tuple[NDArray[np.uint8], Runs | None]:
        meaning = Meaning(
            rules.classes,
            rules.ignore_value,
            rules.options.values,
            names,
            pixels.colours,
            pixels.numbered,
            pixels.void,
            rules.exported,
            used,
        )
        return meaning.apply_runs(array)

    label, runs = translate(pixels.array, pixels.names)
    if not pixels.layers:
        return _Merged(label, _map_notes(used, rules.options), runs=runs)
    before = np.bincount(label.ravel(), minlength=256)

    def further() -> Iterator[NDArray[np.uint8]]:
        for layer in pixels.layers:
            one = translate(layer.array, layer.names)[0]
            np.add(before, np.bincount(one.ravel(), minlength=256), out=before)
            yield one

    priority = rules.options.priority
    levels = (0, *(layer.level for layer in pixels.layers))
    merged, notes = merge_labels(chain((label,), further()), rules.classes, priority, levels)
    after = np.bincount(merged.ravel(), minlength=256)
    gone = covered_whole(before, after, rules.classes)
    return _Merged(merged, _map_notes(used, rules.options) + notes, gone)


def _map_notes(used: Iterable[int | str], options: ImportOptions) -> tuple[str, ...]:
    """Notes on values mapped by a class map from an earlier import."""
    kept = sorted(str(key) for key in used if key in options.kept)
    said = {str(key): meaning for key, meaning in options.values.items()}
    words = ", ".join(f"{key} = {said[key]}" for key in kept)
    return (f"read by [classes.map] in coldal.toml: {words}",) if words else ()


@dataclass(frozen=True)
class _Plain:
    """The mask lies voxel for voxel on the scan; ``transpose``: (i, j, 1) becomes (rows, cols)."""

    transpose: bool = False
    notes: tuple[str, ...] = ()


def _without_nan(pixels: MaskPixels) -> MaskPixels:
    """Convert NaN to background: masking tools write NaN outside the drawn area."""
    if not np.issubdtype(pixels.array.dtype, np.floating):
        return pixels
    missing = np.isnan(pixels.array)
    count = int(np.count_nonzero(missing))
    if count in (0, missing.size):
        return pixels
    note = f"{count} voxels hold no number (NaN): background"
    array = np.where(missing, np.zeros((), pixels.array.dtype), pixels.array)
    return replace(pixels, array=array, notes=(*pixels.notes, note))


def _check_dimensions(pixels: MaskPixels) -> None:
    allowed = (2,) if pixels.axes == "rows" else (2, 3)
    if pixels.array.ndim not in allowed or pixels.array.size == 0:
        raise ImageError(
            f"an array of {_size(pixels.array.shape)} is no label map",
            remedy="Save one value per pixel or voxel: not one channel per class.",
            code="wrong-dimensions",
        )


def _check_picture(target: ScanTarget, pixels: MaskPixels) -> _Plain:
    """Check a picture: it has no geometry, so it fits only a 2-D scan of exactly its size."""
    check_picture_size(target, pixels.array.shape[0], pixels.array.shape[1])
    return _Plain()


def _check_volume(
    target: ScanTarget, pixels: MaskPixels, options: ImportOptions
) -> GridMatch | _Plain:
    shape = _three(pixels.array.shape)
    if target.affine is None:
        return _check_unplaced_scan(target, shape, pixels, options)
    scan_shape = grid_shape(target)
    if options.same_grid and shape == scan_shape:
        note = "taken voxel for voxel, whatever its header says, as asked"
        return _Plain(len(target.shape) == 2, (note,))
    affine = pixels.affine if pixels.affine is not None else np.eye(4)
    match = geometry.compare(scan_shape, target.affine, shape, affine)
    if match.kind in ("match", "drift"):
        return match
    if shape == scan_shape and (
        not pixels.placed or (match.kind != "flip" and geometry.has_default_position(affine))
    ):
        raise ImageError(
            "the mask's header holds no position (identity), the scan's does",
            remedy=f"Save it with the scan's header. {_SAME_GRID}",
            code="no-position",
        )
    if not pixels.placed:
        raise ImageError(
            f"the mask's header holds no position and its size {_size(shape)} "
            f"is not the scan's {_size(scan_shape)}",
            remedy="Save it with the scan's header.",
            code="no-position",
        )
    return _check_match(match, options)


def _check_match(match: GridMatch, options: ImportOptions) -> GridMatch:
    if match.kind == "other":
        raise ImageError(
            f"the mask does not lie on the scan: {match.reason}",
            remedy=f"Check that it was drawn on this scan, and save it in the scan's geometry. "
            f"{_SAME_GRID if match.reason.startswith('it has the scan') else ''}".rstrip(),
            code="geometry",
        )
    if match.kind == "resampled" and not options.resample:
        steps = "×".join(f"{step:.3g}" for step in match.step)
        raise ImageError(
            f"the mask covers the scan with other voxels ({steps} of the scan's)",
            remedy="Save it on the scan's grid, or import it again with --resample "
            "(nearest neighbour).",
            code="resampled",
        )
    return match


def _check_unplaced_scan(
    target: ScanTarget, shape: Triple, pixels: MaskPixels, options: ImportOptions
) -> GridMatch | _Plain:
    """Check the size for a scan without world coordinates: it must be equal, in file order."""
    if len(target.shape) == 3:
        if shape == target.shape:
            return _Plain(notes=("the scan has no world coordinates: taken voxel for voxel",))
        raise _wrong_volume_size(shape, target)
    rows, columns = target.shape
    if shape == (columns, rows, 1):
        _check_square(rows, columns, pixels, options)
        return _Plain(True, ("a NIfTI mask of a picture: i taken as column, j as row",))
    if shape == (rows, columns, 1):
        raise ImageError(
            f"the mask's axes are {rows}×{columns}, {width_height(target.shape)}: "
            "it looks transposed",
            remedy="NIfTI stores columns first: save the transposed array, or save a PNG.",
            code="transposed",
        )
    raise _wrong_volume_size(shape, target)


def _check_square(rows: int, columns: int, pixels: MaskPixels, options: ImportOptions) -> None:
    """Refuse a square array saved with ``np.eye(4)``: rows may come first (not so in ITK)."""
    if rows != columns or options.same_grid or pixels.affine is None:
        return
    if np.allclose(pixels.affine, np.eye(4), atol=1e-6):
        raise ImageError(
            f"a square mask of {columns}×{rows} with an identity header: "
            "whether rows or columns come first can't be told",
            remedy="Save it as PNG; or, if columns come first as NIfTI has it, import it again "
            "with --same-grid.",
            code="transposed",
        )


def _place(
    target: ScanTarget,
    label: NDArray[np.uint8],
    pixels: MaskPixels,
    match: GridMatch,
    classes: Sequence[str],
) -> _Fitted:
    voxels = label.reshape(_three(label.shape))
    shape = grid_shape(target)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    if match.kind == "resampled":
        placed = geometry.resample_nearest(voxels, match, shape)
        ratio = match.step[0] * match.step[1] * match.step[2]
        warnings += tuple(_volume_changes(voxels, placed, ratio, classes))
    else:
        placed = geometry.paste(voxels, match, shape)
    if match.kind == "drift":
        warnings += (f"the mask's grid is off by up to {match.error:.3f} voxels",)
    if match.axes != (0, 1, 2) or any(match.flips):
        notes += (f"reoriented without loss: its axes were ({match.describe_axes()})",)
    if match.kind == "crop":
        notes += (f"a crop of {_size(label.shape)} voxels pasted at {match.offset}",)
    on_grid = placed[:, :, 0].T if len(target.shape) == 2 else placed
    whole = in_file_order(on_grid.astype(np.uint8, copy=False))
    return _Fitted(whole, match.kind, notes, warnings)


def _volume_changes(
    before: NDArray[Any], after: NDArray[Any], ratio: float, classes: Sequence[str]
) -> list[str]:
    """One line per class: the change of volume by resampling."""
    lines = []
    for index, name in enumerate(classes, start=1):
        drawn = int(np.count_nonzero(before == index)) * ratio
        kept = int(np.count_nonzero(after == index))
        if drawn:
            change = round(100 * (kept - drawn) / drawn, 1) + 0.0  # never "-0.0"
            lines.append(f"resampled: the volume of {name!r} changed by {change:+.1f} %")
    return lines


def _empty(drawn: Drawn) -> Rejected:
    ignored = drawn.ignored
    what = f"only {ignored} ignored pixels are drawn" if ignored else "nothing is drawn"
    return Rejected(
        "empty",
        f"the mask is empty: {what}",
        "If the scan truly shows none of the classes, confirm it: labels confirm-empty.",
    )


def _three(shape: tuple[int, ...]) -> Triple:
    if len(shape) == 2:
        return shape[0], shape[1], 1
    return shape[0], shape[1], shape[2]


def _wrong_volume_size(shape: Triple, target: ScanTarget) -> ImageError:
    return ImageError(
        f"the mask has {_size(shape)} voxels, the scan {_size(grid_shape(target))}",
        remedy="Save the mask on the scan's own grid.",
        code="wrong-size",
    )


def _size(shape: Sequence[int]) -> str:
    return "×".join(str(size) for size in shape)
