"""coldal-tui: decide which medical scans to label next, from the terminal."""

__version__ = "0.1.0"
