"""Fixtures for tests of plug-ins."""

from tests.support.plugin_examples import installed

__all__ = ["installed"]
