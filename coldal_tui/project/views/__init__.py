"""What screens and `status` read; nothing here writes."""
