"""Writes the README of an export, which a labeler reads first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coldal_tui.exchange.exporters import ExportMeta
from coldal_tui.imaging.labelfile import IGNORE_LABEL
from coldal_tui.visible import counted

_LABEL_MAPS = (".png", ".nii.gz", ".nrrd")
"""Endings of pre-labels that are numbers per pixel; others name their classes."""


@dataclass(frozen=True)
class Page:
    """A format's text for the labeler: Markdown paragraphs, steps as numbered lists.

    ``ignore_value`` is the format's own value for ignored pixels, if it has one.
    """

    opening: Sequence[str]
    saving: Sequence[str]
    prelabels: str
    returning: str
    images: str = "`images/`"
    ignore_value: int | None = None


def labeler_readme(
    scans: int,
    prelabels: Sequence[str],
    meta: ExportMeta,
    page: Page,
    notes: Sequence[str] = (),
) -> str:
    """Markdown: what to draw, how to open it, how to save, how to send it back.

    ``prelabels`` are the files of the pre-labels, one for each scan that has one.
    """
    when = f"Exported {meta.created}. " if meta.created else ""
    whom = f" for {meta.person}" if meta.person else ""
    parts = [
        f"# Scans to label: {meta.project}{whom}",
        f"{when}{counted(scans, 'scan')} in {page.images}, "
        "listed in `manifest.csv` in the order of their rank.",
        "Start with rank 1. If there is no time for all, the first ones are worth the most.",
        "## What to draw",
        _value_table(meta, page, as_values=any(name.endswith(_LABEL_MAPS) for name in prelabels)),
    ]
    if page.opening:
        parts += ["## How to open", *page.opening]
    parts += ["## How to save", *page.saving]
    if prelabels:
        parts += [
            "## Pre-labels",
            f"A model's proposal goes along for {counted(len(prelabels), 'scan')}. "
            f"{page.prelabels} A proposal is often wrong where it matters.",
        ]
    parts += ["## How to send back", page.returning]
    if notes:
        parts += ["## Good to know", *notes]
    return "\n\n".join(parts) + "\n"


def _value_table(meta: ExportMeta, page: Page, *, as_values: bool) -> str:
    """The numbers of masks; ``as_values``: pre-labels lie beside them whose 255 is no class."""
    ignored = meta.ignore_value if page.ignore_value is None else page.ignore_value
    proposed = as_values and ignored != IGNORE_LABEL
    rows = ["| value | meaning |", "|---|---|", "| 0 | background |"]
    for value, name in enumerate(meta.classes, start=1):
        either = len(meta.classes) == 1 and ignored != IGNORE_LABEL and not proposed
        also = f" (or {IGNORE_LABEL})" if either else ""
        rows.append(f"| {value}{also} | {name.replace('|', '/')} |")
    if ignored is not None:
        rows.append(f"| {ignored} | ignore: can't be judged |")
    if proposed:
        other = "a value above" if ignored is None else f"{ignored} or a class"
        rows.append(f"| {IGNORE_LABEL} | in pre-labels only: can't be judged; put {other} there |")
    return "\n".join(rows)


def steps(*lines: str) -> str:
    """A numbered list."""
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))


KEEP_GEOMETRY = "Keep the image's size and geometry: no cropping, scaling, rotating, and no JPEG."
EMPTY_CASE = "If a scan shows none of the classes, save an empty mask and say so."
KEEP_MANIFEST = (
    "Leave `manifest.json` where it is and the names as they are: they are how each mask finds "
    "its scan."
)
