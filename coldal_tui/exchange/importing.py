"""One import from start to end: walk, recognise, match, decide; a verdict for every file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.candidate import Candidate, ScanTarget
from coldal_tui.exchange.importers import Importer, load_registry
from coldal_tui.exchange.matching import Match, Matcher
from coldal_tui.exchange.ours import OwnFiles, SeenLabels, prelabel_warnings
from coldal_tui.exchange.policy import Accepted, ImportOptions, decide
from coldal_tui.exchange.survey import Survey, survey_source
from coldal_tui.exchange.values import check_classes
from coldal_tui.exchange.verdict import Verdict
from coldal_tui.files import sha256_file

__all__ = ["ImportOptions", "ImportPlan", "Verdict", "examine", "examine_file", "plan_import"]

Progress = Callable[[int, int, str], None]
"""Called with masks done, masks in all, and the file at hand."""

_IMAGE_ITSELF = "it is the image itself"


@dataclass(frozen=True)
class ImportPlan:
    """A whole import's verdicts without their pixels, and what the source held."""

    saw: str
    accepted: tuple[Verdict, ...] = ()
    quarantined: tuple[Verdict, ...] = ()
    unmatched: tuple[Verdict, ...] = ()
    ignored: tuple[Verdict, ...] = ()


@dataclass(frozen=True)
class _Rules:
    """What the project calls a label, and what the user allows."""

    classes: Sequence[str]
    ignore_value: int | None
    options: ImportOptions = field(default_factory=ImportOptions)


@dataclass(frozen=True)
class _Claim:
    """A candidate and the scan that it says it belongs to."""

    candidate: Candidate
    match: Match


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
    """Decide on every mask in a source and keep no pixels: what ``--dry-run`` shows.

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


def examine(
    source: Path,
    targets: Sequence[ScanTarget],
    classes: Sequence[str],
    ignore_value: int | None,
    *,
    format: str = "auto",
    match: str | None = None,
    options: ImportOptions | None = None,
    progress: Progress | None = None,
    survey: Survey | None = None,
) -> Iterator[Verdict]:
    """Decide on every mask in a source, one at a time: only one label is in memory.

    Verdicts of accepted masks carry their label. A file that can't be read gets its verdict like
    any other and never stops the import.

    Parameters
    ----------
    source : a mask file, or a folder that is walked.
    format : an importer's name, or ``auto``.
    match : how masks are named, such as ``{stem}_seg``.
    survey : the source's survey, where the caller has it already.

    Raises
    ------
    UsageError : before the first verdict: the source is missing, or the format, template, class
        list, ignore value or value map is wrong.
    """
    check_classes(classes, ignore_value)
    matcher = Matcher(targets, match)
    if survey is None:
        survey = survey_source(source, load_registry().select(format))
    rules = _Rules(classes, ignore_value, options or ImportOptions())
    own = OwnFiles(source, targets)
    return _examine(survey, matcher, own, rules, progress or _silent)


def examine_file(
    path: Path,
    target: ScanTarget,
    classes: Sequence[str],
    ignore_value: int | None,
    options: ImportOptions | None = None,
) -> Verdict:
    """Decide again on one file for a known scan: a quarantined mask that was fixed or confirmed.

    Raises
    ------
    UsageError : the file is missing, of no mask format, or holds several masks.
    """
    check_classes(classes, ignore_value)
    survey = survey_source(path, load_registry().importers)
    found = [mask for file, importer in survey.files for mask in importer.candidates(file)]
    if len(found) != 1:
        raise UsageError(
            f"it holds {len(found)} masks; one was expected", where=str(path), code="not-one-mask"
        )
    rules = _Rules(classes, ignore_value, options or ImportOptions())
    return _decide(_Claim(found[0], Match(target.scan_id, "named by the user")), target, rules)


def _silent(done: int, total: int, message: str) -> None:
    """Nobody is watching."""


def _examine(
    survey: Survey, matcher: Matcher, own: OwnFiles, rules: _Rules, progress: Progress
) -> Iterator[Verdict]:
    for left_out in survey.ignored:
        yield _ignored(left_out.path, left_out.reason)
    claims: dict[str, list[_Claim]] = {}
    for file, importer in survey.files:
        yield from _claim_file(file, importer, matcher, own, claims)
    seen = SeenLabels()
    total = sum(len(group) for group in claims.values())
    done = 0
    for scan_id, group in claims.items():
        for verdict in _settle(group, matcher.target(scan_id), rules):
            done += 1
            progress(done, total, verdict.file.name)
            yield seen.check(verdict)


def _claim_file(
    file: Path,
    importer: Importer,
    matcher: Matcher,
    own: OwnFiles,
    claims: dict[str, list[_Claim]],
) -> Iterator[Verdict]:
    """Match a file's masks to scans; verdicts for those that belong to none."""
    try:
        reason = own.reason(file)
        if reason is not None:
            yield _ignored(file, reason)
            return
        for candidate in importer.candidates(file):
            found = matcher.match(candidate, own.finder.covering(file.parent))
            if isinstance(found, Match):
                claims.setdefault(found.scan_id, []).append(_Claim(candidate, found))
            elif found.code == "template":
                yield _ignored(file, found.message)
            elif own.is_image(digest := sha256_file(file)):
                yield _ignored(file, _IMAGE_ITSELF)
            else:
                yield Verdict(
                    "unmatched", file, digest, None, found.code, found.message, found.remedy
                )
    except Exception as error:  # one bad file never stops a batch
        yield _failed(file, error)


