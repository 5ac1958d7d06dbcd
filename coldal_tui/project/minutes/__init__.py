"""Minutes of labelling: what drawings are expected to take, and the budget in minutes."""
