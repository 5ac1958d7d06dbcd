"""Joins a mask stored in several files: one per class, side or drawing, by union."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, ScanTarget, joined_minutes
from coldal_tui.exchange.incoming.claim import Claim, Rules
from coldal_tui.exchange.incoming.class_values import FULL
from coldal_tui.exchange.incoming.conflicts import tell_apart
from coldal_tui.exchange.incoming.geometry_policy import Rejected, decide
from coldal_tui.exchange.incoming.names.matching import Part
from coldal_tui.exchange.incoming.own_files import Digests
from coldal_tui.exchange.masks.overlap import covered_whole, merge_labels
from coldal_tui.imaging.labelfile import IGNORE_LABEL

_SHOWN = 6
_CONFIRMED = "confirmed as a negative case"
BY_NAME = "by its name"
_BLOCK = 1 << 22

Given = TypeVar("Given")


def joined_parts(
    claims: Sequence[Claim], target: ScanTarget, rules: Rules, digests: Digests
) -> list[Claim]:
    """Join the claims on one scan that are parts of one mask; name each part's class.

    Claims that are no parts come first, unchanged.
    """
    plain: list[Claim] = []
    groups: dict[tuple[str, str, str | None], list[Claim]] = {}
    for claim in claims:
        part = claim.match.part
        claim = _of_one_class(claim, rules)
        if part is None:
            plain.append(claim)
        else:
            place = part.kind, part.whole, claim.candidate.author
            groups.setdefault(place, []).append(claim)
    for (kind, _, _), group in groups.items():
        for sheaf in _sheaves(kind, group):
            if len(sheaf) == 1:
                plain.append(_alone(sheaf[0]))
            else:
                plain.append(together(sheaf, target, rules, digests))
    return plain


def _sheaves(kind: str, group: Sequence[Claim]) -> Iterator[list[Claim]]:
    """Group parts into masks; a part that occurs twice starts another mask."""
    if kind == "number" and not _follow(group):
        yield from ([claim] for claim in group)
        return
    sheaves: list[dict[str, Claim]] = []
    for claim in group:
        assert claim.match.part is not None  # only parts are grouped
        name = claim.match.part.name
        free = next((sheaf for sheaf in sheaves if name not in sheaf), None)
        if free is None:
            free = {}
            sheaves.append(free)
        free[name] = claim
    yield from (list(sheaf.values()) for sheaf in sheaves)


def _follow(group: Sequence[Claim]) -> bool:
    """Whether there is one mask without number and one each for 1, 2, …"""
    names = sorted(int(part.name or 0) for claim in group if (part := claim.match.part))
    return names == list(range(len(names)))


def _alone(claim: Claim) -> Claim:
    """A single part; for a side, with a warning that the other side is missing."""
    part = claim.match.part
    if part is None or part.kind != "side":
        return claim
    return replace(
        claim, warnings=(f"only its part {part.name!r} came: the other side is missing",)
    )


def together(claims: Sequence[Claim], target: ScanTarget, rules: Rules, digests: Digests) -> Claim:
    """Join several files to one mask: a union per class; the project's order decides overlaps.

    Each file is put on the scan's grid separately when the mask is decoded; if one fails, the whole
    mask is refused for that reason.
    """
    parts = [claim.candidate for claim in claims]
    files = list(dict.fromkeys(one.file for one in parts))
    more = [file for one in parts for file in one.parts]
    times = [one.updated for one in parts if one.updated is not None]
    first = parts[0]
    minutes, minutes_from = joined_minutes(parts)

    def load(scan: ScanTarget) -> MaskPixels:
        return _union(parts, scan, rules)

    whole = Candidate(
        files[0],
        target.scan_id,
        first.format,
        lambda: load(target),
        author=first.author,
        tool=first.tool,
        load_onto=load,
        key=f"{len(parts)} files {_identity(claims, digests)}",
        parts=tuple(dict.fromkeys((*files[1:], *more))),
        updated=max(times, default=None),
        together=True,
        minutes=minutes,
        minutes_from=minutes_from,
    )
    return replace(claims[0], candidate=whole)


@dataclass
class _Told:
    """Notes collected while parts are merged."""

    notes: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


def _union(parts: Sequence[Candidate], target: ScanTarget, rules: Rules) -> MaskPixels:
    options = replace(rules.options, confirm_empty=True)
    told = _Told()
    before = np.zeros(256, dtype=np.int64)

    def labels() -> Iterator[NDArray[np.uint8]]:
        """Yield the labels one by one: an organ map may have a hundred."""
        for part, name in zip(parts, tell_apart(parts), strict=True):
            decision = decide(target, part, rules.classes, rules.ignore_value, options)
            if isinstance(decision, Rejected):
                raise ImageError(
                    f"it is one of {len(parts)} files of a mask, and {name} does not fit: "
                    f"{decision.message}",
                    remedy=decision.remedy,
                    code=decision.code,
                )
            told.names.append(name)
            if not decision.drawn.classes:
                told.empty.append(name)
            told.notes += [
                f"{name}: {note}"
                for note in (*decision.notes, *decision.warnings)
                if not note.endswith((_CONFIRMED, BY_NAME))
            ]
            for value, count in decision.drawn.pixels.items():
                before[value] += count
            yield decision.label

    label, overlaps = merge_labels(labels(), rules.classes, options.priority)
    shown = ", ".join(told.names[:_SHOWN])
    shown += f" and {len(told.names) - _SHOWN} more" if len(told.names) > _SHOWN else ""
    empty = f"; nothing is drawn in {len(told.empty)} of them" if told.empty else ""
    notes = (f"joined from {len(parts)} files: {shown}{empty}", *overlaps, *told.notes)
    flat = label.ndim == 2
    affine = None if flat or target.affine is None else np.asarray(target.affine)
    return MaskPixels(
        label,
        "rows" if flat else "ijk",
        affine,
        placed=affine is not None,
        names=dict(enumerate(rules.classes, start=1)),
        notes=notes,
        numbered=False,
        void=(IGNORE_LABEL,),
        warnings=covered_whole(before, np.bincount(label.ravel(), minlength=256), rules.classes),
    )


def _identity(claims: Sequence[Claim], digests: Digests) -> str:
    """A hash that changes with any of the files and with the class of each."""
    made = hashlib.sha256()
    for claim in claims:
        part, one = claim.match.part, claim.candidate
        shows = (part.class_name or part.name) if part else ""
        made.update(f"{shows}\n{one.key}\n{digests.try_of(one.file)}\n".encode())
    return made.hexdigest()[:16]


def _of_one_class(claim: Claim, rules: Rules) -> Claim:
    """The claim with its pixels set to the class that the file's name states, if any."""
    part = claim.match.part
    if part is None or part.class_name is None:
        return claim
    return replace(claim, candidate=with_class(claim.candidate, part, rules))


