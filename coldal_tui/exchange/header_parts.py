"""Finds the pixel file of images with a detached header: .mhd, .nhdr, .hdr."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from coldal_tui.errors import ColdalError

_HEADER_LIMIT = 1 << 20
_KEYS = {".mhd": "elementdatafile", ".nhdr": "datafile"}


def companion_files(image: Path) -> tuple[Path, ...]:
    """The pixel files that a detached header points to; empty for self-contained images.

    Raises
    ------
    ColdalError : the data is a list of files, or lies outside the header's folder.
    """
    ending = image.suffix.lower()
    if ending == ".hdr":
        pair = image.with_suffix(".img")
        return (pair,) if pair.exists() else ()
    if ending not in _KEYS:
        return ()
    name = _data_file_name(image, _KEYS[ending])
    if name is None or name.upper() == "LOCAL":
        return ()
    part = PurePosixPath(name)
    if part.is_absolute() or len(part.parts) != 1 or name.upper().startswith("LIST") or "%" in name:
        raise ColdalError(
            f"its pixel data ({name}) is not one file beside it",
            where=str(image),
            remedy="Convert the image to a single .nrrd or .nii.gz file.",
            code="several-files",
        )
    return (image.with_name(name),)


def _data_file_name(image: Path, key: str) -> str | None:
    try:
        with image.open("rb") as stream:
            text = stream.read(_HEADER_LIMIT).decode("latin-1")
    except OSError as error:
        raise ColdalError(
            f"the image can't be read: {error.strerror}", where=str(image), code="missing"
        ) from error
    for line in text.splitlines():
        name, found, value = line.partition("=" if image.suffix.lower() == ".mhd" else ":")
        if found and name.strip().lower().replace(" ", "") == key:
            return value.strip()
    return None
