"""Resolves several masks of one scan: selects one, or makes a consensus."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import UsageError
from coldal_tui.exchange.candidate import Candidate, ScanTarget
from coldal_tui.exchange.incoming.consensus import MOST_RATERS, majority, staple
from coldal_tui.exchange.incoming.rater_agreement import compare_labels
from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.exchange.masks.label_summary import Drawn
from coldal_tui.exchange.names import folders, same_name

Kind = Literal["quarantine", "newest", "annotator", "majority", "staple", "union"]
_KINDS = ("quarantine", "newest", "annotator", "majority", "staple", "union")
_SHOWN = 4
_FOLDERS = 8


@dataclass(frozen=True)
class ConflictRule:
    """The rule of ``--conflict``; ``annotator`` is the name after ``annotator:``."""

    kind: Kind = "quarantine"
    annotator: str = ""

    @staticmethod
    def parse(text: str) -> ConflictRule:
        """Read ``newest`` or ``annotator:NAME``.

        Raises
        ------
        UsageError : no such rule.
        """
        kind, _, name = text.strip().partition(":")
        for known in _KINDS:
            if kind == known and bool(name.strip()) == (known == "annotator"):
                return ConflictRule(known, name.strip())  # type: ignore[arg-type]
        raise UsageError(
            f"no rule for several masks of a scan is called {text!r}",
            remedy="Use quarantine, newest, annotator:NAME, majority, staple or union.",
            code="conflict-rule",
        )


@dataclass(frozen=True)
class Rival:
    """One of several masks of a scan: its candidate and its verdict."""

    candidate: Candidate
    verdict: Verdict
    changed: float | None

    @property
    def rater(self) -> str:
        """The author, else the file."""
        return self.candidate.author or self.verdict.shown

    @property
    def good(self) -> bool:
        return self.verdict.status == "accepted"


def settle_conflict(
    rivals: Sequence[Rival],
    target: ScanTarget,
    classes: Sequence[str],
    rule: ConflictRule,
    *,
    confirm_empty: bool = False,
) -> list[Verdict]:
    """Verdicts for all masks of one scan; the selected one is last.

    The others are ``kept`` as versions of the label. If the rule can't decide, or the mask it
    selects was rejected, all of them go to quarantine, each with its reason.
    """
    if rule.kind == "quarantine":
        return _unsettled(rivals, "")
    if rule.kind in ("majority", "staple"):
        return _consensus(rivals, target, classes, rule.kind, confirm_empty)
    chosen, why = _newest(rivals) if rule.kind == "newest" else _by_name(rivals, rule.annotator)
    if chosen is None:
        return _unsettled(rivals, why)
    if not chosen.good:
        return _unsettled(rivals, f"{chosen.rater}'s is to count and is not good")
    others = [rival for rival in rivals if rival is not chosen]
    good = [rival for rival in others if rival.good]
    kept = [replace(rival.verdict, status="kept") for rival in good]
    bad = [rival.verdict for rival in others if not rival.good]
    note = f"{len(rivals)} masks claimed the scan: this one counts ({why})"
    verdict = replace(chosen.verdict, notes=(*chosen.verdict.notes, note))
    return [*bad, *kept, _with_agreement(verdict, [*good, chosen], target, classes)]


def _newest(rivals: Sequence[Rival]) -> tuple[Rival | None, str]:
    times = [rival.changed for rival in rivals]
    known = sorted({time for time in times if time is not None})
    if None in times or not known:
        return None, "not all of them tell when they were drawn"
    latest = [rival for rival in rivals if rival.changed == known[-1]]
    if len(latest) > 1:
        return None, f"{len(latest)} of them are equally new"
    return latest[0], "the newest"


def _by_name(rivals: Sequence[Rival], name: str) -> tuple[Rival | None, str]:
    """The annotator's mask: by its author, else by a folder of that name."""
    wanted = same_name(name).casefold()
    by_author = [
        rival for rival in rivals if same_name(rival.candidate.author or "").casefold() == wanted
    ]
    found = by_author or [
        rival
        for rival in rivals
        if rival.candidate.author is None
        and wanted in (folder.casefold() for folder in folders(rival.candidate.name))
    ]
    if len(found) == 1:
        return found[0], f"by {name}"
    return None, f"{len(found) or 'none'} of them {'is' if not found else 'are'} by {name!r}"


