"""The facts and numbers behind why a scan is, or is not, in the queue."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from coldal_tui.project.project import Project
from coldal_tui.project.queue import candidates
from coldal_tui.project.records import ScanRecord
from coldal_tui.project.runs import entropy_kind, scan_entropies
from coldal_tui.selection.needs import NEEDS

if TYPE_CHECKING:
    from coldal_tui.project.views.why.rank_outlook import Standings

PICKED = ("medoid", "farthest-point", "acquired", "random")
"""Roles of scans that a strategy picked."""


def explain(project: Project, scan_id: str, standings: Standings | None = None) -> dict[str, Any]:
    """Collect all facts about why a scan is, or is not, in the queue.

    ``standings`` caches what the explanations of several scans share.
    """
    scan = project.scan(scan_id)
    item = project.store.row("SELECT * FROM queue WHERE scan_id = ?", (scan_id,))
    found: dict[str, Any] = {
        "scan_id": scan_id,
        "path": str(project.image_of(scan.rel_path)),
        "patient_id": scan.patient_id,
        "shape": list(scan.shape),
        "spacing": scan.spacing,
        "modality": scan.modality,
        "duplicate_of": scan.duplicate_of,
        "excluded": scan.excluded,
        "state": scan.state,
    }
    if item is not None:
        found |= {
            key: item[key]
            for key in (
                "round",
                "rank",
                "role",
                "cluster",
                "status",
                "score",
                "entropy",
                "diversity",
                "assignee",
                "reason",
                "replaced_by",
            )
        }
        found["terms"] = json.loads(item["terms"])
        chosen = project.store.row(
            "SELECT strategy, alpha, seed, run_id, map_id, k FROM rounds WHERE round = ?",
            (item["round"],),
        )
        found["selection"] = chosen
        if chosen is not None and chosen["strategy"] not in NEEDS and item["role"] in PICKED:
            # A plug-in's terms: our words for terms of the same name may not fit them.
            from coldal_tui.selection.strategies import plugin_words

            found["own_words"] = plugin_words(chosen["strategy"], found["terms"])
    else:
        found["status"] = _why_not(project, scan)
    label = project.store.row(
        "SELECT version, role, source, created_at FROM labels WHERE scan_id = ? "
        "AND state = 'active'",
        (scan_id,),
    )
    found["label"] = label
    kind = entropy_kind(project, (found.get("selection") or {}).get("strategy"))
    found["entropy_kind"] = kind
    found["entropies"] = scan_entropies(project, scan_id, kind)
    found["standing"] = _standing(project, scan_id, found, standings)
    return found


def _standing(
    project: Project, scan_id: str, found: dict[str, Any], standings: Standings | None
) -> dict[str, Any] | None:
    from coldal_tui.project.views.why.rank_outlook import Standings

    run_id = (found.get("selection") or {}).get("run_id")
    where = (standings or Standings()).of(project, scan_id, run_id, found["entropy_kind"])
    return None if where is None else asdict(where)


def _why_not(project: Project, scan: ScanRecord) -> str:
    status = candidates.scan_status(project, scan.scan_id)
    reasons = {
        "missing": "missing: the file is no longer there",
        "duplicate": f"not a candidate: an exact copy of {scan.duplicate_of}",
        "excluded": f"not a candidate: excluded ({scan.excluded})",
        "labelled": "labelled without having been queued",
        candidates.HELD_OUT: "not a candidate: its patient is in the frozen validation set",
    }
    if status in reasons:
        return reasons[status]
    failed = project.store.value(
        "SELECT f.message FROM embed_failures f JOIN scans s ON s.scan_id = f.scan_id AND "
        "s.quick_hash = f.quick_hash WHERE f.encoder_hash = ? AND f.scan_id = ?",
        (project.current_encoder_hash(), scan.scan_id),
    )
    if failed is not None:
        return f"not a candidate: it could not be embedded ({failed})"
    return "candidate: not picked yet"
