"""Finds the scans in a folder: every file is part of a scan or is listed with a reason.

Only headers and a quick hash are read. A file whose size and modification time are known from
an earlier index is not opened again.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec
import numpy as np

from coldal_tui.errors import ImageError
from coldal_tui.files import sha256_file
from coldal_tui.imaging.dicom.object import DicomObject, read_object
from coldal_tui.imaging.dicom.pixels import decoded_frames
from coldal_tui.imaging.dicom.series import Slice, group_slices
from coldal_tui.imaging.image import ScanHeader, ScanRef, ScanUids
from coldal_tui.imaging.readers import metaimage, nifti, nrrd, raster
from coldal_tui.imaging.recognise import HEAD_BYTES, recognise
from coldal_tui.imaging.walk import FileFacts, Walk, found_files

QUICK_BYTES = 64 * 1024
_DIGEST = re.compile(r"[0-9a-f]{32}")

ProblemKind = Literal["unreadable", "not-an-image", "refused"]
Progress = Callable[[int, int, str], None]

_READERS = {"raster": raster, "nifti": nifti, "nrrd": nrrd, "metaimage": metaimage}
_UNREADABLE = ("damaged", "truncated", "empty", "missing", "no-permission", "lfs-pointer")
_NOT_IMAGES = ("not-an-image", "no-pixels", "segmentation", "unknown-format")


class FileStamp(msgspec.Struct, frozen=True):
    """State of a file when it was read: path relative to the root, bytes, mtime, quick hash."""

    rel_path: str
    size: int
    mtime_ns: int
    quick_hash: str


class FoundScan(msgspec.Struct, frozen=True):
    """One scan. ``name`` is a readable hint for a scan_id and not unique.

    ``rel_path`` is the first of its files by name; ``files`` includes the voxel file of a
    header/data pair; ``size`` is their sum in bytes. ``quick_hash`` is the file's, or for
    several files the BLAKE2b of their sorted quick hashes. ``uids`` are set only for DICOM scans.
    """

    ref: ScanRef
    header: ScanHeader
    name: str
    rel_path: str
    quick_hash: str
    size: int
    files: tuple[FileStamp, ...]
    uids: ScanUids | None = None


class FileProblem(msgspec.Struct, frozen=True):
    """A file that belongs to no scan, and the reason."""

    rel_path: str
    code: str
    reason: str
    kind: ProblemKind


class KnownFile(msgspec.Struct, frozen=True):
    """Facts about one file; pass them as ``known``, and the file is not read again.

    Exactly one of ``header`` (a scan in one file), ``dicom`` (an image of a series) and
    ``problem`` is set. ``companions`` are data files (relative paths) that ``header`` needs, with
    their sizes and mtimes in ``companion_stats``. ``pixel_hash`` is set if it was needed.
    """

    stamp: FileStamp
    kind: str | None = None
    header: ScanHeader | None = None
    dicom: DicomObject | None = None
    problem: FileProblem | None = None
    companions: tuple[str, ...] = ()
    companion_stats: tuple[tuple[int, int], ...] = ()
    pixel_hash: str | None = None


class IndexResult(msgspec.Struct, frozen=True):
    """Scans and problems in path order, ``known`` for the next index, and the files read now."""

    scans: tuple[FoundScan, ...]
    problems: tuple[FileProblem, ...]
    known: dict[str, KnownFile]
    read: int


def index_folder(
    root: Path,
    *,
    known: Mapping[str, KnownFile] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    walk: Walk | None = None,
    progress: Progress | None = None,
    workers: int = 4,
) -> IndexResult:
    """Index all scans under ``root``; a bad file never stops it.

    ``include`` and ``exclude`` are glob patterns: without a slash they match any folder or file
    name in the path, with one the path relative to ``root`` or a parent folder of it. Hidden files
    and a project's own folders are skipped. ``walk`` is the result of ``found_files`` with these
    patterns, if the caller has it already. ``workers`` threads read headers; the result does
    not depend on their number. ``progress`` gets (done, total, path).
    """
    root = Path(root).absolute()
    known = known or {}
    if walk is None:
        walk = found_files(root, include=include, exclude=exclude)
    records: dict[str, KnownFile] = {}
    todo: list[str] = []
    for rel_path, stat in walk.files.items():
        old = known.get(rel_path)
        if old is not None and _unchanged(old, stat, walk.files):
            records[rel_path] = old
        else:
            todo.append(rel_path)
    total, done = len(walk.files), len(records)
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        for rel_path, record in zip(
            todo, pool.map(lambda p: _examined(root, p, walk.files), todo), strict=True
        ):
            records[rel_path] = record
            done += 1
            if progress is not None:
                progress(done, total, rel_path)
    lost = [FileProblem(p, code, reason, "unreadable") for p, code, reason in walk.lost]
    return _assembled(root, records, lost, len(todo))


def data_files(path: Path, kind: str) -> tuple[Path, ...]:
    """The files that hold the voxels of a header of this kind; empty where it holds them."""
    return () if kind == "raster" else _READERS[kind].companions(path)


def quick_hash(path: Path, size: int) -> str:
    """BLAKE2b-128 (hex) of the size, the first and the last 64 KiB."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(size.to_bytes(8, "little"))
    with path.open("rb") as stream:
        digest.update(stream.read(QUICK_BYTES))
        if size > QUICK_BYTES:
            stream.seek(max(QUICK_BYTES, size - QUICK_BYTES))
            digest.update(stream.read(QUICK_BYTES))
    return digest.hexdigest()


