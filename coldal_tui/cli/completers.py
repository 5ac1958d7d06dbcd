"""Shell completion of projects, actions, scans, jobs, formats, strategies and people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coldal_tui.cli.which_project import nearest_project, standing_project, take_project
from coldal_tui.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from coldal_tui.project.project import Project

MOST = 200
"""How many answers a shell can still show; typing more letters narrows them."""


def complete_targets(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete projects, actions, and the objects of an action."""
    from click.shell_completion import CompletionItem

    earlier = tuple(context.params.get("targets") or ())
    named, words = take_project(earlier)
    actions = _actions(context.info_name or "")
    found = [word for word in actions if not words and word.startswith(incomplete)]
    found += _quietly(lambda: _things(context, named, words, incomplete))
    items = [CompletionItem(word) for word in found]
    # Folders may be projects, or what an import is from.
    return [*items, CompletionItem(incomplete, type="dir")] if not named else items


def _actions(command: str) -> tuple[str, ...]:
    from importlib import import_module

    if command not in ("queue", "jobs", "labels", "encoder"):
        return ()
    module = import_module(f"coldal_tui.cli.{command}")
    actions: tuple[str, ...] = module.ACTIONS
    return actions


def _things(
    context: click.Context, named: tuple[str, ...], words: tuple[str, ...], start: str
) -> Iterable[str]:
    command = context.info_name
    if command == "encoder" and words:
        from coldal_tui.encoders.catalogue import list_encoders

        return [info.name for info in list_encoders() if info.name.startswith(start)]
    column = {"why": "scan_id", "queue": "scan_id", "jobs": "job_id", "labels": "quarantine_id"}
    if command not in column or (command != "why" and not words):
        return ()
    table = {"jobs": "jobs", "labels": "quarantine"}.get(command, "scans")
    with _open(named) as project:
        return _matches(project, f"SELECT {column[command]} FROM {table}", start)


def complete_strategies(*asked: Any) -> list[str]:
    """Complete names of strategies, those of plug-ins included."""
    from coldal_tui import plugins
    from coldal_tui.selection.needs import NEEDS

    return _starting(asked, lambda: [*NEEDS, *plugins.entries(plugins.STRATEGY)])


def complete_export_formats(*asked: Any) -> list[str]:
    """Complete names of export formats."""
    from coldal_tui.exchange.exporters import export_formats

    return _starting(asked, export_formats)


def complete_mask_formats(*asked: Any) -> list[str]:
    """Complete names of mask formats."""
    from coldal_tui.exchange.importers import load_registry

    return _starting(asked, lambda: ["auto", *(one.name for one in load_registry().importers)])


def complete_people(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the people that scans are assigned to; in ``ana,b`` the last name."""
    done, comma, start = incomplete.rpartition(",")

    def people() -> list[str]:
        named, _ = take_project(tuple(context.params.get("targets") or ()))
        with _open(named) as project:
            return _matches(project, "SELECT DISTINCT assignee FROM queue", start)

    return [f"{done}{comma}{name}" for name in _quietly(people)]


def _starting(asked: tuple[Any, ...], names: Callable[[], Iterable[str]]) -> list[str]:
    return sorted({name for name in _quietly(names) if name.startswith(asked[-1])})


def _open(named: tuple[str, ...]) -> Project:
    from coldal_tui.project.project import Project

    root = Path(named[0]) if named else standing_project() or nearest_project()
    if root is None:
        raise UsageError("no project here")
    return Project(root, readonly=True)


def _matches(project: Project, query: str, start: str) -> list[str]:
    rows = project.store.tuples(query)
    found = sorted({str(value) for (value,) in rows if value is not None})
    return [name for name in found if name.startswith(start)][:MOST]


def _quietly(names: Callable[[], Iterable[str]]) -> list[str]:
    """Offer nothing instead of raising an error: completion can't show one."""
    try:
        return list(names())
    except Exception:  # whatever is wrong is said when the command runs
        return []
