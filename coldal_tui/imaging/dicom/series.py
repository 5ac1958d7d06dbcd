"""Groups DICOM files into scans (stacks of slices, single pictures) and refused files."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import msgspec
import numpy as np

from coldal_tui.errors import ImageError
from coldal_tui.imaging.dicom.frames import SAME_DIRECTION, even_step
from coldal_tui.imaging.dicom.object import DicomObject
from coldal_tui.imaging.dicom.read import stack_header
from coldal_tui.imaging.image import ScanHeader

SAME_PLACE = 1e-3
"""Positions along the normal that differ by less (mm) are the same."""

FAR_APART = 3.0
"""Two slices further apart than this many slice steps or thicknesses are no volume."""


@dataclass(frozen=True)
class Slice:
    """One file and its content; ``path`` is relative to the indexed root."""

    path: str
    object: DicomObject


@dataclass
class Grouped:
    """Scans as (files in order, header); problems as (file, code, reason)."""

    scans: list[tuple[tuple[str, ...], ScanHeader]] = field(default_factory=list)
    problems: list[tuple[str, str, str]] = field(default_factory=list)

    def refuse(self, slices: Iterable[Slice], code: str, reason: str) -> None:
        self.problems.extend((s.path, code, reason) for s in slices)


PixelHash = Callable[[str], str]
"""Digest of a file's decoded pixels, by path; raises ImageError. Used only for equal UIDs."""


def group_slices(slices: Sequence[Slice], pixel_hash: PixelHash) -> Grouped:
    """Group all DICOM image files of a folder tree into scans.

    Geometry comes first. Files of one series with one grid size and orientation that are evenly
    spaced on one line form one volume, whatever else their headers say. If positions repeat, header
    values (echo, time point, b-value, image type, time) separate the volumes, each with all
    positions. A stack with a missing slice, or with two different slices at one position that no
    header value separates, is
    refused. Secondary captures with positions form a volume if evenly spaced, else pictures. A file
    with the same instance UID and pixels as another one is listed as its copy.
    """
    out = Grouped()
    series: dict[str, list[Slice]] = defaultdict(list)
    for one in sorted(slices, key=lambda s: s.path):
        series[one.object.series].append(one)
    for members in series.values():
        alone = _without_copies(members, pixel_hash, out)
        stacks: dict[tuple[object, ...], list[Slice]] = defaultdict(list)
        for one in alone:
            if one.object.stackable:
                header = one.object.header
                stacks[(header.shape, header.channels)].append(one)
            else:
                out.scans.append(((one.path,), one.object.header))
        found: list[list[Slice]] = []
        for group in stacks.values():
            for same in _by_orientation(group):
                if all(one.object.capture for one in same) and not _is_volume(same):
                    out.scans.extend(((one.path,), one.object.header) for one in same)
                else:
                    found.extend(_volumes(same, out))
        _finish(found, out)
    return out


def _without_copies(members: list[Slice], pixel_hash: PixelHash, out: Grouped) -> list[Slice]:
    """Remove members that repeat another's instance UID, grid and pixels.

    Of copies in several folders, the one in the folder with most of the series is kept.
    """
    folders = Counter(_folder(s) for s in members)
    by_instance: dict[tuple[object, ...], list[Slice]] = defaultdict(list)
    for one in members:
        by_instance[(one.object.instance, one.object.header.shape)].append(one)
    kept: list[Slice] = []
    for (instance, _), same in by_instance.items():
        if not instance or len(same) == 1:
            kept.extend(same)
            continue
        first_with: dict[str, str] = {}
        for one in sorted(same, key=lambda s: (-folders[_folder(s)], s.path)):
            try:
                digest = pixel_hash(one.path)
            except ImageError as error:
                out.problems.append((one.path, error.code, error.what))
                continue
            if digest in first_with:
                reason = f"another copy of {first_with[digest]}: same instance UID, same pixels"
                out.refuse([one], "duplicate-instance", reason)
            else:
                first_with[digest] = one.path
                kept.append(one)
    return sorted(kept, key=lambda s: s.path)


