"""The project's own manifest of an export: what labelers don't see, for matching masks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from coldal_tui.exchange.exporters import ExportItem
from coldal_tui.exchange.manifest import (
    JSON_NAME,
    OWN_COLUMNS,
    OWN_CSV,
    OWN_JSON,
    Manifest,
    read_own_manifest,
    to_csv,
    to_json,
)
from coldal_tui.files import atomic_write, sha256_file
from coldal_tui.project.project import Project


def write_own_manifest(
    project: Project, folder: Path, shares: Mapping[str, Sequence[ExportItem]]
) -> tuple[Path, Path]:
    """Write ``exports/NAME.manifest.json`` and ``.csv`` for a finished export in ``folder``.

    They hold the scans of all people with their role, cluster and score.
    """
    about: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for name, items in shares.items():
        document = json.loads((folder / name / JSON_NAME).read_text(encoding="utf-8"))
        about |= {
            key: value
            for key, value in document.items()
            if key not in ("items", "person", "annotations", "format", "version")
        }
        asked = {item.scan_id: item for item in items}
        for row in document["items"]:
            item = asked[row["scan_id"]]
            why = {
                "role": item.role,
                "cluster": item.cluster,
                "score": item.score,
                "round": item.round,
                "strategy": item.strategy,
            }
            row |= _hashed(row, folder / name)
            rows.append(row | why | {"image": f"{name}/{row['image']}" if name else row["image"]})
    about |= {"folder": str(folder), "written": project.store.now()}
    base = _base(project, folder)
    paths = base.with_name(base.name + OWN_JSON), base.with_name(base.name + OWN_CSV)
    texts = to_json(rows, about), to_csv(rows, OWN_COLUMNS)
    for path, text in zip(paths, texts, strict=True):
        data = text.encode()
        atomic_write(path, lambda stream, data=data: stream.write(data))  # type: ignore[misc]
    return paths


def _hashed(row: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The slices of a row with the SHA-256 of each picture: a mask may be saved over one."""
    slices = row.get("slices")
    if slices is None:
        return {}
    files = [one | {"sha256": sha256_file(folder / one["image"])} for one in slices["files"]]
    return {"slices": slices | {"files": files}}


def _base(project: Project, folder: Path) -> Path:
    """``exports/NAME`` for any folder; a second one of this name gets a number."""
    exports = project.layout.exports
    exports.mkdir(parents=True, exist_ok=True)
    base, number = exports / folder.name, 2
    while base.with_name(base.name + OWN_JSON).exists():
        base, number = exports / f"{folder.name}-{number}", number + 1
    return base


def own_manifests(project: Project) -> Iterator[tuple[Path, Manifest]]:
    """The own manifests, newest first, each with its exported folder."""
    found: list[tuple[str, str, Manifest]] = []
    for path in project.layout.exports.glob(f"*{OWN_JSON}"):
        manifest = read_own_manifest(path)
        if manifest is not None:
            document = json.loads(path.read_text(encoding="utf-8"))
            said = str(document.get("written", "")), str(document.get("folder", ""))
            found.append((*said, manifest))
    for _, folder, manifest in sorted(found, key=lambda one: one[0], reverse=True):
        yield Path(folder), manifest
