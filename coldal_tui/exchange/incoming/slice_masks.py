"""Joins masks of single slices from a 2-D tool to one mask of their volume."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from coldal_tui.errors import ImageError
from coldal_tui.exchange.candidate import Candidate, MaskPixels, ScanTarget, joined_minutes
from coldal_tui.exchange.incoming.claim import Claim
from coldal_tui.exchange.incoming.own_files import OVER_PICTURE, Digests
from coldal_tui.exchange.masks.picture_size import turned_back
from coldal_tui.exchange.names import file_stem, same_name
from coldal_tui.exchange.slices import SliceStack, volume_of


def joined(
    claims: Sequence[Claim], target: ScanTarget, digests: Digests, *, missing_is_empty: bool = False
) -> list[Claim]:
    """Join the claims on one scan that are slices: one mask per author and export.

    Slices drawn twice in the same export make two conflicting claims. All other claims come first,
    unchanged.
    """
    plain = [claim for claim in claims if claim.match.slices is None]
    sheaves: dict[_Origin, list[_Sheaf]] = {}
    for claim in claims:
        stack = claim.match.slices
        if stack is not None:
            _put(sheaves.setdefault(_origin(claim), []), claim, stack)
    return plain + [
        sheaf.claim(target, digests, missing_is_empty)
        for group in sheaves.values()
        for sheaf in group
    ]


_Origin = tuple[str | None, str, Path, int, tuple[str, ...]]


def _origin(claim: Claim) -> _Origin:
    """A key shared by slices that came back together: in one file or one folder."""
    candidate, stack = claim.candidate, claim.match.slices
    assert stack is not None  # only slices have an origin
    place = candidate.file if candidate.key else candidate.file.parent
    return candidate.author, claim.format, place, stack.view.axis, tuple(stack.indices)


@dataclass
class _Sheaf:
    """Masks of slices of one volume, by file stem."""

    stack: SliceStack
    claims: dict[str, Claim] = field(default_factory=dict)

    def claim(self, target: ScanTarget, digests: Digests, missing_is_empty: bool) -> Claim:
        """All slices as one mask, decoded only when needed."""
        names = sorted(self.claims)
        first = self.claims[names[0]]
        candidates = {name: self.claims[name].candidate for name in names}
        files = list(dict.fromkeys(one.file for one in candidates.values()))
        parts = [part for one in candidates.values() for part in one.parts]
        times = [one.updated for one in candidates.values() if one.updated is not None]
        minutes, minutes_from = joined_minutes(list(candidates.values()))
        over = all(one.weak == OVER_PICTURE for one in candidates.values())

        def load_onto(knowing: ScanTarget) -> MaskPixels:
            return _volume(self.stack, candidates, knowing, missing_is_empty)

        whole = Candidate(
            files[0],
            target.scan_id,
            first.candidate.format,
            lambda: load_onto(target),
            author=first.candidate.author,
            tool=first.candidate.tool,
            key=f"{len(names)} slices {_identity(candidates, digests)}",
            parts=tuple(dict.fromkeys((*files[1:], *parts))),
            updated=max(times, default=None),
            exported=first.candidate.exported,
            load_onto=load_onto,
            together=True,
            minutes=minutes,
            minutes_from=minutes_from,
            weak=OVER_PICTURE if over else "",
        )
        told = [warning for name in names for warning in self.claims[name].warnings]
        return replace(first, candidate=whole, warnings=tuple(dict.fromkeys(told)))


def _put(sheaves: list[_Sheaf], claim: Claim, stack: SliceStack) -> None:
    """Add to the first group that has no mask of this slice yet."""
    stem = same_name(file_stem(claim.candidate.name))
    stem = stem if stem in stack.indices else _named(claim, stack)
    for sheaf in sheaves:
        if stem not in sheaf.claims:
            sheaf.claims[stem] = claim
            return
    sheaves.append(_Sheaf(stack, {stem: claim}))


def _named(claim: Claim, stack: SliceStack) -> str:
    """The slice name in a longer name found by ``--match``, such as ``brain__z0003_mask``."""
    stem = same_name(file_stem(claim.candidate.name))
    return max((name for name in stack.indices if name in stem), key=len, default=stem)


def _identity(candidates: Mapping[str, Candidate], digests: Digests) -> str:
    """A hash of all masks, so that the same slices imported twice give one label."""
    made = hashlib.sha256()
    for name, one in candidates.items():
        made.update(f"{name}\n{one.key}\n{digests.try_of(one.file)}\n".encode())
    return made.hexdigest()[:16]


def _volume(
    stack: SliceStack,
    candidates: Mapping[str, Candidate],
    target: ScanTarget,
    missing_is_empty: bool,
) -> MaskPixels:
    if stack.shape != target.shape:
        raise ImageError(
            f"its slices were cut when the scan had the grid {stack.shape}; it has {target.shape}",
            remedy="Export the scan again.",
            code="wrong-size",
        )
    drawn = {name: _slice(stack, name, one, target) for name, one in candidates.items()}
    affine = None if target.affine is None else np.asarray(target.affine)
    return volume_of(stack, drawn, affine, missing_is_empty=missing_is_empty)


def _slice(stack: SliceStack, name: str, candidate: Candidate, target: ScanTarget) -> MaskPixels:
    picture = ScanTarget(name, stack.picture_shape, (name,), meanings=target.meanings)
    try:
        pixels = candidate.load_for(picture)
    except ImageError as error:
        raise ImageError(
            f"slice {name!r}: {error.what}", remedy=error.remedy, code=error.code
        ) from error
    if pixels.axes == "rows":
        return turned_back(pixels, picture)
    if pixels.array.ndim == 3 and pixels.array.shape[2] == 1:
        pixels = replace(
            pixels,
            array=pixels.array[:, :, 0],
            layers=tuple(replace(one, array=one.array[:, :, 0]) for one in pixels.layers),
        )
    if pixels.array.ndim != 2:
        raise ImageError(
            f"slice {name!r} came back as a volume of {pixels.array.shape}",
            remedy="Save one picture per slice.",
            code="wrong-dimensions",
        )
    return replace(
        pixels,
        axes="rows",
        array=pixels.array.T,
        layers=tuple(replace(one, array=one.array.T) for one in pixels.layers),
    )