def _by_orientation(group: list[Slice]) -> list[list[Slice]]:
    """Split by direction cosines; slices without orientation form their own part."""
    parts: list[list[Slice]] = []
    for one in group:
        turn = one.object.orientation
        for part in parts:
            other = part[0].object.orientation
            if turn is None or other is None:
                same = turn is other
            else:
                same = float(np.abs(np.subtract(turn, other)).max()) < SAME_DIRECTION
            if same:
                part.append(one)
                break
        else:
            parts.append([one])
    return parts


def _volumes(group: list[Slice], out: Grouped) -> list[list[Slice]]:
    """Split into stacks without repeated positions, sorted along the normal; refuse the rest."""
    if len(group) == 1:
        return [group]
    if any(s.object.position is None or s.object.orientation is None for s in group):
        parts = _split_by(group, _said)
        if len(parts) > 1:
            return [stack for part in parts for stack in _volumes(part, out)]
        out.refuse(
            group,
            "no-position",
            f"one of {len(group)} slices of a series without positions: their order can't be known",
        )
        return []
    group = sorted(group, key=lambda s: (_height(s), s.object.order, s.path))
    if not _repeats(group):
        return _stretches(group)
    for parts in _ways_apart(group):
        if len(parts) > 1 and not any(_repeats(p) for p in parts) and _same_places(parts):
            return parts
    for said in (_said, _exactly_said):
        parts = _split_by(group, said)
        if len(parts) > 1:  # volumes of several sizes, such as one of more slices before contrast
            return [stack for part in _complete(parts, out) for stack in _volumes(part, out)]
    turns = _split_by_order(group)
    if turns:
        return turns
    parts = _split(group, "AcquisitionNumber")  # passes that cover different stretches
    if len(parts) > 1 and not any(_repeats(p) for p in parts):
        return parts
    place = next(_height(a) for a, b in pairwise(group) if _near(a, b))
    out.refuse(
        group,
        "duplicate-position",
        f"several different slices at the same position ({place:.2f} mm along the normal), "
        "which nothing in their headers tells apart",
    )
    return []


def _is_volume(group: list[Slice]) -> bool:
    """Whether slices are evenly spaced on one line, without repeated positions."""
    if len(group) < 2 or any(s.object.position is None for s in group):
        return False
    group = sorted(group, key=_height)
    return not _repeats(group) and not _unevenness(group)


def _unevenness(group: list[Slice]) -> str:
    points = np.asarray([s.object.position for s in group], dtype=np.float64)
    return even_step(points, np.asarray([_height(s) for s in group]))[1]


def _stretches(group: list[Slice]) -> list[list[Slice]]:
    """One volume; if unevenly spaced, its parts by header values that do not interleave.

    Interleaved parts would each be an even volume with half of the slices, so they stay together
    and the uneven spacing is reported.
    """
    if not _unevenness(group):
        return [group]
    parts = _split_by(group, _said)
    lowest = sorted((_height(part[0]), _height(part[-1])) for part in parts)
    apart = all(a[1] < b[0] for a, b in pairwise(lowest))
    return parts if len(parts) > 1 and apart and min(map(len, parts)) > 1 else [group]


def _ways_apart(group: list[Slice]) -> Iterator[list[list[Slice]]]:
    """Possible splits by header values, the most reliable first: all, each one, then times."""
    for said in (_exactly_said, _said):
        yield _split_by(group, said)
        for number in range(len(said(group[0]))):
            yield _split_by(group, partial(_nth, said=said, number=number))
    for name in dict.fromkeys(key for s in group for key, _ in s.object.soft):
        yield _split(group, name)


def _nth(one: Slice, said: Callable[[Slice], tuple[str, ...]], number: int) -> str:
    return said(one)[number]


def _exactly_said(one: Slice) -> tuple[str, ...]:
    return one.object.hard


def _said(one: Slice) -> tuple[str, ...]:
    """Header values that separate volumes at the same positions; echo times to two digits.

    The first value of the image type (original or derived) is ignored.
    """
    echo, time, *rest, kind = one.object.hard or ("",) * 5
    with suppress(ValueError):
        time = f"{float(time):.2g}"
    return (echo, time, *rest, "\\".join(kind.split("\\")[1:]))


