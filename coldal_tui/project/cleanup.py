"""Which classes of a prediction keep only their largest part: the one place that decides."""

from __future__ import annotations

import json

from coldal_tui.project.project import Project


def cleaned_classes(project: Project) -> tuple[str, ...]:
    """The classes to clean up, by ``[train] cleanup``.

    ``auto`` takes those for which the newest cross-fitting says that it pays; none without one.
    """
    names = project.config.classes.names
    match project.config.train.cleanup:
        case "off":
            return ()
        case "largest":
            return names
    text = project.store.value(
        "SELECT json_extract(summary, '$.cleanup') FROM runs "
        "WHERE json_extract(summary, '$.cleanup') IS NOT NULL "
        "ORDER BY created_at DESC, run_id DESC LIMIT 1"
    )
    found = json.loads(text) if text else {}
    return tuple(name for name in names if found.get(name, {}).get("pays") is True)
