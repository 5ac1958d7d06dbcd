"""Training, inference and metrics of one segmentation network per run."""