def with_class(candidate: Candidate, part: Part, rules: Rules) -> Candidate:
    """A mask whose single value is the class from its file's name.

    Names stored in the file take precedence. A label map keeps its values, unless the file
    certainly shows one class.
    """

    def named(pixels: MaskPixels) -> MaskPixels:
        return _as_class(pixels, part, rules)

    onto, decode = candidate.load_onto, candidate.decode
    return replace(
        candidate,
        load=lambda: named(candidate.load()),
        load_onto=None if onto is None else _then(onto, named),
        decode=None if decode is None else _then(decode, named),
    )


def _then(
    first: Callable[[Given], MaskPixels], last: Callable[[MaskPixels], MaskPixels]
) -> Callable[[Given], MaskPixels]:
    return lambda given: last(first(given))


def _as_class(pixels: MaskPixels, part: Part, rules: Rules) -> MaskPixels:
    class_name = part.class_name
    if class_name is None or pixels.names is not None or pixels.layers:
        return pixels
    values = _values(pixels.array)
    drawn = [v for v in values if v != 0 and v != rules.ignore_value and v not in pixels.void]
    if not drawn:
        return pixels
    own = list(rules.classes).index(class_name) + 1
    if len(drawn) > 1:
        if not part.certain:
            return pixels
        raise ImageError(
            f"its name says that it shows {class_name!r} alone, and it holds the values "
            f"{', '.join(str(v) for v in drawn[:_SHOWN])}",
            remedy="Save one file per class with 0 and 1; or, if it is a label map, import it by "
            "itself with --match '{stem}'.",
            code="class-unclear",
        )
    value = drawn[0]
    if value not in (1, own, *FULL) and pixels.colours is None:
        if value in rules.options.values:
            return pixels
        raise ImageError(
            f"its name says that it shows {class_name!r}, and it is drawn as {value}"
            + (f" = {rules.classes[value - 1]!r}" if value <= len(rules.classes) else ""),
            remedy=f"Say what counts with --map {value}=CLASS.",
            code="class-unclear",
        )
    names = {value: class_name}
    void = pixels.void
    if rules.ignore_value is not None and rules.ignore_value in values:
        void = (*void, rules.ignore_value)
    note = f"class {class_name} {BY_NAME}"
    return replace(
        pixels,
        names=names,
        colours=None,
        numbered=False,
        void=void,
        notes=(*pixels.notes, note),
    )


def _values(array: NDArray[Any]) -> list[int]:
    """The whole-number values that occur, ascending; others are refused when the mask is read."""
    flat = array.ravel(order="K")
    if flat.dtype in (np.uint8, np.bool_):
        seen = np.zeros(256, dtype=np.int64)
        for first in range(0, flat.size, _BLOCK):
            seen += np.bincount(flat[first : first + _BLOCK].view(np.uint8), minlength=256)
        return [int(v) for v in np.flatnonzero(seen)]
    found: set[int] = set()
    for first in range(0, flat.size, _BLOCK):
        block = flat[first : first + _BLOCK]
        if np.issubdtype(block.dtype, np.floating):
            block = np.rint(block[np.isfinite(block)])
        found.update(int(v) for v in np.unique(block))
    return sorted(found)
