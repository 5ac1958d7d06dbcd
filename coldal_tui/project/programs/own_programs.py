"""The program of a person's own key, filled in for one scan.

Masks are handed over as copies in the person's own folder: what a program saves there never changes
a stored label. A copy that was changed stays, and is opened again, until it is taken in or removed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.errors import ColdalError
from coldal_tui.files import disk_error, sha256_file
from coldal_tui.project.hooks.running import last_words
from coldal_tui.project.labels.files import checked_label
from coldal_tui.project.project import Project
from coldal_tui.project.records import ScanRecord
from coldal_tui.project.runs import latest_run
from coldal_tui.project.settings.config_keys import OwnKey, filled, placeholders, split_command
from coldal_tui.project.trust_questions import require_trust
from coldal_tui.trust_store import state_folder

_NOTE = ".given"
"""Ends the name of the file that has the hash of what was handed over."""


@dataclass(frozen=True)
class Program:
    """What a key runs: words without a shell, and the folder to run in.

    ``changed``: copies in it that somebody has changed since they were handed over.
    """

    key: OwnKey
    words: tuple[str, ...]
    folder: Path
    changed: tuple[Path, ...] = ()


def program_of(project: Project, key: OwnKey, scan_id: str, copies: Path | None = None) -> Program:
    """The program of ``key`` for one scan. ``copies``: where copies of masks lie.

    Raises
    ------
    ColdalError : the project is not trusted (its own keys only), the scan has no such mask, or its
        name could be taken for an option.
    """
    if not key.personal:
        require_trust(project.layout, project.config)
    scan = project.scan(scan_id)
    words = split_command(key.run)
    place = copies or _copies(project)
    changed: list[Path] = []
    values = {
        name: _value(project, scan, name, key, place, changed) for name in placeholders(words)
    }
    for name in ("scan", "patient"):
        if values.get(name, "").startswith("-") and f"{{{name}}}" in words:
            raise ColdalError(
                f"the {name}'s name begins with -: {words[0]} would take it for an option",
                where=values[name],
                remedy=f"write {{{name}}} behind something, such as --{name}={{{name}}}",
                code="own-key",
            )
    return Program(key, tuple(filled(words, values)), project.root, tuple(changed))


def _copies(project: Project) -> Path:
    digest = hashlib.sha256(str(project.root).encode()).hexdigest()[:16]
    return state_folder() / "opened" / digest


def _value(
    project: Project,
    scan: ScanRecord,
    name: str,
    key: OwnKey,
    copies: Path,
    changed: list[Path],
) -> str:
    if name == "image":
        files = scan.ref(project.images).files
        return files[0] if len(files) == 1 else os.path.commonpath(map(os.path.dirname, files))
    if name in ("scan", "patient"):
        return scan.scan_id if name == "scan" else scan.patient_id
    if name == "project":
        return str(project.root)
    found = _label(project, scan.scan_id) if name in ("label", "mask") else None
    if found is None and name in ("prediction", "mask"):
        from coldal_tui.project.models.prelabels import Prelabels  # loads the importers

        prelabel = Prelabels(project, latest_run(project)).of(scan.scan_id)
        found = prelabel.file if prelabel is not None else None
    if found is None:
        what = {"label": "label", "prediction": "prediction"}.get(name, "label and no prediction")
        raise ColdalError(
            f"this scan has no {what} yet, and {key.key} hands one over: {key.run}",
            where=scan.scan_id,
            remedy=f"choose a scan that has one, or leave {{{name}}} out of the command",
            code="own-key",
        )
    copy, is_changed = _copied(found, copies)
    if is_changed:
        changed.append(copy)
    return str(copy)


def _label(project: Project, scan_id: str) -> Path | None:
    row = project.store.row(
        "SELECT * FROM labels WHERE scan_id = ? AND state = 'active'", (scan_id,)
    )
    return checked_label(project, row) if row is not None else None


def _copied(file: Path, folder: Path) -> tuple[Path, bool]:
    """The copy of a mask, and whether somebody has changed it: then it is left as it is."""
    copy, note = folder / file.name, folder / f"{file.name}{_NOTE}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if copy.exists() and note.exists() and sha256_file(copy) != note.read_text("ascii"):
            return copy, True
        shutil.copyfile(file, copy)
        note.write_text(sha256_file(copy), "ascii")
    except OSError as error:
        raise disk_error(error, copy) from error
    return copy, False


def start_beside(program: Program, ended: Callable[[str], None]) -> None:
    """Start a program that goes on beside the app; call it in a thread, it waits for the end.

    ``ended`` gets why it failed, or nothing. Raises ColdalError where it can't be started.
    """
    with tempfile.TemporaryFile() as output:
        try:
            running = subprocess.Popen(
                program.words,
                cwd=program.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise cannot_run(program, error) from error
        status = running.wait()
        ended(status_words(program, status) + last_words(output) if status else "")


def run_here(program: Program, terminal: int = 1) -> str:
    """Run a program on the terminal and wait; why it failed, or nothing.

    ``terminal``: the descriptor that it writes to. Raises ColdalError where it can't be started.
    """
    try:
        status = subprocess.call(
            program.words, cwd=program.folder, stdout=terminal, stderr=terminal
        )
    except OSError as error:
        raise cannot_run(program, error) from error
    return status_words(program, status) if status else ""


def status_words(program: Program, status: int) -> str:
    how = f"exit status {status}" if status > 0 else f"signal {-status}"
    return f"{program.key.key}: {program.words[0]} ended with {how}"


def cannot_run(program: Program, error: OSError) -> ColdalError:
    """The error of a program that is missing or may not be run."""
    return ColdalError(
        f"{program.key.key} can't be run: {program.words[0]}: {error.strerror}",
        where=program.key.where,
        remedy="install the program, or write its full path",
        code="own-key",
    )
