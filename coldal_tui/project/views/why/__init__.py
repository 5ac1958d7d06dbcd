"""Explains why a scan is, or is not, in the queue: facts, rank outlook and words."""
