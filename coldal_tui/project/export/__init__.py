"""Queues on their way out to labelers."""
