"""The page that a labeler reads first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coldal_tui.exchange.exporters import ExportMeta
from coldal_tui.visible import counted


@dataclass(frozen=True)
class Page:
    """What a format says to its labeler: paragraphs of Markdown, steps as numbered lists.

    ``values`` is its own table of values, where they are not those of :func:`value_table`.
    """

    opening: Sequence[str]
    saving: Sequence[str]
    prelabels: str
    returning: str
    images: str = "`images/`"
    values: str = ""


def labeler_readme(
    scans: int, prelabels: int, meta: ExportMeta, page: Page, notes: Sequence[str] = ()
) -> str:
    """Markdown: what to draw, how to open it, how to save, how to send it back."""
    when = f"Exported {meta.created}. " if meta.created else ""
    whom = f" for {meta.person}" if meta.person else ""
    parts = [
        f"# Scans to label: {meta.project}{whom}",
        f"{when}{counted(scans, 'scan')} in {page.images}, "
        "listed in `manifest.csv` in the order of their rank.",
        "Start with rank 1. If there is no time for all, the first ones are worth the most.",
        "## What to draw",
        page.values or value_table(meta),
    ]
    if page.opening:
        parts += ["## How to open", *page.opening]
    parts += ["## How to save", *page.saving]
    if prelabels:
        parts += [
            "## Pre-labels",
            f"A model's proposal goes along for {counted(prelabels, 'scan')}. {page.prelabels} "
            "A proposal is often wrong where it matters.",
        ]
    parts += ["## How to send back", page.returning]
    if notes:
        parts += ["## Good to know", *notes]
    return "\n\n".join(parts) + "\n"


def value_table(meta: ExportMeta) -> str:
    rows = ["| value | meaning |", "|---|---|", "| 0 | background |"]
    for value, name in enumerate(meta.classes, start=1):
        also = " (or 255)" if len(meta.classes) == 1 and meta.ignore_value != 255 else ""
        rows.append(f"| {value}{also} | {name.replace('|', '/')} |")
    if meta.ignore_value is not None:
        rows.append(f"| {meta.ignore_value} | ignore: can't be judged |")
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
