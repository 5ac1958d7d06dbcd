"""Makes a project and its first list of scans; leaves nothing behind when that fails."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.project.database.journal import journal_of
from coldal_tui.project.database.store import Store
from coldal_tui.project.layout import Layout, is_project
from coldal_tui.project.project import Project, relative_or_absolute
from coldal_tui.project.scans.indexing import IndexReport, Progress, reindex
from coldal_tui.project.scans.modality import Decision, decide_modality
from coldal_tui.project.settings.config import check_pattern, edit_config

Settings = dict[tuple[str, str], Any]
"""Values of ``coldal.toml`` by section and key."""


@dataclass(frozen=True)
class Created:
    """A new project: its first index, and how intensities are read where that was decided."""

    root: Path
    report: IndexReport
    decided: Decision | None


def create_project(
    root: Path,
    images: Path,
    settings: Mapping[tuple[str, str], Any],
    *,
    progress: Progress | None = None,
) -> Created:
    """Make the project folder ``root`` with ``settings`` and index the folder ``images``.

    How intensities are read is decided by looking at the data, unless ``settings`` say it.

    Raises
    ------
    UsageError : a wrong folder or setting.
    ColdalError : the images can't be indexed. Either way nothing is left of the project.
    """
    layout = Layout(root)
    if not is_project(root) and layout.state.exists() and not _begun_only(layout):
        raise UsageError(
            "this folder holds the state of a project whose coldal.toml is gone",
            where=str(layout.state),
            remedy="put coldal.toml back, or move that folder away",
        )
    before = _existing(layout)
    try:
        with Project.create(root, images) as project:
            _configure(project, settings)
            report = reindex(project, progress=progress)
            decided = None
            if ("images", "modality") not in settings:
                decided = _decide(project)
            return Created(project.root, report, decided)
    except BaseException:
        _remove(layout, before)
        raise


def class_names(text: str) -> tuple[str, ...]:
    """The names of the mask values 1, 2, … in ``left, right``; UsageError for an empty one."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise UsageError(
            "--classes has an empty name", remedy="name them in order: --classes left,right"
        )
    return names


def patients_setting(words: str, root: Path) -> Settings:
    """The setting for a CSV file or a pattern on the path; UsageError for a wrong one."""
    if not _looks_like_file(words):
        try:
            check_pattern(words, f"--patients {words}")
        except ColdalError as error:
            raise UsageError(error.what, where=error.where, remedy=error.remedy) from error
        return {("images", "patients_pattern"): words}
    if not Path(words).is_file():
        raise UsageError("no such file", where=words, remedy="check --patients")
    return {("images", "patients_csv"): relative_or_absolute(Path(words).absolute(), root)}


def _looks_like_file(words: str) -> bool:
    return Path(words).is_file() or words.lower().endswith((".csv", ".tsv"))


def _configure(project: Project, settings: Mapping[tuple[str, str], Any]) -> None:
    if settings:
        try:
            edit_config(project.layout.config, dict(settings))
        except ColdalError as error:
            # The file it names is about to go: the options are what the caller can mend.
            raise UsageError(error.what, remedy=error.remedy, code=error.code) from error
        project.reload_config()


def _decide(project: Project) -> Decision | None:
    """Decide how intensities are read, for all files, and write it into ``coldal.toml``."""
    decided = decide_modality(project)
    if decided is not None and decided.modality != ("auto",):
        words = decided.modality
        _configure(project, {("images", "modality"): words[0] if len(words) == 1 else words})
    return decided


def _begun_only(layout: Layout) -> bool:
    """Whether all that is here was left by an init that was cut off: nothing is in it."""
    folders = (layout.labels, layout.exports, layout.runs, layout.jobs, layout.embeddings)
    try:
        if any(folder.is_dir() and any(folder.iterdir()) for folder in folders):
            return False
        if journal_of(layout.database).exists():
            return False
        if not layout.database.exists() or not layout.database.stat().st_size:
            return True
        with contextlib.closing(Store(layout.database, create=True)) as store:
            return not store.value("SELECT 1 FROM scans UNION SELECT 1 FROM audit LIMIT 1")
    except (ColdalError, OSError):
        return False


def _existing(layout: Layout) -> set[Path]:
    folders = (layout.label_versions, layout.labels, layout.exports, layout.root)
    return {path for path in (layout.config, *folders, *layout.root.parents) if path.exists()}


def _remove(layout: Layout, before: set[Path]) -> None:
    """Remove all that a failed call made, and nothing that was there before."""
    if layout.config in before:
        return
    layout.config.unlink(missing_ok=True)
    shutil.rmtree(layout.state, ignore_errors=True)
    folders = (layout.label_versions, layout.labels, layout.exports, layout.root)
    for folder in (*folders, *layout.root.parents):
        if folder not in before:
            with contextlib.suppress(OSError):
                folder.rmdir()
