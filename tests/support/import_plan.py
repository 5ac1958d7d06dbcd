"""A whole import's verdicts in groups, without their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from coldal_tui.exchange.candidate import ScanTarget
from coldal_tui.exchange.importers import load_registry
from coldal_tui.exchange.incoming.importing import ImportOptions, Progress, Verdict, examine
from coldal_tui.exchange.incoming.survey import survey_source


@dataclass(frozen=True)
class ImportPlan:
    """A whole import's verdicts without their pixels, and what the source held."""

    saw: str
    accepted: tuple[Verdict, ...] = ()
    kept: tuple[Verdict, ...] = ()
    quarantined: tuple[Verdict, ...] = ()
    unmatched: tuple[Verdict, ...] = ()
    ignored: tuple[Verdict, ...] = ()


def plan_import(
    source: Path,
    targets: Sequence[ScanTarget],
    classes: Sequence[str],
    ignore_value: int | None,
    *,
    format: str = "auto",
    match: str | None = None,
    options: ImportOptions | None = None,
    progress: Progress | None = None,
) -> ImportPlan:
    """Decide on every mask in a source and keep no pixels: the verdicts that the command shows.

    Parameters and errors as :func:`examine`.
    """
    survey = survey_source(source, load_registry().select(format))
    groups: dict[str, list[Verdict]] = {}
    verdicts = examine(
        source,
        targets,
        classes,
        ignore_value,
        match=match,
        options=options,
        progress=progress,
        survey=survey,
    )
    for verdict in verdicts:
        groups.setdefault(verdict.status, []).append(replace(verdict, label=None))
    return ImportPlan(survey.saw, **{status: tuple(found) for status, found in groups.items()})
