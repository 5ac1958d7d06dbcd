"""What the network sees of a scan, and the files that keep it between jobs."""
