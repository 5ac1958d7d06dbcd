"""Small projects for the screens, made by the same functions as those of the command line."""

from __future__ import annotations

from tests.support.small_projects import plain_template, project, queued, queued_template

__all__ = ["plain_template", "project", "queued", "queued_template"]
