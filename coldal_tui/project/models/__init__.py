"""Results of models from outside the project: pre-labels, and probability maps as runs."""