def is_as_indexed(ref: ScanRef, digest: str) -> bool:
    """Whether a scan's files still have the quick hash from the index.

    True if that can't be told.
    """
    if not can_tell_changes(ref, digest):
        return True
    hashes = [quick_hash(Path(file), Path(file).stat().st_size) for file in ref.files]
    return digest in (joined_digest(hashes), joined_digest(hashes, ordered=True))


def can_tell_changes(ref: ScanRef, digest: str) -> bool:
    """Whether ``is_as_indexed`` compares: not where a header may be detached from the pixels.

    Nor does it with a ``digest`` that is none.
    """
    paired = ref.kind in ("nrrd", "metaimage") or (
        ref.kind == "nifti" and not all(f.lower().endswith((".nii", ".nii.gz")) for f in ref.files)
    )
    return not paired and _DIGEST.fullmatch(digest) is not None


def joined_digest(hashes: Sequence[str], *, ordered: bool = False) -> str:
    """The quick hash of a scan from its files' hashes (of one: its own); sorted by default."""
    if len(hashes) == 1:
        return hashes[0]
    joined = "\n".join(hashes if ordered else sorted(hashes))
    return hashlib.blake2b(joined.encode(), digest_size=16).hexdigest()


def find_duplicates(scans: Sequence[FoundScan]) -> dict[int, int]:
    """Find exact duplicates: index of each copy → index of the first scan with the same bytes.

    Only scans with equal quick hashes are read and compared by SHA-256. A scan whose files can't be
    read any more is no duplicate.
    """
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number, scan in enumerate(scans):
        groups[(scan.quick_hash, scan.size)].append(number)
    copies: dict[int, int] = {}
    for members in groups.values():
        first_with: dict[tuple[str, ...], int] = {}
        for number in members if len(members) > 1 else ():
            try:
                content = tuple(sorted(sha256_file(p) for p in _paths(scans[number])))
            except OSError:
                continue
            first = first_with.setdefault(content, number)
            if first != number:
                copies[number] = first
    return copies


def _paths(scan: FoundScan) -> list[Path]:
    """Absolute paths of all files of a scan, voxel files of header/data pairs included."""
    first = Path(scan.ref.files[0])
    root = first.parents[len(PurePosixPath(scan.files[0].rel_path).parts) - 1]
    return [root / stamp.rel_path for stamp in scan.files]


