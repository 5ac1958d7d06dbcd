"""Pixels and geometry: indexing, readers, grids. Independent of projects."""
