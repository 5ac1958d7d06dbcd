"""Decides on the masks matched to one scan: single masks, copies, or conflicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.candidate import BLANK, Candidate, ScanTarget
from coldal_tui.exchange.incoming.claim import Claim, Rules
from coldal_tui.exchange.incoming.conflicts import Rival, conflict_verdict, settle_conflict
from coldal_tui.exchange.incoming.geometry_policy import Accepted, Rejected, decide
from coldal_tui.exchange.incoming.mask_parts import together
from coldal_tui.exchange.incoming.own_files import OVER_PICTURE, Digests, prelabel_warnings
from coldal_tui.exchange.incoming.verdict import Status, Verdict
from coldal_tui.exchange.names import person_key
from coldal_tui.imaging.labelfile import BACKGROUND

IMAGE_ITSELF = "it is the image itself"


def settle(
    group: Sequence[Claim], target: ScanTarget, rules: Rules, digests: Digests
) -> list[Verdict]:
    """Verdicts for all masks matched to one scan; of several accepted ones the last counts."""
    if len(group) == 1:
        return [decide_claim(group[0], target, rules, digests)]
    people = _by_person(group, rules)
    if len(people) > 1:
        return [one for each in people for one in settle(each, target, rules, digests)]
    rivals, left_out = _distinct(_strong(group, rules), target, digests)
    left_out += [
        ignored(one.candidate.file, f"{one.candidate.weak}, and another mask claims the scan")
        for one in group
        if one not in rivals and one.candidate.weak
    ]
    if len(rivals) == 1:
        return [*left_out, decide_claim(rivals[0], target, rules, digests)]
    if rules.options.conflict.kind == "union":
        whole = together(rivals, target, rules, digests)
        return [*left_out, decide_claim(whole, target, rules, digests)]
    if rules.options.conflict.kind == "quarantine":
        return [*left_out, *_alike_or_conflict(rivals, target, rules, digests)]
    decided = [
        Rival(claim.candidate, decide_claim(claim, target, rules, digests), _changed(claim))
        for claim in rivals
    ]
    settled = settle_conflict(
        decided,
        target,
        rules.classes,
        rules.options.conflict,
        confirm_empty=rules.options.confirm_empty,
    )
    return [*left_out, *settled]


_CHOOSE = ("newest", "annotator")
"""Rules that choose between the masks of one import, whoever drew them."""


def _by_person(group: Sequence[Claim], rules: Rules) -> list[list[Claim]]:
    """The claims of each person, where all of them are known and each is decided by itself."""
    if not rules.options.each_person or rules.options.conflict.kind in _CHOOSE:
        return []
    found: dict[str, list[Claim]] = {}
    for claim in group:
        if not claim.candidate.author:
            return []
        found.setdefault(person_key(claim.candidate.author), []).append(claim)
    return list(found.values())


def decide_claim(claim: Claim, target: ScanTarget, rules: Rules, digests: Digests) -> Verdict:
    """The verdict on one mask; any error in its file becomes the verdict's reason."""
    candidate = claim.candidate
    try:
        digest = digests.of(candidate.file)
        if digest == target.sha256:
            return ignored(candidate.file, IMAGE_ITSELF)
        decision = decide(target, candidate, rules.classes, rules.ignore_value, rules.options)
        if isinstance(decision, Accepted):
            return _verdict(
                claim,
                target,
                digest,
                label=decision.label,
                drawn=decision.drawn,
                geometry=decision.geometry,
                notes=decision.notes,
                warnings=(
                    *claim.warnings,
                    *decision.warnings,
                    *prelabel_warnings(decision.label, target),
                ),
                named=decision.named,
            )
        return _verdict(
            claim,
            target,
            digest,
            status="quarantined",
            code=decision.code,
            message=_told(claim, decision.message),
            remedy=_remedy(decision, candidate),
            unknown=decision.unknown,
        )
    except UsageError:
        raise
    except Exception as error:  # one bad file never stops a batch
        fault = failed(candidate.file, error, digests)
        return replace(
            fault,
            message=_told(claim, fault.message),
            scan_id=target.scan_id,
            key=candidate.key,
            format=claim.format,
            parts=candidate.parts,
            author=candidate.author,
            class_name=_class_name(claim),
        )


def _told(claim: Claim, message: str) -> str:
    """Why a mask was refused; also that it may be its picture, saved again by a program."""
    return f"{message}; {OVER_PICTURE}" if OVER_PICTURE in claim.warnings else message


def _remedy(decision: Rejected, candidate: Candidate) -> str | None:
    """The remedy; a mask of several files can't be confirmed through one of them."""
    if decision.code == "empty" and candidate.together:
        return "If the scan truly shows none of the classes, import it again with --confirm-empty."
    return decision.remedy


