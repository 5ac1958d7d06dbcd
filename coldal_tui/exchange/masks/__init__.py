"""Masks as arrays and codes: rasterising, run lengths, overlaps, grids."""
