"""Encoders: the catalogue, their files, and how weights are downloaded."""
