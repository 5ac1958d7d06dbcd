"""Where the sample data lies: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

from coldal_tui.errors import ColdalError


def sample_data() -> Path:
    """The folder with ``cxr`` and ``volumes``; ColdalError when this copy came without it."""
    here = Path(__file__).parent
    for folder in (here / "sample_data", here.parent / "sample_data"):
        if (folder / "cxr" / "images").is_dir():
            return folder
    raise ColdalError(
        "the sample data did not come with this installation",
        where=str(here),
        remedy="install coldal-tui from its wheel or run it from a checkout",
    )
