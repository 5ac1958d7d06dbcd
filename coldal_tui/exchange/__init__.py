"""Masks in, queues out: formats, identity, geometry policy, class values."""
