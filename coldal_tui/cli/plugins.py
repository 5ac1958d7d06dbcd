"""What ``doctor`` says of other packages' backends and formats: those that can't be loaded."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from coldal_tui.cli.machine import Finding

OURS = "coldal-tui"


def plugin_findings() -> list[Finding]:
    """A line for every package's plug-ins that work, and a problem for each that does not."""
    return [*_backend_findings(), *_format_findings()]


def _backend_findings() -> list[Finding]:
    from coldal_tui.errors import ColdalError
    from coldal_tui.jobs.backend import ENTRY_POINT_GROUP, load_backend

    found = []
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if _package(entry) == OURS:
            # What these lack is told where Slurm and Ray are looked at.
            continue
        try:
            load_backend(entry.name)
        except ColdalError as error:
            found.append(_problem(error.what, entry))
        else:
            found.append(Finding("ok", f"backend {entry.name} of {_package(entry)}"))
    return found


def _format_findings() -> list[Finding]:
    from coldal_tui.exchange import exporters, importers

    readers = {one.name: one.message for one in importers.load_registry().failures}
    writers = {one.name: one.message for one in exporters.plugin_failures()}
    found = []
    for group, kind, broken in (
        (importers.ENTRY_POINT_GROUP, "mask format", readers),
        (exporters.ENTRY_POINT_GROUP, "export format", writers),
    ):
        entries = {entry.name: entry for entry in entry_points(group=group)}
        for name, entry in sorted(entries.items()):
            if name in broken:
                found.append(
                    _problem(f"the {kind} {name!r} can't be loaded: {broken[name]}", entry)
                )
            else:
                found.append(Finding("ok", f"{kind} {name} of {_package(entry)}"))
    return found


def _problem(what: str, entry: EntryPoint) -> Finding:
    return Finding("problem", what, f"mend or remove the package {_package(entry)}")


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "unknown"
