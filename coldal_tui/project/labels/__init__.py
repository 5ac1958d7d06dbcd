"""Labels: accepted masks, quarantine, agreement and quality."""
