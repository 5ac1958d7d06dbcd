"""Whether the labels are enough: what the next ones are expected to gain, and what they cost."""
