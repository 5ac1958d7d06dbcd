"""The error for a backend whose package is not installed."""

from __future__ import annotations

from coldal_tui.errors import ColdalError
from coldal_tui.extras import install


def missing_extra(package: str, extra: str) -> ColdalError:
    """The error that names the extra to install."""
    return ColdalError(
        f"{package} is not installed",
        where="coldal.toml, backend.name",
        remedy=install(extra),
        code="no-backend",
    )
