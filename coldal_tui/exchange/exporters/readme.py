"""The page that a labeler reads first."""

from __future__ import annotations

from collections.abc import Sequence

from coldal_tui.exchange.exporters import ExportItem, ExportMeta
from coldal_tui.imaging.labelfile import label_suffix


def labeler_readme(items: Sequence[ExportItem], meta: ExportMeta, prelabels: int) -> str:
    """Markdown: what to draw, how to name it, how to send it back."""
    parts = [
        f"# Scans to label: {meta.project}",
        f"Exported {meta.created}. {_count(len(items), 'scan')} in `images/`, "
        "listed in `manifest.csv` in the order of their rank.",
        "Start with rank 1. If there is no time for all, the first ones are worth the most.",
        "## What to draw",
        _value_table(meta),
        "## How to save",
        *_saving(items),
        "Keep the image's size and geometry: no cropping, scaling, rotating, and no JPEG.",
    ]
    if prelabels:
        parts += [
            "## Pre-labels",
            f"`prelabels/` holds a model's proposal for {_count(prelabels, 'scan')}. Open it, "
            "correct it, and save the result in `masks/`. A proposal is often wrong where it "
            "matters.",
        ]
    parts += [
        "## How to send back",
        "Return the `masks/` folder, or this whole folder with it. Leave `manifest.json` where "
        "it is and the names as they are: they are how each mask finds its scan. "
        "If a scan shows none of the classes, save an empty mask and say so.",
    ]
    return "\n\n".join(parts) + "\n"


def _value_table(meta: ExportMeta) -> str:
    rows = ["| value | meaning |", "|---|---|", "| 0 | background |"]
    for value, name in enumerate(meta.classes, start=1):
        also = " (or 255)" if len(meta.classes) == 1 and meta.ignore_value != 255 else ""
        rows.append(f"| {value}{also} | {name.replace('|', '/')} |")
    if meta.ignore_value is not None:
        rows.append(f"| {meta.ignore_value} | ignore: can't be judged |")
    return "\n".join(rows)


def _saving(items: Sequence[ExportItem]) -> list[str]:
    lines = []
    suffixes = {label_suffix(item.header) for item in items}
    example = {label_suffix(item.header): item.scan_id for item in reversed(items)}
    if ".png" in suffixes:
        lines.append(
            f"Pictures: one PNG per scan in `masks/`, named `<scan_id>.png` "
            f"(such as `masks/{example['.png']}.png`), 8-bit grey or palette, "
            "exactly as wide and high as the image."
        )
    if ".nii.gz" in suffixes:
        lines.append(
            f"Volumes and images with world coordinates: one NIfTI label map per scan in "
            f"`masks/`, named `<scan_id>.nii.gz` (such as `masks/{example['.nii.gz']}.nii.gz`)."
        )
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
