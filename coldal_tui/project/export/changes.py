"""The last export of every scan, to find what changed since."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldal_tui.files import sha256_file
from coldal_tui.project.project import Project


@dataclass(frozen=True)
class Handed:
    """One scan as it was exported.

    ``image`` is its quick hash, ``prelabel`` the SHA-256 of its pre-label, ``file`` the path of
    that relative to the project; ``people`` are the labelers who got it.
    """

    image: str
    prelabel: str | None
    file: str | None
    people: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "image": self.image,
            "prelabel": self.prelabel,
            "file": self.file,
            "people": list(self.people),
        }

    def same_as(self, other: Handed) -> bool:
        """Whether a labeler would get the same files again."""
        now, then = (
            (self.image, self.prelabel, self.people),
            (
                other.image,
                other.prelabel,
                other.people,
            ),
        )
        return now == then


def handed_now(
    project: Project, quick_hash: str, prelabel: Path | None, people: Sequence[str]
) -> Handed:
    """What an export would contain now."""
    digest = file = None
    if prelabel is not None:
        digest, file = sha256_file(prelabel), project.layout.relative(prelabel)
    return Handed(quick_hash, digest, file, tuple(people))


def last_handed(project: Project) -> dict[str, Handed]:
    """The newest export of every scan; exports older than this record are missing."""
    found: dict[str, Handed] = {}
    for row in project.store.rows("SELECT items FROM exports ORDER BY export_id"):
        for scan_id, item in json.loads(row["items"]).items():
            found[scan_id] = Handed(
                item["image"], item["prelabel"], item["file"], tuple(item["people"])
            )
    return found
