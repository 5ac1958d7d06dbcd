"""Exports the whole project as plain files: tables as CSV, labels unchanged."""

from __future__ import annotations

import csv
import secrets
import shutil
from pathlib import Path

from coldal_tui.errors import UsageError
from coldal_tui.files import atomic_write, disk_error, fsync_folder, sha256_file
from coldal_tui.project.database.journal import journal_of
from coldal_tui.project.project import Project

TABLES = (
    "scans",
    "problems",
    "rounds",
    "queue",
    "validation",
    "labels",
    "quarantine",
    "exports",
    "handouts",
    "prelabels",
    "runs",
    "metrics",
    "scores",
    "jobs",
    "audit",
    "maps",
    "encoders",
)
_README = """\
{name}: a coldal-tui project in plain files, written {at}.

tables/*.csv    one file per table, UTF-8, the first line names the columns; lists are JSON.
                Paths of scans are relative to the images folder, {images}
labels/         the labels that count, on their scans' own grids (PNG or NIfTI), values as below
labels/versions earlier versions
coldal.toml     the settings
journal.jsonl   every action, with the labels that it brought
sha256sums.txt  check with: sha256sum -c sha256sums.txt

Label values: {classes}
Images are not part of this, nor embeddings, maps and weights, which can be made again.
"""


def export_project(project: Project, out: Path) -> dict[str, int]:
    """Write everything to the new folder ``out``; return counts by table and ``label files``.

    Raises UsageError when ``out`` exists, ColdalError (``disk``) when writing fails.
    """
    out = project.output_place(out.absolute())
    if out.exists():
        raise UsageError("this is there already", where=str(out), remedy="name a new folder")
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
    try:
        (partial / "tables").mkdir(parents=True)
        with project.store.reading():
            counts = {table: _table(project, table, partial / "tables") for table in TABLES}
        counts["label files"] = _labels(project, partial / "labels")
        for file in (project.layout.config, journal_of(project.layout.database)):
            if file.is_file():
                shutil.copyfile(file, partial / file.name)
        classes = project.config.classes.names
        text = _README.format(
            name=project.name,
            at=project.store.now(),
            images=project.images,
            classes=", ".join(f"{value} = {name}" for value, name in enumerate(classes, 1)),
        )
        (partial / "README.txt").write_text(text, "utf-8")
        _sums(partial)
        partial.replace(out)
        fsync_folder(out.parent)
    except OSError as error:
        raise disk_error(error, out) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return counts


def _table(project: Project, table: str, folder: Path) -> int:
    """One table as CSV without binary columns (such as the inverse of an action)."""
    rows = project.store.rows(f"SELECT * FROM {table}")
    listed = project.store.rows(f"PRAGMA table_info({table})")
    names = [column["name"] for column in listed if column["type"] != "BLOB"]
    with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        writer.writerows([row[name] for name in names] for row in rows)
    return len(rows)


def _labels(project: Project, target: Path) -> int:
    count = 0
    for source in (project.layout.labels, project.layout.label_versions):
        if not source.is_dir():
            continue
        folder = target if source == project.layout.labels else target / "versions"
        folder.mkdir(parents=True)
        for file in sorted(source.iterdir()):
            if file.is_file() and not file.is_symlink() and not file.name.startswith("."):
                shutil.copyfile(file, folder / file.name)
                count += 1
    return count


def _sums(folder: Path) -> None:
    lines = [
        f"{sha256_file(file)}  {file.relative_to(folder).as_posix()}\n"
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]
    data = "".join(lines).encode()
    atomic_write(folder / "sha256sums.txt", lambda stream: stream.write(data))
