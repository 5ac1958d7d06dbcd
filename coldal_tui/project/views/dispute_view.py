"""A disputed scan for the screen: the image with each person's drawing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.labels.files import stored_file
from coldal_tui.project.labels.raters.adjudication import drawings_of
from coldal_tui.project.project import Project
from coldal_tui.project.views.scan_pixels import ViewCache
from coldal_tui.project.views.scan_view import ScanView, read_layer, read_scan_view


@dataclass(frozen=True, eq=False)
class DrawnView:
    """One person's drawing: the scan's view with it in place of the label."""

    author: str
    view: ScanView


def read_drawn_views(project: Project, scan_id: str, cache: ViewCache) -> list[DrawnView]:
    """The drawings of a scan in the order in which they came; errors stand in their layers."""
    view = read_scan_view(project, scan_id, cache)
    return [
        DrawnView(
            name,
            replace(
                view,
                mask=read_layer(
                    f"v{row['version']}",
                    stored_file(project, row),
                    "drawing",
                    read_label,
                    view.header,
                    view.pixels,
                    cache,
                    str(row["sha256"]),
                ),
                prediction=None,
                entropy=None,
            ),
        )
        for name, row in drawings_of(project, scan_id).items()
    ]
