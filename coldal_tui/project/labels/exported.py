"""Reads the project's exports for an import: manifests, and the people behind pseudonyms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from coldal_tui.exchange.incoming.own_files import KnownExports
from coldal_tui.exchange.manifest import Manifest, read_manifest
from coldal_tui.project.own_manifests import own_manifests
from coldal_tui.project.project import Project
from coldal_tui.project.pseudonyms import all_keys


def known_exports(project: Project) -> KnownExports:
    """The manifests of all exports that still exist, newest first."""
    people = _people(project)

    def named(manifest: Manifest) -> Mapping[str, str]:
        for entry in manifest.entries:
            if entry.scan_id in people:
                return people[entry.scan_id]
        return {}

    own = list(own_manifests(project))
    found = [
        manifest.with_people(named(manifest)) if manifest.deidentified else manifest
        for manifest in _manifests(project, own)
    ]
    return KnownExports(tuple(found), named, _pictures(manifest for _, manifest in own))


def _pictures(manifests: Iterable[Manifest]) -> dict[str, frozenset[str]]:
    """The SHA-256 of all slices that were handed out under a file name, by that name.

    A name is left out when an earlier export of it has no hash: its pictures may be others.
    """
    found: dict[str, set[str | None]] = {}
    for manifest in manifests:
        for entry in manifest.entries:
            for image, digest in zip(entry.slice_images, entry.slice_sha256, strict=True):
                found.setdefault(image.rpartition("/")[2], set()).add(digest)
    return {
        name: frozenset(one for one in digests if one is not None)
        for name, digests in found.items()
        if None not in digests
    }


def _people(project: Project) -> dict[str, dict[str, str]]:
    """The people of a de-identified export, by the pseudonym of each of its scans."""
    return {scan: keys.people for keys in all_keys(project) for scan in keys.scans}


def _manifests(project: Project, own: Sequence[tuple[Path, Manifest]]) -> Iterator[Manifest]:
    """The manifests as exported, per person; the project's own copy when one is missing."""
    there: set[Path] = set()
    for row in project.store.rows("SELECT folder FROM exports ORDER BY export_id DESC"):
        folder = Path(project.root, row["folder"])
        try:
            inside = sorted(path for path in folder.iterdir() if path.is_dir())
        except OSError:
            continue  # moved away, or on a disk that is not mounted
        there.add(folder)
        for place in (folder, *inside):
            manifest = read_manifest(place)
            if manifest is not None:
                yield manifest
    for folder, manifest in own:
        if folder not in there:
            yield manifest
