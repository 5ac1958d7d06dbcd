"""The budget pane."""
