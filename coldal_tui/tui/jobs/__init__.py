"""The jobs pane and its log."""
