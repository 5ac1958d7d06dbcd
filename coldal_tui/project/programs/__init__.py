"""Programs that a person runs on one scan."""
