"""The queue pane, and why a scan is in it."""
