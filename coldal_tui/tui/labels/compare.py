"""The two sides of a comparison: label and prediction, or scan and quarantined mask."""

from __future__ import annotations

from coldal_tui.project.labels.agreement import Agreement
from coldal_tui.project.project import Project
from coldal_tui.project.views.label_view import (
    LabelLine,
    MaskPicture,
    WaitingLine,
    read_mask_picture,
)
from coldal_tui.project.views.scan_pixels import ViewCache
from coldal_tui.project.views.scan_view import ScanView, read_scan_view, told
from coldal_tui.tui.drawing.plane_slices import Shown, Slices
from coldal_tui.tui.widgets.side_by_side import Side
from coldal_tui.visible import visible

_MASK = Shown(mask=True, prediction=False)


def label_sides(
    project: Project, line: LabelLine, agreement: Agreement | None, cache: ViewCache
) -> tuple[Side, Side]:
    """The scan with its label, and with the prediction of a run not trained on that label."""
    view = read_scan_view(project, line.scan_id, cache, untrained=True)
    slices, words = _slices(view)
    dice = f", {agreement.kind} Dice {agreement.mean:.2f}" if agreement is not None else ""
    found = view.facts.prediction
    left = Side(f"label v{line.version}", slices, _MASK, words)
    if found is None:
        why = "no run has predicted this scan without training on it"
        return left, Side("prediction", None, Shown(), why)
    title = f"prediction {visible(found.run_id)}{dice}"
    return left, Side(title, slices, Shown(mask=False, prediction=True), words)


def waiting_sides(project: Project, line: WaitingLine, cache: ViewCache) -> tuple[Side, Side]:
    """The scan of a quarantined mask, and the mask, drawn on the scan if the shapes agree."""
    left = Side("scan", None, _MASK, "no scan is known for this mask")
    view = None
    if line.scan_id is not None:
        view = read_scan_view(project, line.scan_id, cache, untrained=True)
        slices, words = _slices(view)
        title = "scan with its label" if view.mask is not None else "scan"
        left = Side(title, slices, _MASK, words)
    try:
        return left, _mask_side(read_mask_picture(project, line, cache), view)
    except Exception as error:  # whatever a file that was refused makes a decoder do
        trouble = told(error, "")
        words = f"{visible(trouble.what)}\n{visible(trouble.remedy)}"
        return left, Side("the mask's file", None, _MASK, words.strip())


def _mask_side(picture: MaskPicture, view: ScanView | None) -> Side:
    shape = picture.header.shape
    # An image's size is shown as in messages: width by height.
    size = " by ".join(map(str, shape if len(shape) == 3 else shape[::-1]))
    if picture.changed:
        size += ", changed on disk"
    scan = view.pixels if view is not None and view.header.shape == shape else None
    if view is None or scan is None or scan.strides != picture.pixels.strides:
        return Side(f"the mask's file, {size}", Slices(picture, picture.pixels), _MASK)
    there = picture.on_scan(view.header, scan)
    return Side(f"the mask on it, {size}", Slices(there, scan), _MASK)


def _slices(view: ScanView) -> tuple[Slices | None, str]:
    if view.pixels is not None:
        return Slices(view, view.pixels), ""
    trouble = view.trouble
    return None, f"{visible(trouble.what)}\n{visible(trouble.remedy)}" if trouble else ""