def _split_by(group: list[Slice], key: Callable[[Slice], object]) -> list[list[Slice]]:
    parts: dict[object, list[Slice]] = defaultdict(list)
    for one in group:
        parts[key(one)].append(one)
    return list(parts.values())


def _split(group: list[Slice], name: str) -> list[list[Slice]]:
    return _split_by(group, lambda one: dict(one.object.soft).get(name, ""))


def _split_by_order(group: list[Slice]) -> list[list[Slice]]:
    """Split by the n-th slice at each position, by instance number, if all occur equally often."""
    columns: list[list[Slice]] = []
    for one in group:
        if columns and _near(columns[-1][0], one):
            columns[-1].append(one)
        else:
            columns.append([one])
    if len({len(c) for c in columns}) != 1:
        return []
    return [list(stack) for stack in zip(*columns, strict=True)]


def _same_places(parts: list[list[Slice]]) -> bool:
    """Whether all parts cover the same positions, so that each is a complete volume."""
    if len({len(p) for p in parts}) != 1 or len(parts[0]) < 2:
        return False
    return all(_near(a, b) for part in parts[1:] for a, b in zip(parts[0], part, strict=True))


def _complete(parts: list[list[Slice]], out: Grouped) -> list[list[Slice]]:
    """Parts of one kind of image: those that lack places of another one are refused.

    A copy that broke off ends so, and what is left would look like a whole volume.
    """
    kept = []
    for part in parts:
        whole = max((p for p in parts if _kind(p[0]) == _kind(part[0])), key=len)
        lacking = len(whole) - len(part)
        other_kind = _repeats(whole) or _repeats(part) or len(part) == 1
        if lacking and not other_kind and _among(part, whole):
            out.refuse(
                part,
                "missing-slice",
                f"its volume is refused: {lacking} of {len(whole)} places are missing that another "
                f"volume of the series has ({whole[0].path})",
            )
        else:
            kept.append(part)
    return kept


def _kind(one: Slice) -> str:
    return _said(one)[-1]


def _among(part: list[Slice], whole: list[Slice]) -> bool:
    """Whether every place of ``part`` is one of ``whole``'s."""
    return all(any(_near(one, other) for other in whole) for one in part)


def _finish(stacks: list[list[Slice]], out: Grouped) -> None:
    for number, stack in enumerate(stacks, start=1):
        try:
            header = _header(stack)
        except ImageError as error:
            out.refuse(stack, error.code, f"its series is refused: {error.what}")
            continue
        if len(stacks) > 1:
            header = msgspec.structs.replace(
                header, meta={**header.meta, "stack": f"{number} of {len(stacks)}"}
            )
        out.scans.append((tuple(s.path for s in stack), header))


def _header(stack: list[Slice]) -> ScanHeader:
    if len(stack) == 1:
        return stack[0].object.header
    if len(stack) == 2:
        _check_pair(stack)
    return stack_header([s.object for s in stack], stack[0].path)


def _check_pair(stack: list[Slice]) -> None:
    """Check two slices, always evenly spaced: the stated step or thickness must fit the gap."""
    first, second = stack
    gap = abs(_height(second) - _height(first))
    stated = first.object.between
    depth = first.object.thickness
    limit = 1.5 * stated if stated else FAR_APART * depth if depth else None
    if limit is not None and gap > limit:
        what = f"a step of {stated:.2f}" if stated else f"a thickness of {depth:.2f}"
        raise ImageError(
            f"two slices {gap:.2f} mm apart with {what} mm: slices between them are missing",
            code="missing-slice",
        )


def _folder(one: Slice) -> str:
    return one.path.rpartition("/")[0]


def _height(one: Slice) -> float:
    turn = np.asarray(one.object.orientation)
    return float(np.cross(turn[:3], turn[3:]) @ np.asarray(one.object.position))


def _near(a: Slice, b: Slice) -> bool:
    return abs(_height(a) - _height(b)) < SAME_PLACE


def _repeats(group: list[Slice]) -> bool:
    return any(_near(a, b) for a, b in pairwise(group))
