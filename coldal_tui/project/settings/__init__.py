"""coldal.toml: its sections and keys, and the errors for wrong values."""
