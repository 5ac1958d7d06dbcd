"""Readers of one file type each, with their limits on size."""
