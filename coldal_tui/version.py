"""The version of coldal-tui."""

__version__ = "0.1.0"
