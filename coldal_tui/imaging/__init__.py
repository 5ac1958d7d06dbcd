"""Pixels and geometry: indexing, readers, grids. Knows no project."""
