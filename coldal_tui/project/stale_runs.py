"""Finds out why a run is stale: the intensity rule or images changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from coldal_tui.imaging.intensity_choice import IntensityChoice
from coldal_tui.project.project import Project
from coldal_tui.project.runs import IMPORTED


def made_by_another_rule(project: Project, summary: Mapping[str, Any]) -> bool:
    """Whether a run (its stored summary) used another intensity rule than the project now."""
    if IMPORTED in summary:
        return False  # another model reads intensities by its own rule
    stored = (summary.get("plan") or {}).get("intensity") or {}
    return msgspec.convert(stored, IntensityChoice) != project.intensity


def changed_images(hashes: Mapping[str, str], summary: Mapping[str, Any]) -> tuple[str, ...]:
    """Training and validation scans of a run whose images changed since.

    ``hashes`` are the current image hashes, by scan.
    """
    left_out = {one["scan_id"] for one in summary.get("left_out", ())}
    seen: Mapping[str, str] = summary.get("images", {})
    return tuple(
        scan_id
        for scan_id, digest in sorted(seen.items())
        if scan_id not in left_out and hashes.get(scan_id, digest) != digest
    )


def why_stale(project: Project, hashes: Mapping[str, str], summary: Mapping[str, Any]) -> str:
    """Why a run is stale, in words; empty when it is not."""
    reasons = []
    if made_by_another_rule(project, summary):
        reasons.append(f"intensities are read by another rule now ({project.intensity.words})")
    changed = changed_images(hashes, summary)
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        reasons.append(f"images changed since: {', '.join(changed[:3])}{more}")
    return "; ".join(reasons)
