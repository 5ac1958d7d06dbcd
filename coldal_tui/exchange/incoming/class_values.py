"""Maps the values in a mask to the project's classes; refuses unknown values with counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError, UsageError
from coldal_tui.exchange.incoming.value_tables import translate
from coldal_tui.exchange.masks.run_lengths import Runs
from coldal_tui.exchange.name_meanings import OTHERS, NameMeanings, ValueMap, index_of
from coldal_tui.imaging.labelfile import BACKGROUND, IGNORE_LABEL, MAX_CLASSES
from coldal_tui.visible import counted

_SHOWN = 6
_PICTURE_VALUES = 32
"""From this number of unknown values on, it may be a picture, not a label map."""

_FLAT_SHARE = 0.9

FULL = frozenset({255, 65535})
"""The values that many tools write for "drawn" in a picture of 8 or 16 bits."""


class UnknownMeaningError(ImageError):
    """Values, class names or colours without a known meaning: ``keys`` for a class map."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        remedy: str | None = None,
        code: str = "unknown-value",
        keys: tuple[str, ...] = (),
    ) -> None:
        super().__init__(what, where=where, remedy=remedy, code=code)
        self.keys = keys


def check_classes(classes: Sequence[str], ignore_value: int | None) -> None:
    """Refuse class lists and ignore values that would make masks ambiguous.

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


@dataclass(frozen=True)
class Meaning:
    """The meaning of a mask's values in a project.

    Without ``value_map``, ``names`` and ``colours`` the values must be 0..C; one class may be
    drawn as 255 (or 65535) instead of 1. ``ignore_value`` is the project's ignore value, in any
    mask.

    The file's own names take precedence over numbers in the class map: a number in ``value_map``
    never changes a value that ``names`` or ``exported`` explains. If the user maps a number to
    another class than the project's numbering does, the file uses its own numbering: its other
    numbers are not assumed to be the project's.

    ``value_map`` : the user's class map of values, class names or colours. ``*`` covers everything
    that nothing else explains; if it maps to a class, the project's own numbers, too.
    ``names`` : class names of the values, if the file stores them.
    ``colours`` : ``#rrggbb`` of the values, if the mask is drawn in colours.
    ``numbered`` : False if a class map can't refer to the values by number.
    ``void`` : values that the file's format defines as undecided.
    ``exported`` : class names of the numbers, from the export that the mask was drawn on.
    ``used`` : filled by :meth:`apply`: the keys of ``value_map`` that took effect.
    """

    classes: Sequence[str]
    ignore_value: int | None = None
    value_map: ValueMap = field(default_factory=dict)
    names: Mapping[int, str] | None = None
    colours: Mapping[int, str] | None = None
    numbered: bool = True
    void: tuple[int, ...] = ()
    exported: Sequence[str] = ()
    used: set[int | str] = field(default_factory=set, compare=False)

    def apply(self, raw: NDArray[Any]) -> NDArray[np.uint8]:
        """Convert a mask to a label: same shape, uint8, 0 background, 1..C classes, 255 ignore.

        ``raw`` holds numbers of any type, whole to 1e-3.

        Raises
        ------
        ImageError : codes ``not-integral``, ``unknown-value``, ``ignore-value``, ``colour``.
        UsageError : the class list, ignore value or value map contradicts itself.
        """
        return self.apply_runs(raw)[0]

    def apply_runs(self, raw: NDArray[Any]) -> tuple[NDArray[np.uint8], Runs | None]:
        """As :meth:`apply`, and the label's runs if known."""
        check_classes(self.classes, self.ignore_value)

        def meanings(values: list[int], counts: list[int]) -> list[int]:
            table = self._table(values)
            unknown = {v: n for v, n in zip(values, counts, strict=True) if v not in table}
            if unknown:
                flat = len(unknown) <= _PICTURE_VALUES or _is_flat(raw)
                raise self._unknown(unknown, len(values), flat)
            return [table[value] for value in values]

        return translate(raw, meanings)

    def _table(self, values: list[int]) -> dict[int, int]:
        """Raw value to label index, for every value with a known meaning."""
        numbers = self.numbered and self.colours is None
        table = {BACKGROUND: BACKGROUND} | dict.fromkeys(self.void, IGNORE_LABEL)
        others = self._others()
        if self.names is not None:
            table |= self._by_name(self.names)
        elif numbers:
            table |= self._by_number(values, others)
        named = self.names is not None and self.ignore_value in self.names
        if numbers and self.ignore_value is not None and not named:
            counted = others not in (None, BACKGROUND, IGNORE_LABEL) and not self.names
            if not (counted and _is_counted(values, self.ignore_value)):
                table[self.ignore_value] = IGNORE_LABEL
        said = self._said()
        for value, colour in (self.colours or {}).items():
            if colour in said:
                table[value] = index_of(said[colour], self.classes)
                self.used.add(colour)
        if numbers:
            self._apply_numbers(table, values)
        if others is not None:
            rest = [v for v in values if v not in table and not self._is_misnamed(v)]
            table |= dict.fromkeys(rest, others)
            self.used.update([OTHERS] if rest else [])
        return table

    def _apply_numbers(self, table: dict[int, int], values: list[int]) -> None:
        """Apply the user's map of numbers, except those that the file or its export explains."""
        for raw, meaning in self.value_map.items():
            index = index_of(meaning, self.classes)
            if not isinstance(raw, int) or raw in (self.names or {}) or self._is_exported(raw):
                continue
            table[raw] = index
            if raw in values:
                self.used.add(raw)

    def _is_misnamed(self, value: int) -> bool:
        """Whether the user mapped a number that has a name in the file, instead of the name."""
        return value in self.value_map and value in (self.names or {})

    def _is_exported(self, value: int) -> bool:
        return 1 <= value <= len(self.exported)

    def _by_number(self, values: list[int], others: int | None) -> dict[int, int]:
        """The meaning of numbers in a file without class names."""
        if self.exported:
            return self._by_export(values)
        mapped = {
            raw: index_of(meaning, self.classes)
            for raw, meaning in self.value_map.items()
            if isinstance(raw, int) and raw in values
        }
        foreign = any(
            raw != index for raw, index in mapped.items() if index not in (BACKGROUND, IGNORE_LABEL)
        )
        if foreign or others not in (None, BACKGROUND, IGNORE_LABEL):
            return {}
        if len(self.classes) == 1:
            drawn = [value for value in values if value not in self.void]
            return _one_class(drawn, self.ignore_value, self.value_map)
        return {index: index for index in range(1, len(self.classes) + 1)}

    def _by_export(self, values: list[int]) -> dict[int, int]:
        """The meaning of numbers from the export, by its class names."""
        meanings = NameMeanings(self.classes, self.value_map)
        found = {
            value: index
            for value, name in enumerate(self.exported, start=1)
            if (index := meanings.said(name)) is not None
        }
        if len(self.exported) == 1 and len(self.classes) == 1:
            drawn = [value for value in values if value not in self.void]
            found |= _one_class(drawn, self.ignore_value, self.value_map)
        return found

    def _others(self) -> int | None:
        """The user's label for everything else (``*``); None if not given."""
        said = self._said()
        return index_of(said[OTHERS], self.classes) if OTHERS in said else None

    def _said(self) -> dict[str, int | str]:
        """The user's labels for names and colours."""
        words = ((raw, said) for raw, said in self.value_map.items() if isinstance(raw, str))
        return {raw.strip().casefold(): said for raw, said in words}

    def _by_name(self, names: Mapping[int, str]) -> dict[int, int]:
        meanings = NameMeanings(self.classes, self.value_map)
        said = self._said()
        table: dict[int, int] = {}
        for value, name in names.items():
            index = meanings.said(name)
            if index is not None:
                table[value] = index
                self.used.update({name.strip().casefold()} & said.keys())
        return table

    def _unknown(self, found: Mapping[int, int], total: int, flat: bool) -> ImageError:
        shown = ", ".join(self._describe(value, found[value]) for value in list(found)[:_SHOWN])
        shown += f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        keys = tuple(self._key(value) for value in list(found)[:_PICTURE_VALUES])
        key = keys[0] if keys[0].lstrip("-").isalnum() else f"'{keys[0]}'"
        if self.colours is not None and self.names is None:
            return UnknownMeaningError(
                f"the mask is drawn in colour ({total} colours): what {shown} "
                f"mean{'s' if len(found) == 1 else ''} is not stored",
                remedy=f"Say it with --map {key}=CLASS (or =background, =ignore), or save the mask "
                "as grey or palette values 0, 1, 2, …",
                code="colour",
                keys=keys,
            )
        noun = "value" if self.numbered and self.colours is None else "class"
        plural = {"value": "values", "class": "classes"}[noun] if len(found) > 1 else noun
        # Don't suggest to map the values of a picture one by one.
        remedy = (
            f"Say what they mean with --map {key}=CLASS (or =background, =ignore)"
            f"{_also(found)}, or correct the mask."
            if flat
            else "It looks like a grey image rather than a label map: import the masks, not the "
            "images."
        )
        return UnknownMeaningError(
            f"unknown {plural} {shown}; {self._expected(found)}",
            remedy=remedy,
            code="unknown-value",
            keys=keys if flat else (),
        )

    def _expected(self, found: Mapping[int, int]) -> str:
        """The values that would be accepted: by the file's names, by the export's, or by number."""
        classes = ", ".join(self.classes)
        if self.names is not None:
            if any(value in self.names for value in found):
                return f"the project's classes are: {classes}"
            named = ", ".join(
                f"{value} = {name}" for value, name in list(self.names.items())[:_SHOWN]
            )
            return f"the file names others ({named}) and not this; the project's classes: {classes}"
        said = sorted(
            f"{raw} = {meaning}"
            for raw, meaning in self.value_map.items()
            if isinstance(raw, int) and raw not in found
        )
        known = self._table(list(range(len(self.classes) + 1)))
        numbers = [
            f"{value} = {self.classes[index - 1]}"
            for value, index in sorted(known.items())
            if 0 < index <= len(self.classes) and value not in found and value not in self.value_map
        ]
        if self.ignore_value is not None:
            numbers.append(f"{self.ignore_value} = ignore")
        return f"the project knows 0 = background, {', '.join([*said, *numbers]) or classes}"

    def _key(self, value: int) -> str:
        """The key of a value in ``--map``."""
        return (self.names or {}).get(value) or (self.colours or {}).get(value) or str(value)

    def _describe(self, value: int, count: int) -> str:
        shown = (self.colours or {}).get(value) or (str(value) if self.numbered else "")
        name = repr((self.names or {}).get(value, "")) if value in (self.names or {}) else ""
        pixels = counted(count, "pixel")
        return f"{' '.join(part for part in (shown, name) if part)} ({pixels})"


