"""File names as identities: stems without endings, equal under Unicode forms."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

_DOUBLE = (".nii.gz", ".seg.nrrd", ".ome.tiff", ".ome.tif", ".ome.zarr")
_SINGLE = frozenset(
    ".nii .nrrd .nhdr .mha .mhd .hdr .img .gz .dcm .dicom .ima .png .jpg .jpeg .jpe .jp2 .bmp "
    ".gif .tif .tiff .webp .json .xml .npy .npz .zarr .svs".split()
)


def file_stem(name: str) -> str:
    """The last part of a path without its image ending.

    Only endings of image and mask formats are dropped: in ``10.1016-j.healun.04`` the last dot
    belongs to the name. ``.nii.gz`` and ``.seg.nrrd`` are one ending.
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    lower = last.lower()
    for ending in _DOUBLE:
        if lower.endswith(ending) and len(last) > len(ending):
            return last[: -len(ending)]
    dot = lower.rfind(".")
    return last[:dot] if dot > 0 and lower[dot:] in _SINGLE else last


def same_name(name: str) -> str:
    """One form for names that look the same: archives made on macOS hold decomposed letters."""
    return unicodedata.normalize("NFC", name)


def folders(name: str) -> tuple[str, ...]:
    """The folders of a path-like name, innermost first."""
    parts = PurePosixPath(name.replace("\\", "/")).parts[:-1]
    return tuple(same_name(part) for part in reversed(parts) if part != "/")