def _consensus(
    rivals: Sequence[Rival],
    target: ScanTarget,
    classes: Sequence[str],
    kind: str,
    confirm_empty: bool,
) -> list[Verdict]:
    if len(rivals) > MOST_RATERS:
        return _unsettled(rivals, f"a consensus takes at most {MOST_RATERS}")
    if not all(rival.good for rival in rivals):
        return _unsettled(rivals, "a consensus needs all of them, and not all are good")
    labels = [_label(rival) for rival in rivals]
    notes: tuple[str, ...] = ()
    if kind == "staple":
        label = staple(labels)
    else:
        label, undecided = majority(labels)
        notes = (f"{undecided} pixels had no majority: ignored",) if undecided else ()
    drawn = Drawn.of(label)
    if drawn.classes == 0 and not confirm_empty:
        return _unsettled(
            rivals,
            f"their {kind} is empty: nothing is drawn alike in enough of them. If they are parts "
            "of one mask, use --conflict union or {class} in --match; if the scan truly shows "
            "none of the classes, --confirm-empty",
        )
    raters = ", ".join(_raters(rivals))
    verdict = replace(
        rivals[0].verdict,
        sha256=_joint_hash(rivals, kind),
        key=kind,
        source=f"{kind} of {raters}",
        parts=(),
        label=label,
        drawn=drawn,
        notes=(f"the {kind} of {len(rivals)} masks: {raters}", *notes),
        warnings=(),
        author=None,
        tool=kind,
    )
    kept = [replace(rival.verdict, status="kept") for rival in rivals]
    return [*kept, _with_agreement(verdict, rivals, target, classes)]


def _with_agreement(
    verdict: Verdict, rivals: Sequence[Rival], target: ScanTarget, classes: Sequence[str]
) -> Verdict:
    names = _raters(rivals)
    labels = [
        (name, _label(rival)) for name, rival in zip(names, rivals[:MOST_RATERS], strict=False)
    ]
    spacing = _grid_spacing(target)
    found = compare_labels(target.scan_id, labels, classes, spacing)
    masks = [(rival.verdict.sha256 or "", rival.verdict.key) for rival in rivals]
    joint = [(_joint_hash(rivals, kind), kind) for kind in ("majority", "staple")]
    return replace(
        verdict,
        agreement=found,
        notes=(*verdict.notes, *(str(one) for one in found[:_SHOWN])),
        rivals=(*masks, *joint),
    )


def _grid_spacing(target: ScanTarget) -> tuple[float, ...] | None:
    spacing = target.spacing
    return spacing if spacing is not None and len(spacing) == len(target.shape) else None


def _joint_hash(rivals: Sequence[Rival], kind: str) -> str:
    """A hash that identifies a consensus: its masks and its method."""
    parts = sorted(f"{rival.verdict.sha256}/{rival.verdict.key}" for rival in rivals)
    return hashlib.sha256("\n".join((kind, *parts)).encode()).hexdigest()


def _label(rival: Rival) -> NDArray[np.uint8]:
    if rival.verdict.label is None:
        raise ValueError("an accepted mask carries its label")
    return rival.verdict.label


def _raters(rivals: Sequence[Rival]) -> list[str]:
    """Distinct display names of masks: the author, else the file, with folders if needed."""
    raters = [rival.rater for rival in rivals]
    if len(set(raters)) == len(raters):
        return raters
    files = tell_apart([rival.candidate for rival in rivals])
    return [
        f"{rival.candidate.author} ({file})" if rival.candidate.author else file
        for rival, file in zip(rivals, files, strict=True)
    ]


def _unsettled(rivals: Sequence[Rival], why: str) -> list[Verdict]:
    return [
        conflict_verdict(
            rival.verdict,
            [other.candidate for other in rivals if other is not rival],
            why,
            own=rival.candidate,
        )
        if rival.good
        else rival.verdict
        for rival in rivals
    ]


def conflict_verdict(
    verdict: Verdict, others: Sequence[Candidate], why: str = "", own: Candidate | None = None
) -> Verdict:
    """The verdict of a mask in an unresolved conflict."""
    every = [own, *others] if own is not None else list(others)
    names = dict(zip((id(one) for one in every), tell_apart(every), strict=True))
    described = sorted(_describe(one, names[id(one)]) for one in others)
    same = own is not None and any(one.file.name == own.file.name for one in others)
    mine = f" ({names[id(own)]})" if same and len(set(names.values())) == len(names) else ""
    shown = ", ".join(described[:_SHOWN])
    shown += f" and {len(described) - _SHOWN} more" if len(described) > _SHOWN else ""
    because = f"; {why}" if why else ""
    return replace(
        verdict,
        status="quarantined",
        code="conflict",
        message=f"{len(described) + 1} masks claim scan {verdict.scan_id!r}: this one{mine} and "
        f"{shown}{because}",
        remedy="Accept the one that counts, pick a rater with --match '{stem}_suffix', or say "
        "what counts with --conflict newest, annotator:NAME, majority or staple. Parts of one mask "
        "are joined with --conflict union, files of one class each with --match '{stem}_{class}'.",
        label=None,
    )


def _describe(candidate: Candidate, name: str) -> str:
    return f"{name} by {candidate.author}" if candidate.author else name


def tell_apart(masks: Sequence[Candidate]) -> list[str]:
    """Short distinct names of masks: the file name, with as many folders as needed."""
    for levels in range(1, _FOLDERS):
        names = [_tail(one, levels) for one in masks]
        if len(set(names)) == len(names):
            return names
    return [_tail(one, 1) for one in masks]


def _tail(candidate: Candidate, levels: int) -> str:
    name = "/".join(candidate.file.parts[-levels:])
    return f"{name} [{candidate.key}]" if candidate.key else name
