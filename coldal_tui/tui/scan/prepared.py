"""Reads a scan and prepares it for drawing, in a thread."""

from __future__ import annotations

from dataclasses import dataclass

from coldal_tui.project.labels.agreement import dice_of_classes
from coldal_tui.project.project import Project
from coldal_tui.project.views.scan_pixels import ViewCache
from coldal_tui.project.views.scan_view import ScanView, read_scan_view
from coldal_tui.tui.drawing.plane_slices import Slices


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan, its slices if its pixels could be read, and the Dice of prediction and label."""

    view: ScanView
    slices: Slices | None
    agreement: str


def prepare(project: Project, scan_id: str, cache: ViewCache) -> Prepared:
    """Read a scan and prepare it for drawing; runs in a thread."""
    view = read_scan_view(project, scan_id, cache)
    slices = Slices(view, view.pixels) if view.pixels is not None else None
    return Prepared(view, slices, _agreement(view))


def _agreement(view: ScanView) -> str:
    """The Dice of prediction and label, if both are complete."""
    mask, predicted = view.mask, view.prediction
    if mask is None or predicted is None or mask.values is None or predicted.values is None:
        return ""
    if view.pixels is not None and max(view.pixels.strides) > 1:
        return ""
    names = view.facts.classes
    found = dice_of_classes(predicted.values.whole(), mask.values.whole(), names)
    if len(names) == 1:
        return f"Dice {found[names[0]]:.2f}"
    return "Dice " + ", ".join(f"{name} {value:.2f}" for name, value in found.items())
