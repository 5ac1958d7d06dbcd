"""The queue: candidates, budget, and what people do to its items."""
