"""Interprets names: of scans, of classes, and the patterns of ``--match``."""
