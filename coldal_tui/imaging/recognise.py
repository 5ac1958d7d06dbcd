"""Recognises a file's type from its first bytes, independent of its name."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

HEAD_BYTES = 4096

SCAN_KINDS = ("raster", "nifti", "dicom", "nrrd", "metaimage")


@dataclass(frozen=True)
class Recognised:
    """The result: ``kind`` from ``SCAN_KINDS``, or None with ``code`` and ``reason``."""

    kind: str | None
    code: str = ""
    reason: str = ""


_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (
        b"version https://git-lfs.github.com/spec/",
        "lfs-pointer",
        "a Git LFS pointer: the file itself was not fetched; run git lfs pull in its repository",
    ),
    (b"GIF8", "unsupported-format", "a GIF picture; save it as PNG"),
    (b"\x00\x00\x00\x0cjP  ", "unsupported-format", "a JPEG 2000 picture; save it as PNG or TIFF"),
    (b"\xff\x4f\xff\x51", "unsupported-format", "a JPEG 2000 codestream; save it as PNG or TIFF"),
    (b"8BPS", "unsupported-format", "a Photoshop file; save it as PNG or TIFF"),
    (b"%PDF", "not-an-image", "a PDF document"),
    (b"PK\x03\x04", "not-an-image", "a ZIP archive; unpack it"),
    (b"7z\xbc\xaf", "not-an-image", "a 7z archive; unpack it"),
    (b"BZh", "not-an-image", "a bzip2 archive; unpack it"),
    (b"\xfd7zXZ", "not-an-image", "an xz archive; unpack it"),
    (b"\x28\xb5\x2f\xfd", "not-an-image", "a Zstandard archive; unpack it"),
    (b"\x93NUMPY", "unsupported-format", "a NumPy array; save it as NIfTI or PNG"),
    (b"\x89HDF", "unsupported-format", "an HDF5 file; save it as NIfTI"),
    (b"CDF\x01", "unsupported-format", "a NetCDF/MINC file; save it as NIfTI"),
    (b"CDF\x02", "unsupported-format", "a NetCDF/MINC file; save it as NIfTI"),
)


def recognise(path: Path, head: bytes) -> Recognised:
    """Recognise ``path`` from its first ``HEAD_BYTES`` bytes (fewer if it is shorter)."""
    if not head:
        return Recognised(None, "empty", "the file is empty (0 bytes)")
    if head[:2] == b"\x1f\x8b":
        return _recognise_gzip(head)
    kind = _scan_kind(head)
    if kind:
        return Recognised(kind)
    for magic, code, reason in _OTHERS:
        if head.startswith(magic):
            return Recognised(None, code, reason)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Recognised(None, "unsupported-format", "a WebP picture; save it as PNG")
    if head[4:8] == b"ftyp":
        return Recognised(None, "unsupported-format", "a HEIF picture or a film; save it as PNG")
    if _is_analyze(head):
        return Recognised(
            None,
            "unsupported-format",
            "an Analyze 7.5 header without orientation; save it as NIfTI",
        )
    return _recognise_by_name(path, head)


def _scan_kind(head: bytes) -> str | None:
    if head[128:132] == b"DICM":  # before TIFF: the preamble may be a TIFF header (PS3.10 7.1)
        return "dicom"
    if (
        head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))
        or head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
        or _is_bmp(head)
    ):
        return "raster"
    if is_nifti(head):
        return "nifti"
    if head.startswith(b"NRRD000"):
        return "nrrd"
    if is_dicom(head):
        return "dicom"
    if is_metaimage(head):
        return "metaimage"
    return None


def is_nifti(head: bytes) -> bool:
    """NIfTI-1 (single file or .hdr of a pair) or NIfTI-2, by header size and magic."""
    if head[344:348] in (b"n+1\0", b"ni1\0"):
        return head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c")
    return head[4:8] in (b"n+2\0", b"ni2\0") and head[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c")


def is_dicom(head: bytes) -> bool:
    """DICOM part 10 by its prefix; without one, by a first element of group 0002 or 0008.

    A file without preamble starts with the tag itself; its length or VR must be plausible too.
    """
    if head[128:132] == b"DICM":
        return True
    if len(head) < 16:
        return False
    for order in ("little", "big"):
        group = int.from_bytes(head[:2], order)
        element = int.from_bytes(head[2:4], order)
        if group not in (0x0002, 0x0008) or element > 0x0070:
            continue
        if re.fullmatch(rb"AE|AS|CS|DA|DT|LO|OB|PN|SH|SQ|ST|TM|UI|UL|US", head[4:6]):
            return True
        if int.from_bytes(head[4:8], order) <= 128:
            return group == 0x0008 or element == 0
    return False


def is_metaimage(head: bytes) -> bool:
    """A MetaImage header: text that names NDims and DimSize."""
    return (
        b"NDims" in head
        and re.search(rb"^\s*NDims\s*=", head, re.M) is not None
        and re.search(rb"^\s*DimSize\s*=", head, re.M) is not None
    )


def _is_bmp(head: bytes) -> bool:
    return head[:2] == b"BM" and head[14:18] in (
        b"\x0c\0\0\0",
        b"\x28\0\0\0",
        b"\x34\0\0\0",
        b"\x38\0\0\0",
        b"\x40\0\0\0",
        b"\x6c\0\0\0",
        b"\x7c\0\0\0",
    )


def _is_analyze(head: bytes) -> bool:
    return len(head) == 348 and head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c")


def _recognise_gzip(head: bytes) -> Recognised:
    try:
        inner = zlib.decompressobj(31).decompress(head, HEAD_BYTES)
    except zlib.error:
        return Recognised(None, "damaged", "a damaged gzip file")
    if is_nifti(inner):
        return Recognised("nifti")
    if not inner:
        return Recognised(None, "empty", "a gzip file with nothing in it")
    kind = _scan_kind(inner)
    if kind:
        words = {"raster": "a picture", "dicom": "a DICOM file", "nrrd": "a NRRD file"}
        inside = words.get(kind, "a MetaImage file")
        return Recognised(None, "compressed", f"a gzip file that holds {inside}; unpack it")
    if inner[257:262] == b"ustar":
        return Recognised(None, "not-an-image", "a compressed tar archive; unpack it")
    return Recognised(None, "not-an-image", "a gzip file that holds no image")


_IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".nii", ".nii.gz"),
    *(".dcm", ".dicom", ".ima", ".nrrd", ".nhdr", ".mha", ".mhd"),
)


def _recognise_by_name(path: Path, head: bytes) -> Recognised:
    name = path.name.lower()
    for suffix in _IMAGE_SUFFIXES:
        if name.endswith(suffix):
            return Recognised(
                None, "damaged", f"named {suffix}, but its first bytes are not of that format"
            )
    if name.endswith((".csv", ".tsv", ".json", ".xml", ".txt", ".md", ".rst", ".yaml", ".yml")):
        return Recognised(None, "not-an-image", f"a text file ({path.suffix.lower()})")
    if _is_text(head):
        return Recognised(None, "not-an-image", "a text file")
    return Recognised(None, "unknown-format", "its first bytes are of no image format known here")


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head[: len(head) - 3 if len(head) == HEAD_BYTES else None].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
