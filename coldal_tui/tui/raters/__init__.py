"""People's disputes and figures, as windows."""
