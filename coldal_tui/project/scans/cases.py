"""Joins cases with one file per channel to single scans, as ``coldal.toml`` says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from coldal_tui.errors import ImageError
from coldal_tui.imaging.image import ScanRef
from coldal_tui.imaging.indexing import FileProblem, FoundScan, joined_digest
from coldal_tui.imaging.reading import joined_header
from coldal_tui.project.scans.not_scans import split


def join_cases(
    scans: Sequence[FoundScan], endings: Sequence[str]
) -> tuple[tuple[FoundScan, ...], tuple[FileProblem, ...]]:
    """Join the files of each case; return scans in order of path, and what failed.

    Files of one folder and format whose names differ only in ``endings`` are a case; its channels
    are in the order of ``endings``. A case with a missing file or different grids is refused
    completely: a channel is never invented. Other files stay separate scans.
    """
    longest_first = sorted(endings, key=len, reverse=True)
    cases: dict[tuple[str, str, str], dict[str, FoundScan]] = defaultdict(dict)
    joined: list[FoundScan] = []
    problems: list[FileProblem] = []
    for scan in scans:
        path = PurePosixPath(scan.rel_path)
        stem = split(path.name)[0]
        end = next((one for one in longest_first if stem.endswith(one) and stem != one), None)
        if end is None or len(scan.ref.files) > 1:
            joined.append(scan)
        else:
            cases[str(path.parent), stem[: -len(end)], scan.ref.kind][end] = scan
    for (_, base, _), parts in cases.items():
        try:
            joined.append(_joined(base, parts, endings))
        except ImageError as error:
            problems += [
                FileProblem(
                    part.rel_path, error.code, f"its case is refused: {error.what}", "refused"
                )
                for part in parts.values()
            ]
    return tuple(sorted(joined, key=lambda s: (s.rel_path, s.name))), tuple(problems)


def _joined(base: str, parts: dict[str, FoundScan], endings: Sequence[str]) -> FoundScan:
    missing = [end for end in endings if end not in parts]
    if missing:
        raise ImageError(
            f"the file {base}{missing[0]} is missing"
            + (f", and {len(missing) - 1} more" if len(missing) > 1 else ""),
            code="incomplete-case",
        )
    ordered = [parts[end] for end in endings]
    files = tuple(part.ref.files[0] for part in ordered)
    # In order: the same files in another channel order are another scan.
    digest = joined_digest([part.quick_hash for part in ordered], ordered=True)
    return FoundScan(
        ref=ScanRef(ordered[0].ref.kind, files),
        header=joined_header([part.header for part in ordered], files),
        name=base.rstrip("_- ."),
        rel_path=min(part.rel_path for part in ordered),
        quick_hash=digest,
        size=sum(part.size for part in ordered),
        files=tuple(stamp for part in ordered for stamp in part.files),
    )