def _also(found: Mapping[int, int]) -> str:
    if len(found) == 1:
        return ""
    return f"; --map '{OTHERS}=background' (or =CLASS) covers all that you do not name"


def _is_flat(raw: NDArray[Any]) -> bool:
    """Whether the values form uniform areas, as in a label map but not in a photograph.

    True if nine in ten non-zero pixels have an equal neighbour along two axes.
    """
    along = np.zeros(raw.shape, dtype=np.uint8)
    for axis in range(raw.ndim):
        near = np.zeros(raw.shape, dtype=bool)
        one, other = (
            tuple(cut if a == axis else slice(None) for a in range(raw.ndim))
            for cut in (slice(1, None), slice(None, -1))
        )
        equal = raw[one] == raw[other]
        near[one] |= equal
        near[other] |= equal
        along += near
    drawn = raw != 0
    return bool(drawn.any()) and float((along >= 2)[drawn].mean()) >= _FLAT_SHARE


def _is_counted(values: Sequence[int], value: int) -> bool:
    """Whether a value is one of consecutive numbers, as instance numbers are."""
    return value - 1 in values and value - 1 != BACKGROUND and value in values


def _one_class(values: list[int], ignore_value: int | None, value_map: ValueMap) -> dict[int, int]:
    drawn = {v for v in values if v not in (BACKGROUND, ignore_value) and v not in value_map}
    if len(drawn) == 1 and drawn <= FULL:
        return dict.fromkeys(drawn, 1)
    if not drawn and ignore_value == 255 and 255 in values and 255 not in value_map:
        raise ImageError(
            "the only value drawn is 255, which is this project's ignore value "
            "and also how one class is usually drawn",
            remedy="Say which with --map 255=CLASS or 255=ignore, or change ignore_value "
            "in coldal.toml.",
            code="ignore-value",
        )
    return {1: 1}
