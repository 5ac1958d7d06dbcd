"""Errors that several importers raise, each in one wording."""

from __future__ import annotations

from pathlib import Path

from coldal_tui.errors import ImageError

AGAIN = "Export or copy it again."


def unreadable(path: Path, why: Exception | str) -> ImageError:
    """The error for a file that the disk, or a reader, could not give: ``unreadable``."""
    told = (why.strerror if isinstance(why, OSError) else None) or why
    return ImageError(
        f"the file can't be read: {told}", where=str(path), remedy=AGAIN, code="unreadable"
    )


def damaged(path: Path, what: str) -> ImageError:
    """The error for a file that is not whole, said by ``what``: ``damaged``."""
    return ImageError(what, where=str(path), remedy=AGAIN, code="damaged")


def without_picture() -> ImageError:
    """The error for outlines of a file that states no size, without their picture: ``no-scan``."""
    return ImageError(
        "its outlines become a mask only on a picture: the file states no size",
        remedy="Index the picture that it was drawn on.",
        code="no-scan",
    )
