"""The names that ``--redact`` hides: what of a project may say who a person is."""

from __future__ import annotations

import json
import re
import socket
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from getpass import getuser
from pathlib import Path, PurePosixPath
from typing import Any

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.names import file_stem
from coldal_tui.project.database.store import Row, Store
from coldal_tui.project.layout import Layout, is_project
from coldal_tui.project.project import Project
from coldal_tui.redaction import Redactor

_PEOPLE = (
    "SELECT who FROM audit ORDER BY audit_id",
    "SELECT assignee FROM queue WHERE assignee IS NOT NULL ORDER BY round, rank",
    "SELECT author FROM labels WHERE author IS NOT NULL ORDER BY label_id",
    "SELECT person FROM handouts ORDER BY handout_id",
    "SELECT person FROM returned_files ORDER BY returned_id",
    "SELECT author FROM quarantine WHERE author IS NOT NULL ORDER BY quarantine_id",
    "SELECT person FROM server_drawings ORDER BY updated_at",
)
_FILES = (
    "SELECT rel_path FROM problems ORDER BY rel_path",
    "SELECT source FROM labels ORDER BY label_id",
    "SELECT file FROM quarantine ORDER BY quarantine_id",
    "SELECT source FROM quarantine ORDER BY quarantine_id",
    "SELECT source FROM returned_files ORDER BY returned_id",
    "SELECT origin FROM prelabels ORDER BY prelabel_id",
)
_NOTES = (
    "SELECT excluded FROM scans WHERE excluded IS NOT NULL ORDER BY rowid",
    "SELECT comment FROM server_drawings WHERE comment != '' ORDER BY updated_at",
)
_SCANS = (
    "SELECT rowid, scan_id, patient_id, rel_path, meta FROM scans WHERE rowid > ? ORDER BY rowid"
)
_COMMON = """
annotations anonymous ct data dataset datasets demo dicom dx exports expert image images imagestr
imagests imgs label labeler labels labelstr manual mask masks mr mri nifti nii none patient patients
person png pool predictions project radiologist rater raw reader review root sample scan scans
segmentation segmentations series sites studies study test train training unknown user users
validation volumes xray
backups cache coldal incoming jobs keys quarantine servers state versions
"""
COMMON = frozenset(_COMMON.split())
"""Words of folders, files and people that say nothing about a person."""
HARMLESS = frozenset(
    ("female", "male", "true", "false", "none", "unknown", "left", "right", "yes", "no", "other")
)
_PERSONAL = re.compile(
    r"name|patient|subject|birth|dob|mrn|(^|_)id($|_)|accession|address|phone|mail|physician|date",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?<!\d)(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})(?!\d)")
_PARTS = re.compile(r"[^\W\d_]{4,}")


class NamesToHide:
    """Teaches a redactor the names of the projects in ``roots``, again whenever they change."""

    def __init__(self, redactor: Redactor, roots: Sequence[Path]) -> None:
        self._redactor, self._roots = redactor, tuple(roots)
        self._stamps: dict[Path, Any] = {}
        self._last: dict[Path, int] = {}

    def learn(self) -> None:
        """Learn what has come since the last time.

        Raises ColdalError where a project's names can't be read.
        """
        for root in self._roots:
            if not is_project(root):
                continue
            stamp = _stamp(Layout(root))
            if stamp == self._stamps.get(root):
                continue
            with Project(root, readonly=True) as project:
                self._learn_project(project)
            self._stamps[root] = stamp

    def learn_more(self) -> None:
        """Like :meth:`learn`; while a project can't be read, what is known already is hidden."""
        try:
            self.learn()
        except (ColdalError, OSError):
            return

    def _learn_project(self, project: Project) -> None:
        redactor, store, root = self._redactor, project.store, project.root
        for path, word in ((root, "PROJECT"), (project.images, "IMAGES")):
            for one in {str(path), str(path.absolute()), str(path.resolve())}:
                redactor.alias(one, word)
        redactor.alias(project.config.project.name or root.name, "project")
        redactor.alias(root.name, "project")
        rows = store.rows(_SCANS, (self._last.get(root, 0),))
        if rows:
            self._last[root] = rows[-1]["rowid"]
        redactor.learn("scan", (row["scan_id"] for row in rows))
        redactor.learn("patient", (row["patient_id"] for row in rows))
        self._learn_paths(rows)
        learn_people(redactor, _texts(store, _PEOPLE))
        classes = {name.casefold() for name in project.config.classes.names}
        for row in rows:
            redactor.learn("value", _telling(json.loads(row["meta"]), classes))
        for text in _texts(store, _FILES):
            self._learn_file(text)
        redactor.learn("note", _texts(store, _NOTES))
        redactor.learn("server", project.config.connections)
        redactor.learn("file", _paths_of(tomllib.loads(project.layout.config.read_text("utf-8"))))

    def _learn_paths(self, rows: Sequence[Row]) -> None:
        for row in rows:
            shown = self._redactor.pseudonym(row["scan_id"]) or "scan"
            path = PurePosixPath(row["rel_path"])
            for one in (str(path), file_stem(row["scan_id"]), PurePosixPath(row["scan_id"]).name):
                if telling(one):
                    self._redactor.alias(one, shown)
            if len(path.parts) > 1:
                self._redactor.learn("folder", filter(telling, path.parts[:-1]))
            if telling(file_stem(path.name)):
                self._redactor.alias(path.name, shown)
                self._redactor.alias(file_stem(path.name), shown)

    def _learn_file(self, text: str) -> None:
        """A mask's or a refused file's path: as a whole, its name, and its folders."""
        parts = [part for part in re.split(r"[/\\!]", text) if part]
        known = [self._redactor.pseudonym(file_stem(part)) for part in parts]
        if parts and known[-1] is None and telling(file_stem(parts[-1])):
            self._redactor.learn("file", [file_stem(parts[-1])])
        self._redactor.learn(
            "folder",
            (
                part
                for part, there in zip(parts[:-1], known, strict=False)
                if not there and telling(part)
            ),
        )


