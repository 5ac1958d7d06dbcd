"""``--match``: the user's description of mask names; a template or a table of files."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from coldal_tui.errors import UsageError
from coldal_tui.exchange.names import file_stem, same_name

CASE = "case"
SCAN_FIELDS = ("stem", "scan_id", "patient", "series_uid", "folder", CASE)
_IMAGE_SIGN = " = "
_FIELDS = (*SCAN_FIELDS, "class", "annotator")
_WORD = re.compile(r"(\{[^{}]*\}|\*)")
_MOST_BYTES = 64 << 20
_MOST_STARS = 2


@dataclass(frozen=True)
class Said:
    """The fields that a template finds in a mask's name.

    ``fields`` give the scan, the class and the author. ``part`` distinguishes the files of one mask
    (its class, and the text of ``*``), ``whole`` is the name without it; both are empty if one file
    is one mask.
    """

    fields: Mapping[str, str]
    part: str = ""
    whole: str = ""


@dataclass(frozen=True)
class Template:
    """A pattern of mask names made from scan names, such as ``{stem}_1stHO``.

    ``{stem}`` is the image's file name without its ending, ``{scan_id}`` the project's id,
    ``{patient}`` the patient's, ``{series_uid}`` a DICOM series', ``{folder}`` one of the image's
    folders. ``{class}`` is the single class in a file, ``{annotator}`` its author, ``*`` any
    text. With slashes the template covers the last folders too: ``{stem}/mask``. Files that differ
    only in ``{class}`` or ``*`` are parts of one mask. ``{case}`` is what a mask's name shares with
    its image's, which ``images`` reads out of the image's name.
    """

    text: str
    levels: int
    pattern: re.Pattern[str]
    stars: int
    images: Template | None = None

    @staticmethod
    def parse(text: str) -> Template:
        """Read a template; after `` = `` may follow the template of the images' names.

        Raises
        ------
        UsageError : an unknown or repeated field, or no field that identifies the scan; ``{case}``
            without a template of the images' names, or one without ``{case}``.
        """
        masks, sign, images = text.partition(_IMAGE_SIGN)
        found = Template._parse(masks.strip() if sign else text)
        of_images = Template._parse(images.strip()) if sign else None
        shares = CASE in _fields_of(found.text)
        if shares != (of_images is not None) or (
            of_images is not None and _fields_of(of_images.text) != [CASE]
        ):
            raise UsageError(
                f"{text!r} does not say what masks and images have in common",
                remedy="Write {case} in both: --match '{case}_seg' --image '{case}_flair'",
                code="template",
            )
        return replace(found, images=of_images)

    @staticmethod
    def _parse(text: str) -> Template:
        fields = _fields_of(text)
        known = all(field in _FIELDS for field in fields) and len(set(fields)) == len(fields)
        known = known and "}{" not in text
        if not known or not any(field in SCAN_FIELDS for field in fields):
            raise UsageError(
                f"the template {text!r} needs one {{stem}} or {{scan_id}} (or {{patient}}, "
                "{series_uid}, {folder}, {case}), and may have one {class}, one {annotator} and *",
                remedy="For masks named like IMAGE_seg.png write --match '{stem}_seg'. A CSV of "
                "mask,scan_id does the rest: --match masks.csv",
                code="template",
            )
        if text.count("*") > _MOST_STARS:
            # Each further one multiplies the ways in which a long name can be read.
            raise UsageError(
                f"the template {text!r} has more than {_MOST_STARS} *",
                remedy="Write out what all names share, or list the masks: --match masks.csv",
                code="template",
            )
        whole = same_name(text.replace("\\", "/")).strip("/")
        stars = 0
        pattern = ""
        for word in _WORD.split(whole):
            if word == "*":
                pattern += f"(?P<star{stars}>[^/]*)"
                stars += 1
            elif word.startswith("{") and word.endswith("}"):
                pattern += f"(?P<{word[1:-1]}>[^/]+)"
            else:
                pattern += re.escape(word)
        return Template(whole, whole.count("/") + 1, re.compile(pattern), stars)

    def apply(self, name: str) -> Said | None:
        """Apply the template to a mask's name; None if it does not match."""
        every = PurePosixPath(same_name(name.replace("\\", "/"))).parts
        parts = every[-self.levels :]
        if len(parts) < self.levels:
            return None
        # The template may include the file ending or leave it out.
        for last in (file_stem(parts[-1]), parts[-1]):
            found = self.pattern.fullmatch("/".join((*parts[:-1], last)))
            if found:
                return self._said(found, "/".join(every[: -self.levels]))
        return None

    def _said(self, found: re.Match[str], above: str) -> Said:
        named = found.groupdict()
        free = [name for name in named if name == "class" or name.startswith("star")]
        fields = {name: value for name, value in named.items() if not name.startswith("star")}
        if not free:
            return Said(fields)
        whole = found[0]
        for start, end in sorted((found.span(name) for name in free), reverse=True):
            whole = f"{whole[:start]}*{whole[end:]}"
        return Said(fields, "/".join(named[name] for name in free), f"{above}/{whole}")


