"""From the values in a mask to the project's classes: explicit, or refused with the counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError, UsageError
from coldal_tui.imaging.labelfile import BACKGROUND, IGNORE_LABEL, MAX_CLASSES

INTEGRAL_TOLERANCE = 1e-3
_SHOWN = 6
_TABLE_SPAN = 1 << 16
_BLOCK = 1 << 20
_LARGEST = 1 << 30
"""Beyond any label, and exact in single precision."""

ValueMap = Mapping[int | str, int | str]
"""What a person says a raw value (or a class name in the file) means: a class name of the
project, its index, ``background`` or ``ignore``."""


def check_classes(classes: Sequence[str], ignore_value: int | None) -> None:
    """Refuse class lists and ignore values under which a mask could mean two things.

    Raises
    ------
    UsageError : no classes, more than 254, repeated names, or the ignore value is a class value.
    """
    remedy = "Correct it in coldal.toml."
    if not classes:
        raise UsageError("the project names no classes", remedy=remedy, code="classes")
    if len(classes) > MAX_CLASSES:
        raise UsageError(
            f"{len(classes)} classes; a label holds {MAX_CLASSES}", remedy=remedy, code="classes"
        )
    if len({name.casefold() for name in classes}) != len(classes):
        raise UsageError("two classes have the same name", remedy=remedy, code="classes")
    if ignore_value is not None and 0 <= ignore_value <= len(classes):
        meaning = "background" if ignore_value == 0 else f"class {classes[ignore_value - 1]!r}"
        raise UsageError(
            f"the ignore value {ignore_value} is also the value of {meaning}",
            remedy=f"{remedy} Values 0 to {len(classes)} are taken.",
            code="ignore-value",
        )


def to_label(
    raw: NDArray[Any],
    classes: Sequence[str],
    ignore_value: int | None,
    value_map: ValueMap | None = None,
    names: Mapping[int, str] | None = None,
) -> NDArray[np.uint8]:
    """The label for a mask: same shape, uint8, 0 background, 1..C classes, 255 ignore.

    Without ``value_map`` and ``names`` the values must be 0..C; one class may be drawn as 255
    instead of 1. ``ignore_value`` is what the project ignores, in any mask.

    Parameters
    ----------
    raw : numbers of any type and shape, whole to 1e-3.
    value_map : what the user says values mean; the values that it names are taken from it.
    names : class names of the values, where the file stores them.

    Raises
    ------
    ImageError : codes ``not-integral``, ``unknown-value``, ``ignore-value``.
    UsageError : the class list, ignore value or value map contradicts itself.
    """
    check_classes(classes, ignore_value)
    whole = _as_integers(raw)
    values, counts = _count_values(whole)
    table = _meanings(values, classes, ignore_value, value_map or {}, names)
    unknown = [index for index, value in enumerate(values) if value not in table]
    if unknown:
        found = [(values[index], counts[index]) for index in unknown]
        raise _unknown_values(found, classes, ignore_value, names)
    return _look_up(whole, values, [table[value] for value in values])


def class_pixels(label: NDArray[np.uint8]) -> int:
    """How many pixels of a label belong to a class."""
    return int(np.count_nonzero(label)) - int(np.count_nonzero(label == IGNORE_LABEL))


def _as_integers(raw: NDArray[Any]) -> NDArray[Any]:
    if raw.dtype == bool:
        return raw.astype(np.uint8)
    if np.issubdtype(raw.dtype, np.integer):
        return raw
    if not np.issubdtype(raw.dtype, np.floating):
        raise ImageError(
            f"values of type {raw.dtype} are no labels",
            remedy="Save the mask as one whole number per voxel.",
            code="not-integral",
        )
    # Both in memory order (NIfTI is column-major): a view of the one and of the other.
    whole = np.empty_like(raw, dtype=np.int32)
    flat, target = raw.ravel(order="K"), whole.ravel(order="K")
    wrong: list[NDArray[Any]] = []
    for first in range(0, flat.size, _BLOCK):
        block = flat[first : first + _BLOCK]
        nearest = np.rint(block)
        with np.errstate(invalid="ignore"):
            good = (np.abs(block - nearest) <= INTEGRAL_TOLERANCE) & (np.abs(nearest) <= _LARGEST)
        if not good.all():
            wrong.append(block[~good])
        else:
            target[first : first + _BLOCK] = nearest
    if wrong:
        raise _not_integral(np.concatenate(wrong))
    return whole


def _not_integral(found: NDArray[Any]) -> ImageError:
    examples = ", ".join(f"{value:.4g}" for value in np.unique(found)[:_SHOWN])
    noun = "pixel holds a value that is no whole number"
    if found.size > 1:
        noun = "pixels hold values that are no whole numbers"
    return ImageError(
        f"{found.size} {noun} ({examples})",
        remedy="It looks like a probability map or a resampled mask: save the label map "
        "itself, or threshold it.",
        code="not-integral",
    )


def _count_values(whole: NDArray[Any]) -> tuple[list[int], list[int]]:
    """The values that occur, ascending, and how often."""
    low, span = _span(whole)
    if span > _TABLE_SPAN:
        values, numbers = np.unique(whole, return_counts=True)
        return [int(v) for v in values], [int(n) for n in numbers]
    flat = whole.ravel(order="K")
    counts = np.zeros(span, dtype=np.int64)
    # In blocks: bincount widens its input to 8 bytes per voxel.
    for first in range(0, flat.size, _BLOCK):
        block = flat[first : first + _BLOCK]
        counts += np.bincount(block if low == 0 else block.astype(np.int64) - low, minlength=span)
    present = np.flatnonzero(counts)
    return [int(v) + low for v in present], [int(counts[v]) for v in present]


def _look_up(whole: NDArray[Any], values: list[int], meanings: list[int]) -> NDArray[np.uint8]:
    low = 0 if values[0] >= 0 and values[-1] < _TABLE_SPAN else values[0]
    span = values[-1] - low + 1
    if span > _TABLE_SPAN:
        where = np.searchsorted(np.array(values, dtype=whole.dtype), whole)
        return np.asarray(np.array(meanings, dtype=np.uint8)[where])
    table = np.zeros(span, dtype=np.uint8)
    table[np.array(values) - low] = meanings
    return table[whole if low == 0 else whole.astype(np.int64) - low]


def _span(whole: NDArray[Any]) -> tuple[int, int]:
    """The smallest value (0 if that is near enough) and how many values there may be."""
    low, high = int(whole.min()), int(whole.max())
    low = 0 if low >= 0 and high < _TABLE_SPAN else low
    return low, high - low + 1


def _meanings(
    values: list[int],
    classes: Sequence[str],
    ignore_value: int | None,
    value_map: ValueMap,
    names: Mapping[int, str] | None,
) -> dict[int, int]:
    """Raw value to label index, for every value that means something here."""
    table = {BACKGROUND: BACKGROUND}
    if names is not None:
        table |= _by_name(names, classes, value_map)
    elif len(classes) == 1:
        table |= _one_class(values, ignore_value, value_map)
    else:
        table |= {index: index for index in range(1, len(classes) + 1)}
    if ignore_value is not None and (names is None or ignore_value not in names):
        table[ignore_value] = IGNORE_LABEL
    for raw, meaning in value_map.items():
        if isinstance(raw, int):
            table[raw] = _index_of(meaning, classes)
    return table


def _one_class(values: list[int], ignore_value: int | None, value_map: ValueMap) -> dict[int, int]:
    drawn = {v for v in values if v not in (BACKGROUND, ignore_value) and v not in value_map}
    if drawn == {255}:
        return {255: 1}
    if not drawn and ignore_value == 255 and 255 in values and 255 not in value_map:
        raise ImageError(
            "the only value drawn is 255, which is this project's ignore value "
            "and also how one class is usually drawn",
            remedy="Say which with --map 255=CLASS or 255=ignore, or change ignore_value "
            "in coldal.toml.",
            code="ignore-value",
        )
    return {1: 1}


def _by_name(
    names: Mapping[int, str], classes: Sequence[str], value_map: ValueMap
) -> dict[int, int]:
    said = {raw.casefold(): meaning for raw, meaning in value_map.items() if isinstance(raw, str)}
    known = {name.casefold(): index for index, name in enumerate(classes, start=1)}
    table: dict[int, int] = {}
    for value, name in names.items():
        key = name.strip().casefold()
        if key in said:
            table[value] = _index_of(said[key], classes)
        elif key in known:
            table[value] = known[key]
        elif key in ("background", "ignore"):
            table[value] = BACKGROUND if key == "background" else IGNORE_LABEL
    return table


def _index_of(meaning: int | str, classes: Sequence[str]) -> int:
    if isinstance(meaning, str):
        known = {name.casefold(): index for index, name in enumerate(classes, start=1)}
        known |= {"background": BACKGROUND, "ignore": IGNORE_LABEL} | known
        if meaning.casefold() in known:
            return known[meaning.casefold()]
    elif 0 <= meaning <= len(classes) or meaning == IGNORE_LABEL:
        return meaning
    raise UsageError(
        f"the value map names {meaning!r}, which is no class of this project",
        remedy=f"Use one of: {', '.join(classes)}, background, ignore.",
        code="value-map",
    )


def _unknown_values(
    found: list[tuple[int, int]],
    classes: Sequence[str],
    ignore_value: int | None,
    names: Mapping[int, str] | None,
) -> ImageError:
    first = found[0][0] if names is None else names.get(found[0][0], str(found[0][0]))
    listed = [_name_value(value, count, names) for value, count in found[:_SHOWN]]
    more = len(found) - _SHOWN
    shown = ", ".join(listed) + (f" and {more} more" if more > 0 else "")
    expected = [f"{index} = {name}" for index, name in enumerate(classes, start=1)]
    if ignore_value is not None:
        expected.append(f"{ignore_value} = ignore")
    # Many values are a picture, not a label map; naming them one by one would be poor advice.
    remedy = (
        "It looks like a grey image rather than a label map: import the masks, not the images."
        if len(found) > 32
        else f"Say what they mean with --map {first}=CLASS (or =background, =ignore), "
        "or correct the mask."
    )
    noun = "values" if len(found) > 1 else "value"
    return ImageError(
        f"unknown {noun} {shown}; the project knows 0 = background, {', '.join(expected)}",
        remedy=remedy,
        code="unknown-value",
    )


def _name_value(value: int, count: int, names: Mapping[int, str] | None) -> str:
    name = f" {names[value]!r}" if names and value in names else ""
    return f"{value}{name} ({count} pixel{'' if count == 1 else 's'})"
