"""The queue pane, and the reasons for a scan."""