def _unchanged(old: KnownFile, stat: FileFacts, files: Mapping[str, FileFacts]) -> bool:
    if (old.stamp.size, old.stamp.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
        return False
    if old.problem is not None and old.problem.code in ("missing", "no-permission"):
        return False  # may have been repaired without a change to this file
    for path, stats in zip(old.companions, old.companion_stats, strict=True):
        now = files.get(path)
        if now is None or (now.st_size, now.st_mtime_ns) != stats:
            return False
    return True


def _examined(root: Path, rel_path: str, files: Mapping[str, FileFacts]) -> KnownFile:
    """Examine one file; any error becomes its problem."""
    stat = files[rel_path]
    stamp = FileStamp(rel_path, stat.st_size, stat.st_mtime_ns, "")
    path = root / rel_path
    try:
        rel_path.encode("utf-8")
        stamp = msgspec.structs.replace(stamp, quick_hash=quick_hash(path, stat.st_size))
        with path.open("rb") as stream:
            what = recognise(path, stream.read(HEAD_BYTES))
        if what.kind is None:
            return KnownFile(stamp, problem=_problem(rel_path, what.code, what.reason))
        if what.kind == "dicom":
            return KnownFile(stamp, kind="dicom", dicom=read_object(path))
        header = _READERS[what.kind].read_header(path)
        data = data_files(path, what.kind)
        names = tuple(Path(os.path.relpath(d, root)).as_posix() for d in data)
        stats = tuple((files[n].st_size, files[n].st_mtime_ns) for n in names if n in files)
        inside = tuple(n for n in names if n in files)
        return KnownFile(stamp, what.kind, header=header, companions=inside, companion_stats=stats)
    except UnicodeEncodeError:
        shown = os.fsencode(rel_path).decode("utf-8", "backslashreplace")
        safe = msgspec.structs.replace(stamp, rel_path=shown)
        return KnownFile(
            safe,
            problem=FileProblem(
                shown, "file-name", "its name is not valid UTF-8; rename it", "refused"
            ),
        )
    except ImageError as error:
        return KnownFile(stamp, problem=_problem(rel_path, error.code, error.what))
    except PermissionError:
        return KnownFile(
            stamp, problem=_problem(rel_path, "no-permission", "no permission to read the file")
        )
    except ImportError:  # a broken installation is not the file's fault
        raise
    except Exception as error:  # one bad file must never stop the index
        reason = f"it can't be read ({type(error).__name__}: {error})"
        return KnownFile(stamp, problem=_problem(rel_path, "damaged", reason))


def _problem(rel_path: str, code: str, reason: str) -> FileProblem:
    kind: ProblemKind = "refused"
    if code in _UNREADABLE:
        kind = "unreadable"
    elif code in _NOT_IMAGES or code.startswith("dicom"):
        kind = "not-an-image"
    return FileProblem(rel_path, code, reason, kind)


def _assembled(
    root: Path, records: dict[str, KnownFile], lost: list[FileProblem], read: int
) -> IndexResult:
    scans: list[FoundScan] = []
    problems: dict[str, FileProblem] = {p.rel_path: p for p in lost}
    claimed = {c for r in records.values() if r.header for c in r.companions}
    slices: list[Slice] = []
    for rel_path, record in records.items():
        if record.header is not None and record.kind is not None:
            members = (rel_path, *record.companions)
            scans.append(_scan(root, record.kind, (rel_path,), members, record.header, records))
        elif record.dicom is not None:
            slices.append(Slice(rel_path, record.dicom))
        elif record.problem is not None and rel_path not in claimed:
            problems[record.problem.rel_path] = record.problem

    def pixel_hash(rel_path: str) -> str:
        record = records[rel_path]
        digest = record.pixel_hash or _pixel_hash(root / rel_path)
        records[rel_path] = msgspec.structs.replace(record, pixel_hash=digest)
        return digest

    grouped = group_slices(slices, pixel_hash)
    for files, header in grouped.scans:
        scans.append(_scan(root, "dicom", files, files, header, records))
    for rel_path, code, reason in grouped.problems:
        problems[rel_path] = _problem(rel_path, code, reason)
    return IndexResult(
        scans=tuple(sorted(scans, key=lambda s: (s.rel_path, s.name))),
        problems=tuple(problems[p] for p in sorted(problems)),
        known={r.stamp.rel_path: r for _, r in sorted(records.items())},
        read=read,
    )


def _scan(
    root: Path,
    kind: str,
    files: Sequence[str],
    members: Sequence[str],
    header: ScanHeader,
    records: Mapping[str, KnownFile],
) -> FoundScan:
    stamps = tuple(records[m].stamp for m in members)
    digest = joined_digest([stamp.quick_hash for stamp in stamps])
    first = records[files[0]].dicom
    return FoundScan(
        ref=ScanRef(kind, tuple(str(root / f) for f in files)),
        header=header,
        name=_name(root, files, first),
        rel_path=min(files),
        quick_hash=digest,
        size=sum(s.size for s in stamps),
        files=stamps,
        uids=_uids([records[f].dicom for f in files]),
    )


def _uids(objects: Sequence[DicomObject | None]) -> ScanUids | None:
    """The UIDs of a DICOM scan from its files in slice order."""
    found = [one for one in objects if one is not None]
    if not found:
        return None
    return ScanUids(
        found[0].series_uid, found[0].frame_of_reference, tuple(one.instance for one in found)
    )


_DOUBLE_SUFFIXES = (".nii.gz", ".ome.tif", ".ome.tiff")


def _name(root: Path, files: Sequence[str], dicom: DicomObject | None) -> str:
    """A scan's name: the file's stem, or a stack's folder and series number; no header texts."""
    path = Path(files[0])
    folder = path.parent.name or root.name
    if dicom is not None and dicom.stackable and not (dicom.capture and len(files) == 1):
        return f"{folder}-s{dicom.series_number or '0'}"
    for suffix in _DOUBLE_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    if dicom is not None and path.suffix.lower() not in (".dcm", ".dicom", ".ima"):
        return f"{folder}-{path.name}"
    return path.stem


def _pixel_hash(path: Path) -> str:
    """Digest of decoded pixels, independent of the transfer syntax."""
    _, frames = decoded_frames(path)
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{frames.shape} {frames.dtype.str}".encode())
    digest.update(np.ascontiguousarray(frames).tobytes())
    return digest.hexdigest()
