"""Masks on their way in: unpack, find the scan, check geometry and values, decide."""
