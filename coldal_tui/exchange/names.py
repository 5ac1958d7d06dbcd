"""Normalizes file names for comparison: stems without endings, one Unicode form."""

from __future__ import annotations

import unicodedata

_DOUBLE = (".nii.gz", ".seg.nrrd", ".ome.tiff", ".ome.tif", ".ome.zarr")
_VOLUME = (".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img", ".gz", ".zarr")
_DICOM = (".dcm", ".dicom", ".ima")
_PICTURE = (".png", ".jpg", ".jpeg", ".jpe", ".jp2", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_PLAIN_PICTURE = (".pbm", ".pgm", ".ppm", ".pnm", ".jfif", ".tga")
_DATA = (".json", ".xml", ".npy", ".npz", ".svs")
_SINGLE = frozenset((*_VOLUME, *_DICOM, *_PICTURE, *_PLAIN_PICTURE, *_DATA))


def file_stem(name: str) -> str:
    """The last part of a path without its image ending.

    Only endings of image and mask formats are dropped: in ``10.1016-j.healun.04`` the last dot
    belongs to the name. ``.nii.gz`` and ``.seg.nrrd`` are one ending.
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    lower = last.lower()
    if lower.endswith(_DOUBLE):
        for ending in _DOUBLE:
            if lower.endswith(ending) and len(last) > len(ending):
                return last[: -len(ending)]
    dot = lower.rfind(".")
    return last[:dot] if dot > 0 and lower[dot:] in _SINGLE else last


def image_ending(name: str, kind: str) -> str:
    """The ending of an image file; ``.dcm`` for DICOM files without one."""
    ending = name[len(file_stem(name)) :]
    return ".dcm" if kind == "dicom" and not ending else ending


def same_name(name: str) -> str:
    """Normalize a name to composed Unicode: archives made on macOS hold decomposed letters."""
    return unicodedata.normalize("NFC", name)


def person_key(name: str) -> str:
    """A person's name for comparison: one Unicode form, without regard to case."""
    return same_name(name.strip()).casefold()


def folders(name: str) -> tuple[str, ...]:
    """The folders of a path-like name, innermost first."""
    parts = name.replace("\\", "/").rstrip("/").split("/")[:-1]
    return tuple(same_name(part) for part in reversed(parts) if part not in ("", "."))