def _settle(group: Sequence[_Claim], target: ScanTarget, rules: _Rules) -> Iterator[Verdict]:
    """Verdicts for all masks that claim one scan: one is decided on, several are a conflict."""
    if len(group) == 1:
        yield _decide(group[0], target, rules)
        return
    rivals: list[tuple[_Claim, str | None]] = []
    first_with: dict[str, Path] = {}
    for claim in group:
        file = claim.candidate.file
        digest = _try_hash(file)
        earlier = file if digest is None else first_with.setdefault(digest, file)
        if digest is not None and digest == target.sha256:
            yield _ignored(file, _IMAGE_ITSELF)
        elif earlier != file:
            yield _ignored(file, f"a copy of {earlier.name}, byte for byte")
        else:
            rivals.append((claim, digest))
    if len(rivals) == 1:
        yield _decide(rivals[0][0], target, rules)
        return
    for claim, digest in rivals:
        others = [rival.candidate for rival, _ in rivals if rival is not claim]
        yield _conflict(claim, digest, others, target.scan_id)


def _conflict(
    claim: _Claim, digest: str | None, others: Sequence[Candidate], scan_id: str
) -> Verdict:
    names = sorted(_describe(candidate) for candidate in others)
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return Verdict(
        "quarantined",
        claim.candidate.file,
        digest,
        scan_id,
        "conflict",
        f"{len(names) + 1} masks claim scan {scan_id!r}: this one and {shown}",
        "Import only the one that counts, or pick a rater by name with --match '{stem}_suffix'.",
        matched_by=claim.match.how,
    )


def _describe(candidate: Candidate) -> str:
    name = candidate.file.name
    return f"{name} by {candidate.author}" if candidate.author else name


def _decide(claim: _Claim, target: ScanTarget, rules: _Rules) -> Verdict:
    candidate = claim.candidate
    try:
        digest = sha256_file(candidate.file)
        if digest == target.sha256:
            return _ignored(candidate.file, _IMAGE_ITSELF)
        decision = decide(target, candidate, rules.classes, rules.ignore_value, rules.options)
        verdict = Verdict(
            "accepted",
            candidate.file,
            digest,
            target.scan_id,
            matched_by=claim.match.how,
            author=candidate.author,
            tool=candidate.tool,
        )
        if not isinstance(decision, Accepted):
            return replace(
                verdict,
                status="quarantined",
                code=decision.code,
                message=decision.message,
                remedy=decision.remedy,
            )
        return replace(
            verdict,
            label=decision.label,
            geometry=decision.geometry,
            notes=decision.notes,
            warnings=decision.warnings + prelabel_warnings(decision.label, target),
        )
    except UsageError:
        raise
    except Exception as error:  # one bad file never stops a batch
        return replace(_failed(candidate.file, error), scan_id=target.scan_id)


def _ignored(file: Path, reason: str) -> Verdict:
    return Verdict("ignored", file, code="ignored", message=reason)


def _failed(file: Path, error: Exception) -> Verdict:
    digest = _try_hash(file)
    if isinstance(error, ColdalError):
        return Verdict("quarantined", file, digest, None, error.code, error.what, error.remedy)
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    message = f"the file can't be read: {why or type(error).__name__}"
    return Verdict(
        "quarantined", file, digest, None, "unreadable", message, "Export or copy it again."
    )


def _try_hash(file: Path) -> str | None:
    try:
        return sha256_file(file)
    except OSError:
        return None