def _fields_of(text: str) -> list[str]:
    return re.findall(r"\{([^{}]*)\}", text)


@dataclass(frozen=True)
class TableRow:
    """One line of a table: a mask's scan, and its class and author if given."""

    scan_id: str
    class_name: str = ""
    annotator: str = ""


@dataclass(frozen=True)
class Table:
    """A CSV file ``mask,scan_id[,class][,annotator]``: masks by path, or by file name."""

    path: Path
    rows: Mapping[str, TableRow]

    @staticmethod
    def read(path: Path) -> Table:
        """Read a table.

        Raises
        ------
        UsageError : it can't be read, lacks a column, or contradicts itself about a mask.
        """
        remedy = "It is a CSV file with a first line mask,scan_id (and class, annotator)."
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise UsageError("the table is too large", where=str(path), code="match-table")
            with path.open(encoding="utf-8-sig", newline="") as stream:
                reader = csv.DictReader(stream)
                names = {(name or "").strip().casefold(): name for name in reader.fieldnames or ()}
                if not {"mask", "scan_id"} <= set(names):
                    raise UsageError(
                        "the table needs the columns mask and scan_id",
                        where=str(path),
                        remedy=remedy,
                        code="match-table",
                    )
                lines = [
                    {low: (line.get(name) or "").strip() for low, name in names.items()}
                    for line in reader
                ]
        except (OSError, ValueError, csv.Error) as error:
            raise UsageError(
                f"the table can't be read: {error}",
                where=str(path),
                remedy=remedy,
                code="match-table",
            ) from error
        rows: dict[str, TableRow] = {}
        for line in lines:
            mask = same_name(line["mask"].replace("\\", "/")).removeprefix("./").lstrip("/")
            row = TableRow(line["scan_id"], line.get("class", ""), line.get("annotator", ""))
            if not mask or not row.scan_id:
                continue
            if rows.setdefault(mask, row) != row:
                raise UsageError(
                    f"the table says two things of {mask!r}",
                    where=str(path),
                    remedy="Keep one line for each mask.",
                    code="match-table",
                )
        return Table(path, rows)

    def row(self, name: str) -> TableRow | None:
        """The line for a mask: the listed path that is the longest suffix of its path."""
        parts = [part for part in same_name(name.replace("\\", "/")).split("/") if part]
        for first in range(len(parts)):
            tail = "/".join(parts[first:])
            found = self.rows.get(tail) or self.rows.get(tail[: len(tail) - len(_ending(tail))])
            if found is not None:
                return found
        return None


def _ending(name: str) -> str:
    return name[len(name) - len(name.rpartition("/")[2]) + len(file_stem(name)) :]


def with_images(match: str | None, image: str | None) -> str | None:
    """The pattern of ``--match`` and that of ``--image`` as one text.

    Raises
    ------
    UsageError : ``--image`` without ``--match``.
    """
    if image is None:
        return match
    if not match:
        raise UsageError(
            "--image says how images are named; how are the masks?",
            remedy="Write {case} in both: --match '{case}_seg' --image '{case}_flair'",
            code="template",
        )
    return f"{match}{_IMAGE_SIGN}{image}"


def parse_match(text: str | None) -> Template | Table | None:
    """Parse ``--match``: a path that ends with ``.csv`` is a table, all else a template."""
    if not text:
        return None
    if text.casefold().endswith(".csv") and "{" not in text:
        return Table.read(Path(text))
    return Template.parse(text)
