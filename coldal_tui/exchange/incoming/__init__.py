"""Imports masks: unpack, match to scans, check geometry and values, decide."""
