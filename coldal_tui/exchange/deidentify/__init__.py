"""Exports that name nobody: pseudonyms, cleaned images, and a search for what was left."""
