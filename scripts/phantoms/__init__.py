"""Phantoms for the sample data: made-up anatomy, and the ways of taking its picture."""
