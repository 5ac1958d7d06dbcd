"""The queue: candidates, budget, and the actions on queue items."""
