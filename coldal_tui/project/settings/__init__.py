"""coldal.toml: what it may hold, and what is said of wrong values."""
