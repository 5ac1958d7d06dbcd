"""A small lab, and what its queue looks like."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coldal_tui.project.project import Project
from tests.support.lab import lab

__all__ = ["lab", "statuses"]


@pytest.fixture
def statuses() -> Callable[[Project], dict[str, str]]:
    """The status of every queue item."""

    def read(project: Project) -> dict[str, str]:
        rows = project.store.rows("SELECT scan_id, status FROM queue ORDER BY scan_id")
        return {row["scan_id"]: row["status"] for row in rows}

    return read
