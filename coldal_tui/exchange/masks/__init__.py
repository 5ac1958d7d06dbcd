"""Masks as arrays and encodings: rasterising, run lengths, overlaps, grids."""
