"""From the values in a mask to the project's classes: explicit, or refused with the counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError, UsageError
from coldal_tui.exchange.incoming.value_tables import translate
from coldal_tui.exchange.masks.run_lengths import Runs
from coldal_tui.imaging.labelfile import BACKGROUND, IGNORE_LABEL, MAX_CLASSES

_SHOWN = 6
_PICTURE_VALUES = 32
"""So many unknown values are a picture, not a label map."""

ValueMap = Mapping[int | str, int | str]
"""What a person says a raw value (or a class name or ``#rrggbb`` in the file) means: a class name
of the project, its index, ``background`` or ``ignore``."""


class UnknownMeaningError(ImageError):
    """Values, class names or colours that nobody has explained: ``keys`` for a class map."""

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


@dataclass(frozen=True)
class Meaning:
    """What the values of a mask mean in a project.

    Without ``value_map``, ``names`` and ``colours`` the values must be 0..C; one class may be
    drawn as 255 instead of 1. ``ignore_value`` is what the project ignores, in any mask.

    ``value_map`` : what the user says that values, class names or colours mean; it comes first.
    ``names`` : class names of the values, where the file stores them.
    ``colours`` : ``#rrggbb`` of the values, where the mask is drawn in colours.
    ``numbered`` : False where nobody can mean the values by number.
    ``void`` : values that the file's format leaves undecided.
    """

    classes: Sequence[str]
    ignore_value: int | None = None
    value_map: ValueMap = field(default_factory=dict)
    names: Mapping[int, str] | None = None
    colours: Mapping[int, str] | None = None
    numbered: bool = True
    void: tuple[int, ...] = ()

    def apply(self, raw: NDArray[Any]) -> NDArray[np.uint8]:
        """The label for a mask: same shape, uint8, 0 background, 1..C classes, 255 ignore.

        ``raw`` holds numbers of any type, whole to 1e-3.

        Raises
        ------
        ImageError : codes ``not-integral``, ``unknown-value``, ``ignore-value``, ``colour``.
        UsageError : the class list, ignore value or value map contradicts itself.
        """
        return self.apply_runs(raw)[0]

    def apply_runs(self, raw: NDArray[Any]) -> tuple[NDArray[np.uint8], Runs | None]:
        """As :meth:`apply`, with the label's runs where they came along."""
        check_classes(self.classes, self.ignore_value)
        return translate(raw, self._meanings)

    def _meanings(self, values: list[int], counts: list[int]) -> list[int]:
        table = self._table(values)
        unknown = {v: n for v, n in zip(values, counts, strict=True) if v not in table}
        if unknown:
            raise self._unknown(unknown, len(values))
        return [table[value] for value in values]

    def _table(self, values: list[int]) -> dict[int, int]:
        """Raw value to label index, for every value that means something here."""
        numbers = self.numbered and self.colours is None
        table = {BACKGROUND: BACKGROUND} | dict.fromkeys(self.void, IGNORE_LABEL)
        if self.names is not None:
            table |= self._by_name(self.names)
        elif numbers and len(self.classes) == 1:
            drawn = [value for value in values if value not in self.void]
            table |= _one_class(drawn, self.ignore_value, self.value_map)
        elif numbers:
            table |= {index: index for index in range(1, len(self.classes) + 1)}
        named = self.names is not None and self.ignore_value in self.names
        if numbers and self.ignore_value is not None and not named:
            table[self.ignore_value] = IGNORE_LABEL
        said = self._said()
        for value, colour in (self.colours or {}).items():
            if colour in said:
                table[value] = _index_of(said[colour], self.classes)
        for raw, meaning in self.value_map.items():
            index = _index_of(meaning, self.classes)
            if isinstance(raw, int) and numbers:
                table[raw] = index
        return table

    def _said(self) -> dict[str, int | str]:
        """What the user says of names and colours."""
        words = ((raw, said) for raw, said in self.value_map.items() if isinstance(raw, str))
        return {raw.strip().casefold(): said for raw, said in words}

    def _by_name(self, names: Mapping[int, str]) -> dict[int, int]:
        said = self._said()
        known = {name.casefold(): index for index, name in enumerate(self.classes, start=1)}
        table: dict[int, int] = {}
        for value, name in names.items():
            key = name.strip().casefold()
            if key in said:
                table[value] = _index_of(said[key], self.classes)
            elif key in known:
                table[value] = known[key]
            elif key in ("background", "ignore"):
                table[value] = BACKGROUND if key == "background" else IGNORE_LABEL
        return table

    def _unknown(self, found: Mapping[int, int], total: int) -> ImageError:
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
        expected = [f"{index} = {name}" for index, name in enumerate(self.classes, start=1)]
        if self.ignore_value is not None:
            expected.append(f"{self.ignore_value} = ignore")
        noun = "value" if self.numbered and self.colours is None else "class"
        plural = {"value": "values", "class": "classes"}[noun] if len(found) > 1 else noun
        # Naming the values of a picture one by one would be poor advice.
        remedy = (
            "It looks like a grey image rather than a label map: import the masks, not the images."
            if len(found) > _PICTURE_VALUES
            else f"Say what they mean with --map {key}=CLASS (or =background, =ignore), "
            "or correct the mask."
        )
        return UnknownMeaningError(
            f"unknown {plural} {shown}; the project knows 0 = background, {', '.join(expected)}",
            remedy=remedy,
            code="unknown-value",
            keys=() if len(found) > _PICTURE_VALUES else keys,
        )

    def _key(self, value: int) -> str:
        """What ``--map`` calls a value."""
        return (self.names or {}).get(value) or (self.colours or {}).get(value) or str(value)

    def _describe(self, value: int, count: int) -> str:
        shown = (self.colours or {}).get(value) or (str(value) if self.numbered else "")
        name = repr((self.names or {}).get(value, "")) if value in (self.names or {}) else ""
        pixels = f"{count} pixel{'' if count == 1 else 's'}"
        return f"{' '.join(part for part in (shown, name) if part)} ({pixels})"


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
