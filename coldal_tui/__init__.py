"""coldal-tui: decide which medical scans to label next, from the terminal.

In notebooks: ``coldal_tui.open("lungs").queue()`` (see ``coldal_tui.api``).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, overload

from coldal_tui.version import __version__

if TYPE_CHECKING:
    from coldal_tui.api import Frames, OpenProject, Records

__all__ = ["__version__", "open"]


@overload
def open(
    project: str | os.PathLike[str] = ..., *, frames: Literal["records"]
) -> OpenProject[Records]: ...
@overload
def open(project: str | os.PathLike[str] = ..., *, frames: Frames = ...) -> OpenProject[Any]: ...
def open(project: str | os.PathLike[str] = ".", *, frames: Frames = "auto") -> OpenProject[Any]:
    """Open a project to read it; nothing is ever written.

    ``project`` is its folder, or one below it. ``frames`` says what tables come as: ``pandas``,
    ``polars``, ``records`` (a list of dicts), or ``auto``: the first of pandas and polars that is
    installed, else records.

    Raises
    ------
    coldal_tui.errors.UsageError : no project there, or that library is not installed.
    coldal_tui.errors.ColdalError : the project can't be read.
    """
    from coldal_tui.api import open_project

    return open_project(project, frames)
