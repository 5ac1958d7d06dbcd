"""Simulated labeling on data that has masks: design, results and reports. Reads no pixels."""
