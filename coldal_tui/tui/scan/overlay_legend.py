"""The legend of a scan's overlays: each class by its mark and name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from coldal_tui.imaging.labelfile import IGNORE_LABEL
from coldal_tui.project.views.scan_view import Layer, ScanView
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.picture import (
    MOST_COLOURS,
    PATTERNS,
    RGB,
    Mode,
    class_colours,
    class_letters,
    class_pattern,
    heat_colour,
)
from coldal_tui.tui.drawing.picture_scaling import LabelLevels
from coldal_tui.tui.drawing.plane_slices import Plane, Shown
from coldal_tui.tui.drawing.styles import BAD, BOLD, MUTED
from coldal_tui.visible import visible

_SOLID, _DASHED, _FILLED = "━", "╍", "■"

Entries = list[Content]
"""What a layer is, then its classes; none of them is broken over lines."""


class Legend(Widget):
    """One line of all overlays, or as many as many classes need."""

    DEFAULT_CSS = "Legend { width: 1fr; height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self._groups: list[Entries] = []
        self._ellipsis = self._many = False

    def show(self, groups: list[Entries], look: Look, *, many: bool) -> None:
        """``many``: more classes than one line has room for."""
        shown = groups, look.braille, many
        if shown != (self._groups, self._ellipsis, self._many):
            self._groups, self._ellipsis, self._many = shown
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(filled(self._groups, width)) if self._many else 1

    def render(self) -> Content:
        width = self.content_size.width
        if self._many:
            return Content("\n").join(filled(self._groups, width))
        line = Content("   ").join(Content(" ").join(entries) for entries in self._groups)
        return line.truncate(width, ellipsis=self._ellipsis)


def legend_entries(view: ScanView, plane: Plane, shown: Shown, mode: Mode) -> list[Entries]:
    """The overlays in turn; empty when there are none."""
    groups: list[Entries] = []
    for layer, labels, on, side in (
        (view.mask, plane.mask, shown.mask, 0),
        (view.prediction, plane.prediction, shown.prediction, 1),
    ):
        if layer is not None:
            word = ("mask", "prediction")[side]
            drawn = _layer_entries(view, layer, labels, side, shown, mode)
            groups.append(drawn if on else [Content.assemble((f"{word} off", MUTED))])
    if view.entropy is not None and shown.entropy:
        groups.append([Content.assemble(*_heat_words(view.entropy, mode))])
    return groups


def filled(groups: Sequence[Entries], width: int) -> list[Content]:
    """Lines of whole entries, so that no name is parted from its mark; each group begins one."""
    lines: list[Content] = []
    for entries in groups:
        line = Content("")
        for entry in entries:
            longer = Content(" ").join((line, entry)) if line.plain else entry
            if line.plain and longer.cell_length > width:
                lines.append(line)
                longer = entry
            line = longer
        lines.append(line)
    return lines


def _layer_entries(
    view: ScanView, layer: Layer, labels: LabelLevels | None, side: int, shown: Shown, mode: Mode
) -> Entries:
    """What the layer is, and each of its classes by mark and name."""
    word = ("mask", "prediction")[side]
    if labels is None:
        reason = layer.trouble.what if layer.trouble else "not there"
        return [Content.assemble((f"! {word}: {visible(reason)}", BAD))]
    names = view.facts.classes
    if len(names) == 1:
        return [Content.assemble(_swatch(1, side, shown, mode), (f" {word}", ""))]
    entries = [Content(word)]
    many = len(names) > MOST_COLOURS
    numbered = many and mode not in ("cells", "letters")
    # Of many classes, those that are in the slice come first.
    here = set(np.unique(labels.labels).tolist()) if many else set()
    for number in sorted(_classes(view, layer), key=lambda one: one not in here):
        mark = f"{number} " if numbered else ""
        ink = "" if not many or number in here else MUTED
        name = (f" {mark}{visible(_class_name(names, number))}", ink)
        entries.append(Content.assemble(_swatch(number, side, shown, mode), name))
    return entries


def _classes(view: ScanView, layer: Layer) -> Sequence[int]:
    """The classes of the project, and other values in the map."""
    named = range(1, len(view.facts.classes) + 1)
    held = layer.values.present if layer.values is not None else ()
    return sorted({*held, *named})


def _class_name(names: Sequence[str], number: int) -> str:
    if number == IGNORE_LABEL:
        return "ignored"
    return names[number - 1] if number <= len(names) else f"value {number}"


def _swatch(number: int, side: int, shown: Shown, mode: Mode) -> tuple[str, str]:
    colour = _ink(class_colours(number)[side])
    if mode in ("cells", "letters"):
        return class_letters(number)[side], BOLD if mode == "letters" else colour
    sign = PATTERNS[class_pattern(number)]
    if sign:
        return sign * 2, colour
    return (_FILLED if shown.style == "tint" else (_SOLID, _DASHED)[side] * 2), colour


def _heat_words(layer: Layer, mode: Mode) -> list[tuple[str, str]]:
    if layer.values is None:
        reason = layer.trouble.what if layer.trouble else "not there"
        return [(f"! entropy: {visible(reason)}", BAD)]
    if mode == "letters":
        return [("3-9 tenths of entropy", "")]
    inks = [_ink(heat_colour(entropy)) for entropy in (0.25, 0.5, 0.75, 1.0)]
    sign = "#" if mode == "cells" else _FILLED
    return [*((sign, ink) for ink in inks), (" entropy to 1", "")]


def _ink(colour: RGB) -> str:
    return "bold #{:02x}{:02x}{:02x}".format(*colour)
