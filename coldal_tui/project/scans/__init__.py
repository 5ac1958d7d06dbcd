"""Scans: indexing, patients and DICOM identities."""
