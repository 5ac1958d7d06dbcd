"""Maps class names in files to a project's labels: by class map, class list, common words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from coldal_tui.errors import UsageError
from coldal_tui.imaging.labelfile import BACKGROUND, IGNORE_LABEL

ValueMap = Mapping[int | str, int | str]
"""The user's class map: what a raw value, class name or ``#rrggbb`` in a file means: a class name
of the project, its index, ``background`` or ``ignore``."""

OTHERS = "*"
"""The key of a value map for every value, name or colour that nothing else explains."""

BACKGROUND_NAMES = ("background", "_background_", "__background__")
IGNORE_NAMES = ("ignore", "__ignore__")


@dataclass(frozen=True)
class NameMeanings:
    """Maps class names to labels: 0 background, 1..C classes, 255 ignore. Case does not count.

    The value map comes first, then the project's classes, then the usual names of background
    (``_background_`` is LabelMe's) and of ignore.
    """

    classes: Sequence[str]
    value_map: ValueMap = field(default_factory=dict)

    def said(self, name: str) -> int | None:
        """The label of a name; None if only ``*`` would explain it."""
        return self._known.get(name.strip().casefold())

    def label(self, name: str) -> int | None:
        """The label of a name, including the ``*`` entry; None if unknown."""
        said = self.said(name)
        return self._others if said is None else said

    @cached_property
    def _mapped(self) -> dict[str, int]:
        return {
            raw.strip().casefold(): index_of(meaning, self.classes)
            for raw, meaning in self.value_map.items()
            if isinstance(raw, str)
        }

    @cached_property
    def _known(self) -> dict[str, int]:
        known: dict[str, int] = dict.fromkeys(BACKGROUND_NAMES, BACKGROUND)
        known |= dict.fromkeys(IGNORE_NAMES, IGNORE_LABEL)
        known |= {name.casefold(): index for index, name in enumerate(self.classes, start=1)}
        return known | {name: index for name, index in self._mapped.items() if name != OTHERS}

    @cached_property
    def _others(self) -> int | None:
        return self._mapped.get(OTHERS)


def index_of(meaning: int | str, classes: Sequence[str]) -> int:
    """The label that the right side of a map entry names. Raises UsageError if it names none."""
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
