"""Small projects for tests of the Python interface."""

from tests.support.small_projects import images, plain_template, project, queued, queued_template

__all__ = ["images", "plain_template", "project", "queued", "queued_template"]
