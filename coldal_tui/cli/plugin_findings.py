"""The plug-in checks of ``doctor``: which work, and what is wrong with the others."""

from __future__ import annotations

from coldal_tui import plugins
from coldal_tui.cli.machine import Finding


def plugin_findings() -> list[Finding]:
    """One line per working plug-in of another package, one problem per broken one."""
    from coldal_tui import connectors
    from coldal_tui.encoders import catalogue
    from coldal_tui.exchange import exporters, importers
    from coldal_tui.jobs.backend import as_backend
    from coldal_tui.selection import strategies

    # Missing libraries of the built-in backends are reported by the checks of Slurm and Ray.
    ours = frozenset(
        name
        for name, entry in plugins.entries(plugins.BACKEND).items()
        if plugins.package_of(entry) == plugins.OURS
    )
    backends = plugins.load_all(plugins.BACKEND, as_backend, skip=ours)
    return [
        *_findings(plugins.BACKEND, backends.failures, ours),
        *_findings(plugins.IMPORTER, importers.load_registry().failures),
        *_findings(plugins.EXPORTER, exporters.plugin_failures()),
        *_findings(plugins.CONNECTOR, connectors.plugin_failures()),
        *_findings(plugins.STRATEGY, strategies.plugin_failures()),
        *_findings(plugins.ENCODER, catalogue.plugin_failures()),
    ]


def _findings(
    kind: plugins.Kind,
    failures: tuple[plugins.PluginFailure, ...],
    skip: frozenset[str] = frozenset(),
) -> list[Finding]:
    found = []
    for name, entry in plugins.entries(kind).items():
        package = plugins.package_of(entry)
        bad = [one for one in failures if one.name == name]
        for one in bad:
            what = f"the {kind.words} {name!r} can't be loaded: {one.message}"
            if one.message.startswith("it is left out"):
                what = f"the {kind.words} {name!r} of {one.package or package}: {one.message}"
            found.append(
                Finding("problem", what, f"mend or remove the package {one.package or package}")
            )
        if name not in skip and not any(one.package == package for one in bad):
            found.append(Finding("ok", f"{kind.words} {name} of {package or 'another package'}"))
    return found
