"""Names slices exported to 2-D tools, and puts their masks back into the volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import MaskLayer, MaskPixels
from coldal_tui.exchange.incoming.value_tables import as_integers
from coldal_tui.exchange.names import file_stem, same_name
from coldal_tui.imaging.picture import SliceView

AXIS_LETTERS = "xyz"
_NO_LAYER = 1 << 30
_UNSEEN = 65_535
"""The value of voxels that were not exported, in a separate layer that names it ``ignore``."""


def slice_name(scan_id: str, axis: int, index: int) -> str:
    """The name of a slice in an export: ``brain__z0123`` is slice 123 across axis k."""
    return f"{scan_id}__{AXIS_LETTERS[axis]}{index:04d}"


@dataclass(frozen=True)
class SliceStack:
    """The exported slices of one volume, from its manifest.

    ``indices`` are the exported slices, by file stem (``brain__z0123``). ``window`` gives the
    intensities shown as black and as white, per channel, in stored units.
    """

    scan_id: str
    shape: tuple[int, ...]
    view: SliceView
    indices: Mapping[str, int]
    every: int = 1
    window: tuple[tuple[float, float], ...] = ()

    @property
    def picture_shape(self) -> tuple[int, int]:
        """``(rows, columns)`` of each of the pictures."""
        return self.shape[self.view.row_axis], self.shape[self.view.column_axis]


class _File(msgspec.Struct, frozen=True):
    image: str
    index: int


class _Slices(msgspec.Struct, frozen=True):
    """The manifest's field ``slices``; see ``exporters.packing.Slices``."""

    axis: int
    row_axis: int
    column_axis: int
    flip_rows: bool
    flip_columns: bool
    files: list[_File]
    every: int = 1
    window: list[tuple[float, float]] = []


def stack_from_row(row: Mapping[str, Any]) -> SliceStack | None:
    """The slice stack in a manifest's row; None when it is absent or invalid."""
    try:
        found = msgspec.convert(row.get("slices"), _Slices)
        shape = msgspec.convert(row.get("shape"), tuple[int, int, int])
        scan_id = msgspec.convert(row.get("scan_id"), str)
    except msgspec.ValidationError:
        return None
    if {found.axis, found.row_axis, found.column_axis} != {0, 1, 2}:
        return None
    depth = shape[found.axis]
    return SliceStack(
        scan_id,
        shape,
        SliceView(
            found.axis, found.row_axis, found.column_axis, found.flip_rows, found.flip_columns
        ),
        {
            same_name(file_stem(one.image)): one.index
            for one in found.files
            if 0 <= one.index < depth
        },
        found.every,
        tuple(found.window),
    )


@dataclass(frozen=True)
class Restored:
    """A volume assembled from slices.

    ``label`` is on the volume's grid. ``seen`` is False where no mask came back: such voxels are 0
    in ``label`` but not background. ``missing`` are exported slices without a mask, ascending.
    """

    label: NDArray[Any]
    seen: NDArray[np.bool_]
    missing: tuple[int, ...]


def restore(stack: SliceStack, masks: Mapping[str, NDArray[Any]]) -> Restored:
    """Put 2-D masks back into their volume.

    Parameters
    ----------
    stack : which pictures were cut from the volume, and their orientation.
    masks : ``(rows, columns)`` numbers by file stem, in the pictures' size.

    Raises
    ------
    ImageError : ``wrong-slice``, a stem is not an exported slice; ``wrong-size``, a mask's size
        differs from its picture's.
    """
    kind = np.result_type(np.uint8, *(mask.dtype for mask in masks.values()))
    label = np.zeros(stack.shape, dtype=kind)
    seen = np.zeros(stack.shape, dtype=np.bool_)
    for stem, mask in masks.items():
        at = _place_of(stack, stem, mask)
        label[at] = stack.view.restored(mask)
        seen[at] = True
    back = {stack.indices[stem] for stem in masks}
    return Restored(label, seen, tuple(sorted(set(stack.indices.values()) - back)))


def _place_of(stack: SliceStack, stem: str, mask: NDArray[Any]) -> tuple[Any, ...]:
    index = stack.indices.get(stem)
    if index is None:
        raise ImageError(
            f"{stem!r} is none of the slices of {stack.scan_id!r} that were exported",
            remedy="Keep the names of the pictures, and import with the export's manifest.json.",
            code="wrong-slice",
        )
    if mask.shape != stack.picture_shape:
        rows, columns = stack.picture_shape
        size = "×".join(str(n) for n in reversed(mask.shape))
        raise ImageError(
            f"the mask of {stem!r} is {size} pixels (width×height), its picture {columns}×{rows}",
            remedy="Draw or export it at the picture's own size.",
            code="wrong-size",
        )
    return (slice(None),) * stack.view.axis + (index,)


