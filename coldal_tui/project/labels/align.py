"""Resamples masks to their scans' grids for evaluation or simulation, without making labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from coldal_tui.below import outside
from coldal_tui.imaging.image import ScanHeader, label_suffix
from coldal_tui.project.labels.files import label_name
from coldal_tui.project.project import Project

if TYPE_CHECKING:
    from coldal_tui.exchange.candidate import ScanTarget
    from coldal_tui.exchange.incoming.verdict import Verdict
    from coldal_tui.jobs.spec import LabelledScan, SimulatedScan

Progress = Callable[[int, int, str], None]


def check_cases(
    project: Project,
    listing: Path,
    cases: Iterable[LabelledScan | SimulatedScan],
    *,
    elsewhere: bool = False,
) -> None:
    """Refuse a listing of cases that reads files of other places: anybody may have written it.

    The masks lie beside the listing; the images below the project's images folder, unless
    ``elsewhere``. Raises ColdalError (code ``outside``).
    """
    home = os.path.realpath(listing.parent).rstrip("/") + "/"
    images = str(project.images).rstrip("/") + "/"
    for case in cases:
        if not os.path.realpath(case.label).startswith(home):
            raise outside(case.label, listing.parent)
        for file in case.scan.ref.files:
            # Links in the images folder are its owner's; only the name has to lie below it.
            if not (elsewhere or os.path.normpath(file).startswith(images)):
                raise outside(file, project.images)


def place_masks(
    project: Project,
    masks: Path,
    scans: Mapping[str, tuple[ScanTarget, ScanHeader]],
    folder: Path,
    *,
    match: str | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Path], list[Verdict]]:
    """Write the masks that fit ``scans`` into ``folder``; return files and failed verdicts.

    Mask values mean the same as in an import; a mask without any class is valid, too.
    """
    files: dict[str, Path] = {}
    unused: list[Verdict] = []
    for verdict, path in placed_masks(
        project, masks, scans, folder, match=match, progress=progress
    ):
        if path is None or verdict.scan_id is None:
            unused.append(verdict)
        else:
            files[verdict.scan_id] = path
    return files, unused


def placed_masks(
    project: Project,
    masks: Path,
    scans: Mapping[str, tuple[ScanTarget, ScanHeader]],
    folder: Path,
    *,
    match: str | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[Verdict, Path | None]]:
    """Every mask with its verdict, and the file that it was written to if it fits a scan."""
    from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
    from coldal_tui.exchange.incoming.importing import examine
    from coldal_tui.imaging.labelfile import write_label
    from coldal_tui.project.labels.class_map import with_class_map

    classes = project.config.classes
    for verdict in examine(
        masks,
        [target for target, _ in scans.values()],
        classes.names,
        classes.ignore_value,
        match=match,
        options=with_class_map(project, ImportOptions(confirm_empty=True)),
        progress=progress,
    ):
        if verdict.label is None or verdict.scan_id is None:
            yield verdict, None
            continue
        header = scans[verdict.scan_id][1]
        path = folder / label_name(verdict.scan_id, label_suffix(header))
        write_label(path, verdict.label, header.affine)
        yield verdict, path
