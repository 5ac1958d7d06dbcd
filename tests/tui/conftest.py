"""Small projects for the screens, made by the same functions as those of the command line."""

from __future__ import annotations

from tests.support.lab import lab
from tests.support.small_projects import plain_template, project, queued, queued_template

__all__ = ["lab", "plain_template", "project", "queued", "queued_template"]