def volume_of(
    stack: SliceStack,
    drawn: Mapping[str, MaskPixels],
    affine: NDArray[Any] | None,
    *,
    missing_is_empty: bool = False,
) -> MaskPixels:
    """Assemble a volume's mask from the masks of its slices.

    Returns a mask of the volume's shape (i, j, k).

    Values may mean different things in different slices; the volume's mask has one numbering.
    Slices that were not exported or came back without a mask are ignored, not background (a layer
    named ``ignore`` marks them). With ``missing_is_empty`` exported slices
    without a mask are background.

    Parameters
    ----------
    drawn : the masks of slices (``axes`` rows) by file stem.
    affine : the volume's, voxel to RAS mm.

    Raises
    ------
    ImageError : as :func:`restore`.
    """
    numbering = Numbering(tuple(drawn.values()))
    places = {stem: _places(pixels) for stem, pixels in drawn.items()}
    layers: list[MaskLayer] = []
    restored = restore(stack, {})
    # The first layer of the lowest level is every mask's own array.
    for place in sorted({place for found in places.values() for place in found}):
        planes = {
            stem: numbering.renumbered(pixels, places[stem].get(place, _NO_LAYER))
            for stem, pixels in drawn.items()
        }
        restored = restore(stack, planes)
        layers.append(MaskLayer(restored.label, numbering.names, place[0]))
    unseen = ~restored.seen
    if missing_is_empty:
        for index in restored.missing:
            unseen[(slice(None),) * stack.view.axis + (index,)] = False
    if unseen.any():
        layers.append(MaskLayer(unseen.astype(np.uint16) * _UNSEEN, {_UNSEEN: "ignore"}))
    return MaskPixels(
        layers[0].array,
        "ijk",
        affine,
        placed=affine is not None,
        names=numbering.names,
        notes=_notes(stack, tuple(drawn.values()), restored.missing, missing_is_empty),
        layers=tuple(layers[1:]),
        colours=numbering.colours,
        numbered=numbering.plain,
        void=numbering.void,
        warnings=tuple(dict.fromkeys(w for pixels in drawn.values() for w in pixels.warnings)),
    )


def _places(mask: MaskPixels) -> dict[tuple[int, int], int]:
    """The layers of a mask by (level, index on that level): ``(0, 0)`` is its array."""
    found: dict[tuple[int, int], int] = {}
    for number, level in enumerate((0, *(layer.level for layer in mask.layers))):
        found[level, sum(other == level for other, _ in found)] = number
    return found


class Numbering:
    """One numbering for masks whose values may mean different things.

    ``plain`` : values are used as numbers, without names or colours. ``void`` : values that a
    format defines as undecided.
    """

    def __init__(self, masks: Sequence[MaskPixels]) -> None:
        self.plain = all(m.numbered and m.names is None and m.colours is None for m in masks)
        self._numbers: dict[_Meaning, int] = {}
        self.names: dict[int, str] | None = None
        self.colours: dict[int, str] | None = None
        self.void: tuple[int, ...] = ()
        if self.plain:
            self.void = tuple({value for mask in masks for value in mask.void})
        else:
            self._learn(masks)

    def _learn(self, masks: Sequence[MaskPixels]) -> None:
        for mask in masks:
            for layer in range(1 + len(mask.layers)):
                array, names = _layer_of(mask, layer)
                for value in np.unique(as_integers(array)).tolist():
                    self._number(value, names, mask)
        found = {number: meaning for meaning, number in self._numbers.items()}
        if any(mask.names is not None for mask in masks):
            self.names = {
                number: one.name or str(one.value)
                for number, one in found.items()
                if not one.void and (one.name or not one.colour)
            }
        if any(mask.colours is not None for mask in masks):
            self.colours = {number: one.colour for number, one in found.items() if one.colour}
        self.void = tuple(number for number, one in found.items() if one.void)

    def _number(self, value: int, names: Mapping[int, str] | None, mask: MaskPixels) -> int:
        name, colour = (names or {}).get(value), (mask.colours or {}).get(value)
        if value in mask.void:
            meaning = _Meaning(void=True)
        elif value == 0 and name is None and colour is None:
            return 0
        else:
            meaning = _Meaning(name, colour, None if name or colour else int(value))
        return self._numbers.setdefault(meaning, len(self._numbers) + 1)

    def renumbered(self, mask: MaskPixels, layer: int) -> NDArray[Any]:
        """A renumbered layer of a mask, ``(rows, columns)``; zeros when the mask lacks it."""
        if layer > len(mask.layers):
            return np.zeros(mask.array.shape, np.uint8)
        array, names = _layer_of(mask, layer)
        if self.plain:
            return array
        values, which = np.unique(as_integers(array), return_inverse=True)
        table = [self._number(value, names, mask) for value in values.tolist()]
        return np.asarray(table, dtype=np.uint16)[which].reshape(array.shape)


@dataclass(frozen=True)
class _Meaning:
    """What a value stands for: a name, a colour, both; a bare number; or nothing decided."""

    name: str | None = None
    colour: str | None = None
    value: int | None = None
    void: bool = False


def _layer_of(mask: MaskPixels, layer: int) -> tuple[NDArray[Any], Mapping[int, str] | None]:
    if layer == 0:
        return mask.array, mask.names
    return mask.layers[layer - 1].array, mask.layers[layer - 1].names


def _notes(
    stack: SliceStack,
    drawn: Sequence[MaskPixels],
    missing: Sequence[int],
    missing_is_empty: bool,
) -> tuple[str, ...]:
    depth = stack.shape[stack.view.axis]
    empty = sum(not any(_layer_of(m, n)[0].any() for n in range(1 + len(m.layers))) for m in drawn)
    notes = [f"put together of {len(drawn)} slices of {depth}, {empty} of them without a drawing"]
    if missing:
        what = "taken as empty" if missing_is_empty else "ignored: nobody said they are empty"
        notes.append(f"{len(missing)} exported slices came back without a mask ({what})")
    if len(stack.indices) < depth:
        notes.append("slices that were not exported are ignored")
    own = [note for pixels in drawn for note in pixels.notes]
    return (*notes, *dict.fromkeys(own))
