"""Servers of labelers: queued scans go there, drawings come back."""