def _class_name(claim: Claim) -> str:
    part = claim.match.part
    return "" if part is None or claim.candidate.together else part.class_name or ""


def _verdict(
    claim: Claim, target: ScanTarget, digest: str | None, status: Status = "accepted", **more: Any
) -> Verdict:
    candidate = claim.candidate
    return Verdict(
        status,
        candidate.file,
        digest,
        target.scan_id,
        matched_by=claim.match.how,
        author=candidate.author,
        tool=candidate.tool,
        key=candidate.key,
        format=claim.format,
        parts=candidate.parts,
        class_name=_class_name(claim),
        minutes=candidate.minutes,
        minutes_from="" if candidate.minutes is None else candidate.minutes_from,
        changed=_changed(claim),
        **more,
    )


def _strong(group: Sequence[Claim], rules: Rules) -> Sequence[Claim]:
    """The claims without the weak ones; all of them if all are weak."""
    confirmed = rules.options.confirm_empty
    strong = [
        claim
        for claim in group
        if not claim.candidate.weak or (confirmed and claim.candidate.weak == BLANK)
    ]
    return strong or group


def _distinct(
    group: Sequence[Claim], target: ScanTarget, digests: Digests
) -> tuple[list[Claim], list[Verdict]]:
    """The claims with distinct content, and verdicts on copies of them and of the image."""
    rivals: list[Claim] = []
    left_out: list[Verdict] = []
    first_with: dict[tuple[str, str], Path] = {}
    for claim in group:
        file = claim.candidate.file
        digest = digests.try_of(file)
        identity = (digest or str(file), claim.candidate.key)
        earlier = first_with.setdefault(identity, file)
        if digest is not None and digest == target.sha256:
            left_out.append(ignored(file, IMAGE_ITSELF))
        elif earlier != file:
            left_out.append(ignored(file, f"a copy of {earlier.name}, byte for byte"))
        else:
            rivals.append(claim)
    return rivals, left_out


def _alike_or_conflict(
    rivals: Sequence[Claim], target: ScanTarget, rules: Rules, digests: Digests
) -> list[Verdict]:
    """Verdicts on several masks: if all give the same label, the first one counts.

    One label is in memory at a time; the first difference ends the comparison. Files that name
    their class and show different classes are parts of one mask.
    """
    first = decide_claim(rivals[0], target, rules, digests)
    alike, apart = first.drawn is not None, first.named
    seen = _classes_in(first)
    apart = apart and bool(seen)
    for claim in rivals[1:]:
        if not alike and not apart:
            break
        verdict = decide_claim(claim, target, rules, digests)
        alike = alike and verdict.drawn == first.drawn
        apart = (
            apart
            and verdict.named
            and _come_together(claim.candidate, rivals[0].candidate)
            and bool(drawn := _classes_in(verdict))
            and seen.isdisjoint(drawn)
        )
        seen = seen | drawn if apart else seen
    if alike:
        copies = [
            ignored(claim.candidate.file, f"it gives the very same label as {first.shown}")
            for claim in rivals[1:]
        ]
        return [*copies, first]
    if apart:
        # Each file names one structure, and no two files name the same.
        return [decide_claim(together(rivals, target, rules, digests), target, rules, digests)]
    return [
        conflict_verdict(
            _verdict(claim, target, digests.try_of(claim.candidate.file)),
            [other.candidate for other in rivals if other is not claim],
            own=claim.candidate,
        )
        for claim in rivals
    ]


def _come_together(one: Candidate, other: Candidate) -> bool:
    """Whether both masks have the same author and the same folder."""
    return one.author == other.author and one.file.parent == other.file.parent


def _classes_in(verdict: Verdict) -> set[int]:
    """The values of the classes that are drawn."""
    return set(verdict.drawn.pixels) - {BACKGROUND} if verdict.drawn is not None else set()


def _changed(claim: Claim) -> float | None:
    """The time of the mask: from its content, else its files' modification time (the latest)."""
    if claim.candidate.updated is not None:
        return claim.candidate.updated
    try:
        files = (claim.candidate.file, *claim.candidate.parts)
        return max(file.stat().st_mtime for file in files)
    except OSError:
        return None


def ignored(file: Path, reason: str, key: str = "") -> Verdict:
    return Verdict("ignored", file, code="ignored", message=reason, key=key)


def failed(file: Path, error: Exception, digests: Digests) -> Verdict:
    """The quarantine verdict for a file that can't be read, with the actual reason."""
    digest = digests.try_of(file)
    if isinstance(error, ColdalError):
        return Verdict("quarantined", file, digest, None, error.code, error.what, error.remedy)
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    message = f"the file can't be read: {why or type(error).__name__}"
    return Verdict(
        "quarantined", file, digest, None, "unreadable", message, "Export or copy it again."
    )
