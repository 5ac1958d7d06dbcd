"""Retries masks in quarantine after they, or coldal.toml, were corrected."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from coldal_tui.below import stay_below
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, ScanTarget
from coldal_tui.exchange.importers import load_registry
from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.exchange.incoming.importing import examine, examine_file
from coldal_tui.exchange.incoming.names.matching import Match, Matcher
from coldal_tui.exchange.incoming.names.name_readings import ClassWords
from coldal_tui.exchange.incoming.survey import Survey, survey_source
from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.exchange.names import person_key
from coldal_tui.files import sha256_file
from coldal_tui.project.changed_images import IMAGE_CHANGED
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.class_map import with_class_map
from coldal_tui.project.labels.exported import known_exports
from coldal_tui.project.labels.files import tidy_label_files
from coldal_tui.project.labels.quarantine import RESOLVED, is_joined, resolve_quarantine
from coldal_tui.project.labels.raters.returned import Returned
from coldal_tui.project.labels.staging import LabelWriter, Staged, Stager
from coldal_tui.project.labels.suspended import confirm_label
from coldal_tui.project.labels.targets import targets
from coldal_tui.project.project import Project
from coldal_tui.trust_store import TrustStore


@dataclass(frozen=True)
class Retried:
    """The result of retrying one quarantined mask."""

    quarantine_id: int
    scan_id: str | None
    accepted: bool
    code: str
    message: str


def retry_quarantined(
    project: Project,
    rows: Sequence[Row],
    options: ImportOptions | None = None,
    *,
    scan_id: str | None = None,
) -> list[Retried]:
    """Retry quarantined masks: with the original file, if it exists, else with the copy.

    A label whose image changed becomes active again if its grid still fits. A mask that can't be
    decided stays, with the reason, and does not stop the others.

    Raises UsageError when ``scan_id`` is not a scan that can have a label.
    """
    chosen = None if scan_id is None else _target_id(project, scan_id)
    scans = targets(project)
    suspended = [row for row in rows if row["code"] == IMAGE_CHANGED]
    rows = [row for row in rows if row["code"] != IMAGE_CHANGED]
    with Stager(project, scans) as stager:
        decided = list(_decide_all(project, scans, rows, options, chosen, stager))
        returned = Returned(project, stager, options or ImportOptions())
        returned.prepare(one for _, one in decided if isinstance(one, Verdict))
        stager.sync()
        with project.store.action("quarantine retry") as action:
            writer = LabelWriter(project)
            results = [_settle(project, writer, returned, row, one) for row, one in decided]
            results = _ruled(results, returned.settle(writer))
            results += [_confirmed(project, row) for row in suspended]
            writer.sync()
            done = sum(result.accepted for result in results)
            action.summary = f"tried {len(results)} quarantined masks again, {done} accepted"
    tidy_label_files(project)
    return results


def _confirmed(project: Project, row: Row) -> Retried:
    """Reactivate a label whose image changed, because a person named it."""
    why = confirm_label(project, row)
    return Retried(row["quarantine_id"], row["scan_id"], not why, row["code"], why)


def _target_id(project: Project, scan_id: str) -> str:
    """The scan that a person named; for an exact copy, the original."""
    scan = project.scan(scan_id)
    if scan.state != "present":
        raise UsageError(
            "this scan's file is missing",
            where=scan_id,
            remedy="bring it back, then coldal-tui index",
        )
    return scan.duplicate_of or scan_id


def _decide_all(
    project: Project,
    scans: Sequence[ScanTarget],
    rows: Sequence[Row],
    options: ImportOptions | None,
    chosen: str | None,
    stager: Stager,
) -> Iterator[tuple[Row, Verdict | Retried]]:
    classes = project.config.classes
    rules = classes.names, classes.ignore_value, with_class_map(project, options)
    by_id = {target.scan_id: target for target in scans}
    found = {} if chosen else _found_since(project, scans, rows, rules[2])
    claims = Counter(_scan_of(row, chosen, found) for row in rows)
    for row in rows:
        target = by_id.get(_scan_of(row, chosen, found) or "")
        if target is None:
            yield row, _without_scan(row)
            continue
        if claims[target.scan_id] > 1:
            yield row, _one_of_several(row, target.scan_id)
            continue
        try:
            if is_joined(row["source_key"]):
                may_open = partial(_may_open, project)
                verdict = _examine_joined(project, row, target, scans, rules[2], may_open)
                verdict = replace(verdict, author=row["author"] or verdict.author)
            else:
                verdict = examine_file(
                    mask_file(project, row),
                    target,
                    *rules,
                    key=row["source_key"],
                    format=row["format"] or "auto",
                    class_name=row["class_name"] or _class_of(row, found),
                    author=row["author"],
                )
            verdict = stager.finish(verdict, again=True)
        except ColdalError as error:
            what = f"{error.what}; {error.remedy}" if error.remedy else error.what
            yield row, Retried(row["quarantine_id"], target.scan_id, False, error.code, what)
        else:
            yield row, replace(verdict, source=row["source"])


def _found_since(
    project: Project, scans: Sequence[ScanTarget], rows: Sequence[Row], options: ImportOptions
) -> dict[int, Match]:
    """Masks that had no scan and have one now, by number: its image was indexed since."""
    lost = [row for row in rows if row["scan_id"] is None and not row["source_key"]]
    if not lost:
        return {}
    words = ClassWords(project.config.classes.names, options.values)
    matcher = Matcher(scans, None, words)
    found: dict[int, Match] = {}
    for row in lost:
        name = str(row["source"])
        match = matcher.match(Candidate(Path(name), name, row["format"], _never))
        if isinstance(match, Match):
            found[row["quarantine_id"]] = match
    return found


def _never() -> MaskPixels:
    raise ValueError("a name is matched, nothing is read")


def _scan_of(row: Row, chosen: str | None, found: Mapping[int, Match]) -> str | None:
    match = found.get(row["quarantine_id"])
    known: str | None = row["scan_id"]
    return chosen or known or (match.scan_id if match else None)


def _class_of(row: Row, found: Mapping[int, Match]) -> str:
    match = found.get(row["quarantine_id"])
    return match.part.class_name or "" if match and match.part else ""


def _ruled(results: Sequence[Retried], outcomes: Sequence[tuple[str, Verdict]]) -> list[Retried]:
    """The results, with what became of drawings beside those of other people."""
    why = {verdict.scan_id: verdict.message for status, verdict in outcomes if verdict.message}
    return [
        replace(one, message=why.get(one.scan_id, one.message)) if one.accepted else one
        for one in results
    ]


def _settle(
    project: Project,
    writer: LabelWriter,
    returned: Returned,
    row: Row,
    decided: Verdict | Retried,
) -> Retried:
    """Record the result for one mask (inside an action)."""
    if isinstance(decided, Retried):
        return decided
    verdict, store = decided, project.store
    staged: Staged = verdict.stored
    here = {"quarantine_id": row["quarantine_id"]}
    accepted = verdict.status == "accepted"
    if accepted and verdict.scan_id is not None:
        status, scan = returned.take(writer, verdict, staged), verdict.scan_id
        # Where others draw the scan, too, what they sent for it still has to be mended.
        several = status in ("", "checked")
        open_ = {scan: {person_key(verdict.author or "")}} if several else None
        resolve_quarantine(project, {scan: (verdict.sha256, verdict.key)}, open_)
        store.update("quarantine", here, state=RESOLVED)
    elif (verdict.code, verdict.explanation) != (row["code"], row["message"]):
        store.update("quarantine", here, code=verdict.code, message=verdict.explanation)
    if not accepted and staged.kept and staged.kept != row["file"]:
        # The original has changed: the stored reason refers to the kept copy.
        store.update("quarantine", here, file=staged.kept, source_sha256=verdict.sha256)
    scan_id = verdict.scan_id or row["scan_id"]
    return Retried(row["quarantine_id"], scan_id, accepted, verdict.code, verdict.explanation)


def _without_scan(row: Row) -> Retried:
    return Retried(
        row["quarantine_id"],
        None,
        False,
        "no-scan",
        "no scan is known for it; name one: labels accept NUMBER --scan SCAN",
    )


def _one_of_several(row: Row, scan_id: str) -> Retried:
    return Retried(
        row["quarantine_id"],
        scan_id,
        False,
        "conflict",
        f"several masks claim scan {scan_id!r}; name the one that counts by its number",
    )


def mask_file(project: Project, row: Row) -> Path:
    """The file to decide on: the labeler's own, which may be mended, else the copy that was kept.

    The row may be another person's. A file outside the project is opened only in a project that
    this person made, and never through a link that leads out of the file's folder: it would be
    copied into the project. In other projects the copy counts while the original is the same.
    """
    original, kept = Path(row["source"]), project.file_of(row["file"]) if row["file"] else None
    if kept is not None and not kept.is_file():
        kept = None
    if not original.is_file():
        if kept is not None:
            return kept
        raise ColdalError(
            "neither the mask nor the copy in quarantine can be found",
            where=str(original),
            remedy="import the mask again",
            code="missing",
        )
    if _may_open(project, original):
        return original
    if kept is not None and _is_same(original, kept):
        return kept
    raise ColdalError(
        "the mask lies outside the project, and is not the copy that was kept of it",
        where=str(original),
        remedy="if it is a mask of yours, import it again",
        code="outside",
    )


def _may_open(project: Project, original: Path) -> bool:
    try:
        stay_below(project.root, original)
    except ColdalError:
        pass
    else:
        return True
    try:
        stay_below(original.parent, original)
    except ColdalError:
        return False
    return TrustStore().is_own(project.root, project.config.project.id)


def _is_same(original: Path, kept: Path) -> bool:
    try:
        return sha256_file(original) == sha256_file(kept)
    except OSError:
        return False


@dataclass(frozen=True)
class _Joined:
    """The files of a joined mask: ``files`` are relative to ``root``, the mask's own first."""

    root: Path
    files: tuple[str, ...]
    match: str | None

    @staticmethod
    def of(project: Project, row: Row, may_open: Callable[[Path], bool]) -> _Joined:
        """The labeler's own files where all are there and may be opened, else the kept copies.

        Raises
        ------
        ColdalError : ``not-one-mask``: the row is from before these were recorded; ``missing``.
        """
        own = _stored(row["joined"])
        if own is None:
            raise ColdalError(
                "it is one mask of several files, which were not recorded",
                where=row["source"],
                remedy="import the folder with all of them again",
                code="not-one-mask",
            )
        if own.is_whole() and all(may_open(own.root / name) for name in own.files):
            return own
        if row["file"]:
            depth = len(Path(own.files[0]).parts)
            kept = _Joined(
                project.file_of(row["file"]).parents[depth - 1], own.files, own.match
            )  # fmt: skip
            if kept.is_whole() and all(_is_kept(project, kept.root / name) for name in own.files):
                return kept
        raise ColdalError(
            f"not all of its {len(own.files)} files can be found",
            where=str(own.root),
            remedy="import the folder with all of them again",
            code="missing",
        )

    def is_whole(self) -> bool:
        return all((self.root / name).is_file() for name in self.files)

    def survey(self, format_name: str) -> Survey:
        """A survey of these files alone."""
        importers = load_registry().select(format_name)
        found = [survey_source(self.root / name, importers) for name in self.files]
        own = dict(one for survey in found for one in survey.files)
        parts = {part for file, importer in own.items() for part in importer.belongings(file)}
        files = tuple((file, importer) for file, importer in own.items() if file not in parts)
        return Survey(files, (), f"{len(files)} files")