def learn_people(redactor: Redactor, names: Iterable[str]) -> None:
    """Persons, and the words of their names, which may stand alone: ``Ana Lima`` as ``Lima``."""
    for name in names:
        if name.casefold() in COMMON:
            continue
        redactor.learn("person", [name])
        shown = redactor.pseudonym(name)
        for part in _PARTS.findall(name):
            if shown is not None and part.casefold() not in COMMON:
                redactor.alias(part, shown)


def learn_machine(redactor: Redactor) -> None:
    """Who is here, and where: the home folder, the login name and the machine's name."""
    redactor.alias(str(Path.home()), "HOME")
    for host in {socket.gethostname(), socket.gethostname().partition(".")[0]}:
        if host != "localhost":
            redactor.alias(host, "host")
    try:
        learn_people(redactor, [getuser()])
    except (KeyError, OSError):  # a uid without a name
        return


def telling(name: str) -> bool:
    """Whether the name of a folder or file may say whose scan it is."""
    letters = sum(map(str.isalpha, name))
    return name.casefold() not in COMMON and (letters >= 3 or sum(map(str.isdigit, name)) >= 4)


def _telling(meta: Any, classes: set[str]) -> Iterator[str]:
    """Values of metadata that may name somebody: texts, dates, numbers of persons."""
    if not isinstance(meta, dict):
        return
    for key, value in meta.items():
        if key == "format":
            continue
        if isinstance(value, (dict, list)):
            inner = value.items() if isinstance(value, dict) else ((key, one) for one in value)
            for name, one in inner:
                yield from _telling({name: one}, classes)
            continue
        text = str(value).strip()
        if len(text) < 3 or text.casefold() in HARMLESS | classes:
            continue
        is_number = _is_number(text)
        if (
            not is_number
            or _PERSONAL.search(str(key))
            or (text.isdigit() and _DATE.fullmatch(text))
        ):
            yield text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _texts(store: Store, queries: Sequence[str]) -> Iterator[str]:
    for query in queries:
        for (text,) in store.tuples(query):
            if isinstance(text, str) and text.strip():
                yield text


def _paths_of(table: Any) -> Iterator[str]:
    """The texts of a coldal.toml that are paths."""
    if isinstance(table, dict):
        for value in table.values():
            yield from _paths_of(value)
    elif isinstance(table, str) and "/" in table and "\n" not in table:
        yield table


def _stamp(layout: Layout) -> Any:
    stamps: list[tuple[int, int, int] | None] = []
    for path in (layout.database, layout.database.with_name(f"{layout.database.name}-wal")):
        try:
            found = path.stat()
        except OSError:
            stamps.append(None)
        else:
            stamps.append((found.st_ino, found.st_mtime_ns, found.st_size))
    return stamps
