"""Releases: labelled scans as a finished data set with folds, a data card and checksums."""
