"""Reports of imports and exports in words, for the command line and the app."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from coldal_tui.exchange.importers import load_registry
from coldal_tui.exchange.incoming.survey import UNKNOWN_FORMAT
from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.project.export.exporting import ExportReport
from coldal_tui.project.labels.importing import ImportReport
from coldal_tui.visible import counted

_SHOWN = 20
_T = TypeVar("_T")
_NUMBER = re.compile(r"\d[\d.,]*")
_MANY_KEYS = 6


def import_lines(report: ImportReport, shown: int = _SHOWN) -> list[str]:
    """The counts, and for ``shown`` masks of each kind how or why not they were imported."""
    would = "would be " if report.dry_run else ""
    lines = [f"saw {report.saw}", f"{would}accepted: {counted(len(report.accepted), 'mask')}"]
    if report.kept:
        lines.append(f"{would}kept as versions beside the one that counts: {len(report.kept):,}")
    lines += _of_several(report, shown)
    if report.unchanged:
        lines.append(f"in the project before, unchanged: {len(report.unchanged):,}")
    if report.manual:
        lines.append(
            f"of these, {len(report.manual):,} for scans that nobody queued (role manual; they "
            "count in the budget)"
        )
    stored = _stored(report)
    for geometry in sorted({v.geometry for v in stored} - {"match", ""}):
        count = sum(v.geometry == geometry for v in stored)
        lines.append(f"  {count:,} with another grid: {geometry}")
    lines += _notes(report, shown)
    warned = [f"warning: {v.shown}: {text}" for v in stored for text in v.warnings]
    lines += _cut(warned, shown, "warnings")
    lines += _agreement(report, shown)
    if report.quarantined:
        lines.append(f"{would}quarantined: {len(report.quarantined):,}")
        lines += _cut(_reasons(report.quarantined, codes=True), shown, "coldal-tui labels list")
        lines += _unknown(report, shown)
    if report.unmatched:
        kept = "" if report.dry_run else " (they wait in quarantine)"
        lines.append(f"no scan found for: {len(report.unmatched):,}{kept}")
        lines += _cut(_reasons(report.unmatched), shown, "--json lists all")
    lines += _passed_over(report, shown)
    if not came_in(report):
        known = report.quarantined or report.unmatched
        if report.ignored and not any(v.message == UNKNOWN_FORMAT for v in report.ignored):
            known = report.ignored
        formats = "" if known else f". Formats that are known: {', '.join(_formats())}"
        lines.append(f"nothing came in{formats}")
    if report.dry_run:
        lines.append("nothing was changed (--dry-run)")
    return lines


def came_in(report: ImportReport) -> bool:
    """Whether the import found a mask that is a new or a known label."""
    drawn = report.waiting or report.disputed or report.checked
    return bool(report.accepted or report.unchanged or report.kept or drawn)


def prelabel_words(report: ExportReport) -> str:
    """How many pre-labels went out and which models made them; empty when there are none."""
    if not report.prelabels:
        return ""
    if len(report.makers) == 1:
        return f"with {counted(report.prelabels, 'pre-label')} by {next(iter(report.makers))}"
    told = ", ".join(f"{maker} {count:,}" for maker, count in sorted(report.makers.items()))
    return f"with {counted(report.prelabels, 'pre-label')}" + (f" ({told})" if told else "")


def export_lines(report: ExportReport) -> list[str]:
    """The exported scans, their labelers, and which files to keep."""
    lines = [f"exported {counted(len(report.scans), 'scan')} to {report.folder}"]
    lines += [words] if (words := prelabel_words(report)) else []
    for person, count in report.assignees.items():
        known = f" (called {report.pseudonyms[person]})" if person in report.pseudonyms else ""
        lines.append(f"  {person}{known}: {count:,}")
    lines += check_lines(report)
    if report.shared:
        scans = counted(report.shared, "scan")
        lines.append(f"{scans} went to several people: a folder for each person")
    if report.expected is not None and report.expected.scans:
        what = counted(report.expected.scans, "drawing")
        lines.append(f"{what} {report.expected.words}")
    if report.key_file:
        lines.append(f"who is who, to keep: {report.key_file}")
        lines.append(
            "not removed: text that is burned into pixels, and faces; look before you send"
        )
    return lines


def check_lines(report: ExportReport) -> list[str]:
    """Who got hidden scans, and how many; empty when nobody did."""
    lines = [
        f"  hidden among those of {person}: {counted(count, kind)}"
        for person, kind, count in report.checks
    ]
    more = ["without pre-labels, so that hidden scans look like all others"]
    return [*lines, *more] if lines else []


def _of_several(report: ImportReport, shown: int) -> list[str]:
    """Drawings that wait for those of others, are in dispute, or check their authors."""
    would = "would be " if report.dry_run else ""
    lines: list[str] = []
    for found, what in (
        (report.waiting, f"drawings {would}kept until the others are back"),
        (report.disputed, f"drawings {would}in dispute: a person decides"),
        (report.checked, f"drawings {would}kept as honeypots or repeats: they change no label"),
    ):
        if found:
            lines.append(f"{what}: {len(found):,}")
            told = [f"{v.scan_id} by {v.author}: {v.message}" for v in found if v.message]
            lines += _cut(told, shown, "--json lists all")
    if report.disputed and not report.dry_run:
        lines.append("settle disputes with: coldal-tui labels adjudicate")
    return lines


def _formats() -> list[str]:
    return sorted(importer.name for importer in load_registry().importers)


def _stored(report: ImportReport) -> list[Verdict]:
    """The masks that became labels, and the drawings that are kept beside others or wait."""
    open_ = (*report.waiting, *report.disputed, *report.checked)
    return [*report.accepted, *report.kept, *open_]


def _notes(report: ImportReport, shown: int) -> list[str]:
    """Changes to stored masks: joined, overlaps decided, gaps filled, reoriented."""
    agreed = {str(one) for one in report.agreement}
    told = [(v, note) for v in _stored(report) for note in v.notes if note not in agreed]
    lines = [
        f"{v.shown}: {note}{_more(count)}"
        for (v, note), count in _alike(told, lambda one: one[1].partition(":")[0])
    ]
    return _cut(lines, shown, "--json lists all")


def _passed_over(report: ImportReport, shown: int) -> list[str]:
    """Ignored files by reason, with one example each."""
    if not report.ignored:
        return []
    files = [verdict for verdict in report.ignored if not verdict.key]
    within = [verdict for verdict in report.ignored if verdict.key]
    lines: list[str] = []
    for group, what in ((files, "file"), (within, "mask")):
        if not group:
            continue
        where = " within files" if group is within else ""
        lines.append(f"passed over: {counted(len(group), what)}{where}")
        reasons = [
            f"{count:,}: {verdict.message} (such as {_name(verdict)})"
            if count > 1
            else f"{_name(verdict)}: {verdict.message}"
            for verdict, count in _alike(group, lambda one: one.message)
        ]
        lines += _cut(reasons, shown, "--json lists all")
    return lines


def _name(verdict: Verdict) -> str:
    name = verdict.origin.rpartition("/")[2]
    return f"{name} [{verdict.key}]" if verdict.key else name


def _alike(found: Iterable[_T], words: Callable[[_T], str]) -> list[tuple[_T, int]]:
    """Group messages that differ only in numbers: the first of each group, and its count."""
    groups: dict[str, list[_T]] = {}
    for one in found:
        groups.setdefault(_NUMBER.sub("#", words(one)), []).append(one)
    ordered = sorted(groups.values(), key=lambda group: -len(group))
    return [(group[0], len(group)) for group in ordered]


def _more(count: int) -> str:
    return f" (and {count - 1:,} more like it)" if count > 1 else ""


def _unknown(report: ImportReport, shown: int) -> list[str]:
    """The missing entries of the class map, ready to be completed."""
    few = min(shown, _MANY_KEYS) if len(report.unknown) > _MANY_KEYS else shown
    words = [f"--map {shlex.quote(f'{key}=CLASS')}" for key in list(report.unknown)[:few]]
    if len(report.unknown) > few:
        words.append("… --map '*=background' (or '*=CLASS') for all others")
    return [f"say what they mean: {' '.join(words)}"] if words else []


def _reasons(verdicts: Sequence[Verdict], *, codes: bool = False) -> list[str]:
    """One line per mask; a remedy that many share is given once, above them."""
    groups: dict[tuple[str, str | None], list[Verdict]] = {}
    for one in verdicts:
        groups.setdefault((one.code, one.remedy), []).append(one)
    lines: list[str] = []
    for (code, remedy), found in groups.items():
        shown = f" ({code})" if codes else ""
        if remedy is None or len(found) == 1:
            lines += [f"{one.shown}{shown}: {one.explanation}" for one in found]
            continue
        lines.append(f"→ {len(found):,} of them: {remedy}")
        lines += [f"{one.shown}{shown}: {one.sentence}" for one in found]
    return lines


def _cut(lines: Sequence[str], shown: int, further: str) -> list[str]:
    cut = [f"  {line}" for line in lines[:shown]]
    return cut + [f"  … and {len(lines) - shown:,} more: {further}"] * (len(lines) > shown)


def _agreement(report: ImportReport, shown: int) -> list[str]:
    """Means over scans for every pair of raters and class."""
    groups: dict[tuple[str, str, str, str], list[tuple[float, float]]] = {}
    for one in report.agreement:
        pair = one.first, one.second, one.name, one.unit
        groups.setdefault(pair, []).append((one.dice, one.hd95))
    if not groups:
        return []
    lines = []
    for (first, second, name, unit), found in groups.items():
        dice = sum(d for d, _ in found) / len(found)
        hd95 = sum(h for _, h in found) / len(found)
        scans = counted(len(found), "scan")
        lines.append(
            f"{first} and {second}, {name}: Dice {dice:.3f}, HD95 {hd95:.1f} {unit} ({scans})"
        )
    return ["agreement of the raters (means)", *_cut(lines, shown, "--json lists all")]
