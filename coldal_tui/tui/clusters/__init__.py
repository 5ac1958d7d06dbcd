"""The clusters pane."""
