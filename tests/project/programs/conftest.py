"""Small projects, copied from one that is made once."""

from __future__ import annotations

from tests.support.small_projects import plain_template, project

__all__ = ["plain_template", "project"]
