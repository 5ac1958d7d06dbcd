"""Training, inference and measuring of one segmentation network per run."""
