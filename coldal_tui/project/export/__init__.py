"""Exports of queued scans to labelers."""
