"""Encoders: which there are, their files, and how weights are fetched."""
