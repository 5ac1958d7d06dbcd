"""Exports for one labeler, or to one folder per labeler; checks before publishing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from coldal_tui.exchange.exporters import Exporter, ExportItem, ExportMeta, ExportResult, Progress
from coldal_tui.exchange.exporters.atomic_folder import staged
from coldal_tui.exchange.manifest import JSON_NAME
from coldal_tui.files import sha256_file

Check = Callable[[Path], None]
"""Raises an error when a finished folder must not be delivered."""


@dataclass(frozen=True)
class Delivery:
    """A finished export.

    ``images`` and ``prelabels`` as in ``ExportResult``; ``manifest_sha256`` is the hash of the only
    manifest, or of all manifests' hashes, one per line.
    """

    folder: Path
    images: dict[str, str]
    prelabels: frozenset[str]
    manifest_sha256: str


def deliver(
    export: Exporter,
    out: Path,
    shares: Mapping[str, Sequence[ExportItem]],
    meta: ExportMeta,
    progress: Progress | None = None,
    check: Check | None = None,
) -> Delivery:
    """Write an export completely or not at all; ``check`` may refuse the result.

    Parameters
    ----------
    shares : folder names and their scans; the single name ``""`` means ``out`` itself. A scan in
        two folders is labelled twice.

    Raises
    ------
    Errors of the exporter or the check; nothing is left behind.
    """
    if list(shares) == [""] and check is None:
        return _delivered(out, [export(out, shares[""], meta, progress)])
    total = sum(len(items) for items in shares.values())
    results: list[ExportResult] = []
    with staged(out, 0) as stage:
        for name, items in shares.items():
            told = _counted(progress, sum(len(r.images) for r in results), total)
            person = next((item.assignee for item in items if item.assignee), None)
            own = replace(meta, person=person, place=name) if name else meta
            results.append(export(stage.folder / name, items, own, told))
        if list(shares) != [""]:
            stage.write_text("README.md", _index(shares, meta))
        if check is not None:
            check(stage.folder)
        delivered = _delivered(stage.folder, results)
    return replace(delivered, folder=out)


def _delivered(folder: Path, results: Sequence[ExportResult]) -> Delivery:
    images = {scan: digest for result in results for scan, digest in result.images.items()}
    prelabels = frozenset(scan for result in results for scan in result.prelabels)
    digests = [sha256_file(result.folder / JSON_NAME) for result in results]
    joint = digests[0]
    if len(digests) > 1:
        joint = hashlib.sha256("".join(f"{one}\n" for one in digests).encode()).hexdigest()
    return Delivery(folder, images, prelabels, joint)


def _counted(progress: Progress | None, before: int, total: int) -> Progress | None:
    if progress is None:
        return None
    tell = progress
    return lambda done, _total, scan: tell(before + done, total, scan)


def _index(shares: Mapping[str, Sequence[ExportItem]], meta: ExportMeta) -> str:
    twice = sum(len(items) for items in shares.values()) - len(
        {item.scan_id for items in shares.values() for item in items}
    )
    rows = [f"| `{name}/` | {len(items)} |" for name, items in shares.items()]
    lines = [
        f"# Scans to label: {meta.project}",
        "",
        "Each person gets the folder with their name, and nothing else; it holds everything.",
        "",
        "| folder | scans |",
        "|---|---|",
        *rows,
        "",
    ]
    if twice:
        scans = "1 scan lies" if twice == 1 else f"{twice} scans lie"
        lines += [
            f"{scans} in two folders, to be drawn twice, by different people who don't see each "
            "other's masks, so that raters can be compared.",
            "",
        ]
    lines.append(
        "When the masks are back, put them into the folders they came from and import this folder "
        "as a whole: each mask is then known by its author."
        + (
            " Where people drew one scan differently, somebody decides: "
            "`coldal-tui labels adjudicate`."
            if twice
            else ""
        )
    )
    return "\n".join([*lines, ""])