def _stored(text: str) -> _Joined | None:
    """The stored files; None where nothing valid is stored: the row may be another person's."""
    try:
        stored: dict[str, Any] = json.loads(text or "{}")
        files = tuple(str(name) for name in stored["files"])
        match = stored["match"]
        return _Joined(Path(stored["root"]), files, match) if files else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _is_kept(project: Project, file: Path) -> bool:
    """Whether a file is one of the copies in quarantine, and no link out of it."""
    try:
        stay_below(project.layout.quarantine, file)
    except ColdalError:
        return False
    return True


def _examine_joined(
    project: Project,
    row: Row,
    target: ScanTarget,
    scans: Sequence[ScanTarget],
    options: ImportOptions,
    may_open: Callable[[Path], bool],
) -> Verdict:
    """Join the files again, and decide on the mask.

    Raises
    ------
    ColdalError : as ``_Joined.of``; ``not-one-mask``: the files are no longer one mask of the
        scan.
    """
    joined = _Joined.of(project, row, may_open)
    classes = project.config.classes
    verdicts = examine(
        joined.root,
        scans,
        classes.names,
        classes.ignore_value,
        match=joined.match,
        options=options,
        survey=joined.survey(row["format"] or "auto"),
        exports=known_exports(project),
    )
    found = [one for one in verdicts if one.status != "ignored"]
    if len(found) != 1 or found[0].scan_id != target.scan_id:
        raise ColdalError(
            f"its {len(joined.files)} files are no longer one mask of scan {target.scan_id!r}",
            where=str(joined.root),
            remedy="import the folder with all of them again",
            code="not-one-mask",
        )
    return found[0]
