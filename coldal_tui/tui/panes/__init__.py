"""The numbered panes of the screen, a module each."""
