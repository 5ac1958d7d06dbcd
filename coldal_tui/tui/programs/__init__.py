"""Programs of the user on keys of their own."""
